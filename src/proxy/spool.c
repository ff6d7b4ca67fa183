#include "proxy/spool.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/descriptors.h"
#include "event/task.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct job job;

struct mg_spool {
    mg_loop *loop;
    const mg_spool_events *events;
    void *arg;
    mg_buf memory;  // all, or what is not handed to a thread yet
    uint64_t bytes; // in all
    uint64_t filed; // of them in the file, or on their way to it
    int fd;         // -1: none yet
    job *job;       // NULL: no thread is at work
};

// What a thread does; it touches nothing of the spool.
struct job {
    mg_task task;    // first
    mg_spool *owner; // NULL: it has gone, and the file is to be closed
    bool writes;
    int fd;
    mg_buf data; // to be written, or what was read
    uint64_t at;
    int rc;
};

// --- in a thread ---

// Without a name, so that it goes with its descriptor, whatever happens to the process.
static int open_file(void) {
    const char *folder = getenv("TMPDIR");
    folder = folder != NULL && folder[0] == '/' ? folder : "/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EOPNOTSUPP) {
        return fd >= 0 ? fd : -errno;
    }
    char path[512];
    snprintf(path, sizeof path, "%.480s/moongate.XXXXXX", folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    unlink(path);
    return fd;
}

static int write_all(const job *j) {
    size_t done = 0;
    while (done < j->data.n) {
        ssize_t n = pwrite(j->fd, j->data.p + done, j->data.n - done, (off_t)(j->at + done));
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int read_some(job *j) {
    ssize_t n;
    char *to = mg_buf_reserve(&j->data, MG_SPOOL_PIECE);
    do {
        n = pread(j->fd, to, MG_SPOOL_PIECE, (off_t)j->at);
    } while (n < 0 && errno == EINTR);
    j->data.n = n > 0 ? (size_t)n : 0;
    return n < 0 ? -errno : n == 0 ? -EIO : 0;
}

static void run(mg_task *t) {
    job *j = (job *)t;
    if (j->fd < 0) {
        j->fd = open_file();
        j->rc = j->fd < 0 ? j->fd : 0;
    }
    if (j->rc == 0) {
        j->rc = j->writes ? write_all(j) : read_some(j);
    }
}

// --- on the loop ---

static void close_file(mg_loop *loop, int fd) {
    if (fd >= 0) {
        close(fd); // nameless: nothing is waited for
    }
    mg_descriptors_release(loop, 1);
}

static void done(mg_task *t, int status) {
    job *j = (job *)t;
    mg_spool *s = j->owner;
    int rc = status != 0 ? status : j->rc;
    if (s == NULL) {
        close_file(t->loop, j->fd);
    } else {
        s->fd = j->fd < 0 ? -1 : j->fd;
        s->job = NULL;
        if (j->writes) {
            s->events->on_stored(s->arg, rc);
        } else {
            s->events->on_piece(s->arg, rc, j->at, mg_buf_str(&j->data));
        }
    }
    mg_buf_deinit(&j->data);
    mg_free(j);
}

static const mg_task_ops ops = {run, done};

static void start(mg_spool *s, job *j) {
    j->owner = s;
    j->fd = s->fd;
    s->job = j;
    int rc = mg_task_start(s->loop, &j->task, &ops);
    assert(rc == MG_OK); // of what is complete
    (void)rc;
}

// --- public ---

mg_spool *mg_spool_new(mg_loop *loop, const mg_spool_events *events, void *arg) {
    mg_spool *s = mg_malloc(sizeof *s);
    *s = (mg_spool){.loop = loop, .events = events, .arg = arg, .fd = -1};
    return s;
}

void mg_spool_free(mg_spool *s) {
    if (s == NULL) {
        return;
    }
    if (s->job != NULL) {
        s->job->owner = NULL; // it closes the file
    } else if (s->filed > 0) {
        close_file(s->loop, s->fd);
    }
    mg_buf_deinit(&s->memory);
    mg_free(s);
}

uint64_t mg_spool_bytes(const mg_spool *s) {
    return s->bytes;
}

bool mg_spool_in_memory(const mg_spool *s, mg_str *out) {
    *out = mg_buf_str(&s->memory);
    return s->filed == 0;
}

int mg_spool_add(mg_spool *s, mg_str piece) {
    mg_buf_append_str(&s->memory, piece);
    s->bytes += piece.n;
    if (s->filed == 0 && s->bytes <= MG_SPOOL_MEMORY) {
        return MG_OK;
    }
    if (s->filed == 0) {
        mg_descriptors_hold(s->loop, 1);
    }
    job *j = mg_calloc(1, sizeof *j);
    j->writes = true;
    j->data = s->memory;
    j->at = s->filed;
    s->memory = (mg_buf){0};
    s->filed = s->bytes;
    start(s, j);
    return MG_EAGAIN;
}

void mg_spool_read(mg_spool *s, uint64_t at) {
    job *j = mg_calloc(1, sizeof *j);
    j->at = at;
    start(s, j);
}
