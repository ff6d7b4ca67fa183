#include "event/signal.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"

#include <signal.h>

struct mg_signal {
    uv_signal_t uv;
    void (*on_signal)(void *arg, int signum);
    void *arg;
};

static void on_uv_signal(uv_signal_t *h, int signum);
static void on_closed(uv_handle_t *h);

int mg_signal_open(mg_signal **out, mg_loop *loop, int signum,
                   void (*on_signal)(void *arg, int signum), void *arg) {
    mg_signal *s = mg_malloc(sizeof *s);
    int rc = uv_signal_init(&loop->uv, &s->uv);
    if (rc != 0) {
        mg_free(s);
        return rc;
    }
    s->uv.data = s;
    s->on_signal = on_signal;
    s->arg = arg;
    uv_unref((uv_handle_t *)&s->uv);
    rc = uv_signal_start(&s->uv, on_uv_signal, signum);
    if (rc != 0) {
        mg_signal_close(s);
        return rc;
    }
    *out = s;
    return MG_OK;
}

void mg_signal_close(mg_signal *s) {
    if (s != NULL) {
        uv_close((uv_handle_t *)&s->uv, on_closed);
    }
}

void mg_signal_ignore_shared(void) {
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        signal(ignored[i], SIG_IGN);
    }
}

static void on_uv_signal(uv_signal_t *h, int signum) {
    mg_signal *s = h->data;
    mg_loop_note(mg_loop_of(h->loop));
    s->on_signal(s->arg, signum);
}

static void on_closed(uv_handle_t *h) {
    mg_free(h->data);
}
