#include "gate/helper.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "event/poll.h"
#include "event/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

struct mg_helper {
    mg_process *process; // NULL: reaped, or never started
    mg_poll *poll;
    int pipe;
    mg_buf said;
    mg_timer limit;
    void (*on_end)(void *arg, int status, mg_str said);
    void *arg;
};

static void on_said(void *arg, int events) {
    mg_helper *h = arg;
    (void)events;
    ssize_t n;
    do {
        n = read(h->pipe, mg_buf_reserve(&h->said, 4096), 4096);
        h->said.n += n > 0 ? (size_t)n : 0;
        if (h->said.n > MG_HELPER_SAID_BYTES) {
            mg_buf_consume(&h->said, h->said.n - MG_HELPER_SAID_BYTES);
        }
    } while (n > 0);
    if (n == 0) {
        mg_poll_want(h->poll, 0);
    }
}

// Its process, if it still lives, goes too.
static void release(mg_helper *h) {
    if (h->process != NULL) {
        mg_process_kill(h->process, SIGKILL);
        mg_process_disown(h->process);
    }
    mg_timer_stop(&h->limit);
    mg_poll_close(h->poll); // before its descriptor
    close(h->pipe);
    mg_buf_deinit(&h->said);
    mg_free(h);
}

static void end(mg_helper *h, int status) {
    void (*on_end)(void *, int, mg_str) = h->on_end;
    void *arg = h->arg;
    mg_buf said = h->said;
    h->said = (mg_buf){0};
    release(h);
    on_end(arg, status, mg_buf_str(&said));
    mg_buf_deinit(&said);
}

static void on_exit(void *arg, mg_process *p, int status) {
    mg_helper *h = arg;
    (void)p;
    h->process = NULL;
    on_said(h, 0);
    end(h, status);
}

static void on_late(mg_timer *t) {
    end(MG_OF(t, mg_helper, limit), MG_HELPER_LATE);
}

void mg_helper_drop(mg_helper *h) {
    if (h != NULL) {
        release(h);
    }
}

static int start(mg_helper *h, const mg_helper_options *o, int out) {
    int rc = mg_poll_open(&h->poll, o->loop, h->pipe, on_said, h);
    if (rc != MG_OK) {
        return rc;
    }
    mg_poll_want(h->poll, MG_POLL_READ);
    mg_process_options process = {.file = o->file,
                                  .argv = o->argv,
                                  .fds = o->fds,
                                  .fd_count = o->fd_count,
                                  .in = -1,
                                  .out = out,
                                  .err = out};
    rc = mg_process_start(&h->process, o->processes, &process, on_exit, h);
    if (rc == MG_OK) {
        mg_timer_start(o->loop, &h->limit, o->limit_ms, 0, on_late);
    }
    return rc;
}

int mg_helper_start(mg_helper **out, const mg_helper_options *o,
                    void (*on_end)(void *arg, int status, mg_str said), void *arg) {
    int pipes[2];
    *out = NULL;
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        return -errno;
    }
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    mg_helper *h = mg_calloc(1, sizeof *h);
    h->pipe = pipes[0];
    h->on_end = on_end;
    h->arg = arg;
    int rc = start(h, o, pipes[1]);
    close(pipes[1]);
    if (rc != MG_OK) {
        h->process = NULL;
        release(h);
        return rc;
    }
    *out = h;
    return MG_OK;
}
