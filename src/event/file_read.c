#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "event/file.h"
#include "event/file_open.h"

#include <errno.h>
#include <unistd.h>

struct mg_file_read {
    mg_task task;
    char *path;
    size_t max_bytes;
    void (*on_done)(void *arg, int status, const char *data, size_t n);
    void *arg;
    mg_buf bytes;
    int status;
};

static void read_in_thread(mg_task *t);
static int read_to_end(mg_file_read *r, int fd);
static void done(mg_task *t, int status);
static void free_read(mg_file_read *r);

static const mg_task_ops ops = {read_in_thread, done};

int mg_file_read_all(mg_file_read **out, mg_loop *loop, const char *path, size_t max_bytes,
                     void (*on_done)(void *arg, int status, const char *data, size_t n),
                     void *arg) {
    mg_file_read *r = mg_calloc(1, sizeof *r);
    r->path = mg_strdup(path);
    r->max_bytes = max_bytes;
    r->on_done = on_done;
    r->arg = arg;
    int rc = mg_task_start(loop, &r->task, &ops);
    if (rc != MG_OK) {
        free_read(r);
        return rc;
    }
    *out = r;
    return MG_OK;
}

void mg_file_read_cancel(mg_file_read *r) {
    mg_task_cancel(&r->task);
}

static void read_in_thread(mg_task *t) {
    mg_file_read *r = MG_OF(t, mg_file_read, task);
    struct stat st;
    int fd = mg_file_open_now(NULL, r->path, &st);
    if (fd < 0) {
        r->status = fd;
        return;
    }
    if ((uint64_t)st.st_size > r->max_bytes) {
        r->status = -EFBIG;
    } else {
        mg_buf_reserve(&r->bytes, (size_t)st.st_size + 1);
        r->status = read_to_end(r, fd);
    }
    close(fd);
}

// The size that stat told is only a hint: the file may grow, and files of /proc have none.
static int read_to_end(mg_file_read *r, int fd) {
    for (;;) {
        char *to = mg_buf_reserve(&r->bytes, 1);
        ssize_t got = read(fd, to, r->bytes.cap - r->bytes.n);
        if (got == 0) {
            return MG_OK;
        }
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        r->bytes.n += got > 0 ? (size_t)got : 0;
        if (r->bytes.n > r->max_bytes) {
            return -EFBIG;
        }
    }
}

static void done(mg_task *t, int status) {
    mg_file_read *r = MG_OF(t, mg_file_read, task);
    int result = status == MG_OK ? r->status : status;
    bool good = result == MG_OK;
    r->on_done(r->arg, result, good ? r->bytes.p : NULL, good ? r->bytes.n : 0);
    free_read(r);
}

static void free_read(mg_file_read *r) {
    mg_buf_deinit(&r->bytes);
    mg_free(r->path);
    mg_free(r);
}
