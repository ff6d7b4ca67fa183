#include "event/file.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/descriptors.h"
#include "event/file_open.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

// One operation at a time; while `busy`, all but `closing` belongs to the thread.
struct mg_file {
    mg_task task;
    mg_loop *loop;
    const mg_file_events *events;
    void *arg;
    char *beneath;
    char *path;
    int fd;
    struct stat st;
    char *data;
    size_t cap;
    size_t wanted;
    uint64_t offset;
    int status;
    size_t n;
    bool busy;
    bool in_event;
    bool closing;
};

static void open_in_thread(mg_task *t);
static void opened(mg_task *t, int status);
static void read_in_thread(mg_task *t);
static void was_read(mg_task *t, int status);
static int start(mg_file *f, const mg_task_ops *ops);
static bool begin_event(mg_file *f);
static void end_event(mg_file *f);
static void free_if_done(mg_file *f);

static const mg_task_ops open_ops = {open_in_thread, opened};
static const mg_task_ops read_ops = {read_in_thread, was_read};

int mg_file_open(mg_file **out, mg_loop *loop, const char *beneath, const char *path,
                 const mg_file_events *events, void *arg) {
    if (!mg_descriptors_room(loop, 1)) {
        return -EMFILE;
    }
    mg_file *f = mg_calloc(1, sizeof *f);
    mg_descriptors_hold(loop, 1); // until it is freed, opened or not
    f->loop = loop;
    f->events = events;
    f->arg = arg;
    f->beneath = beneath == NULL ? NULL : mg_strdup(beneath);
    f->path = mg_strdup(path);
    f->fd = -1;
    int rc = start(f, &open_ops);
    if (rc != MG_OK) {
        mg_file_close(f);
        return rc;
    }
    *out = f;
    return MG_OK;
}

int mg_file_read_at(mg_file *f, uint64_t offset, size_t n) {
    assert(n <= MG_FILE_PIECE_BYTES);
    if (f->busy) {
        return MG_EAGAIN;
    }
    if (f->fd < 0 || f->closing) {
        return -EBADF;
    }
    if (n > f->cap) {
        mg_free(f->data);
        f->data = mg_malloc(n);
        f->cap = n;
    }
    f->offset = offset;
    f->wanted = n;
    return start(f, &read_ops);
}

void mg_file_rest(mg_file *f) {
    assert(!f->busy);
    mg_free(f->data);
    f->data = NULL;
    f->cap = 0;
}

void mg_file_close(mg_file *f) {
    if (f == NULL || f->closing) {
        return;
    }
    f->closing = true;
    if (f->busy) {
        mg_task_cancel(&f->task);
    }
    free_if_done(f);
}

static void open_in_thread(mg_task *t) {
    mg_file *f = MG_OF(t, mg_file, task);
    f->fd = mg_file_open_now(f->beneath, f->path, &f->st);
    f->status = f->fd < 0 ? f->fd : MG_OK;
}

static void opened(mg_task *t, int status) {
    mg_file *f = MG_OF(t, mg_file, task);
    (void)status; // cancelled only by a close
    if (begin_event(f)) {
        f->events->on_open(f->arg, f->status, f->status == MG_OK ? &f->st : NULL);
    }
    end_event(f);
}

static void read_in_thread(mg_task *t) {
    mg_file *f = MG_OF(t, mg_file, task);
    f->status = MG_OK;
    f->n = 0;
    while (f->n < f->wanted) {
        ssize_t got = pread(f->fd, f->data + f->n, f->wanted - f->n, (off_t)(f->offset + f->n));
        if (got > 0) {
            f->n += (size_t)got;
        } else if (got == 0) {
            return;
        } else if (errno != EINTR) {
            f->status = -errno;
            return;
        }
    }
}

static void was_read(mg_task *t, int status) {
    mg_file *f = MG_OF(t, mg_file, task);
    (void)status;
    if (begin_event(f)) {
        bool good = f->status == MG_OK;
        f->events->on_read(f->arg, f->status, good ? f->data : NULL, good ? f->n : 0);
    }
    end_event(f);
}

static int start(mg_file *f, const mg_task_ops *ops) {
    int rc = mg_task_start(f->loop, &f->task, ops);
    f->busy = rc == MG_OK;
    return rc;
}

static bool begin_event(mg_file *f) {
    f->busy = false;
    f->in_event = true;
    return !f->closing;
}

static void end_event(mg_file *f) {
    f->in_event = false;
    free_if_done(f);
}

static void free_if_done(mg_file *f) {
    if (!f->closing || f->busy || f->in_event) {
        return;
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    mg_descriptors_release(f->loop, 1);
    mg_free(f->beneath);
    mg_free(f->path);
    mg_free(f->data);
    mg_free(f);
}
