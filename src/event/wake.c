#include "event/wake.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"

struct mg_wake {
    uv_async_t async;
    void (*on_wake)(void *arg);
    void *arg;
    bool expected;
};

static void on_async(uv_async_t *h);
static void on_closed(uv_handle_t *h);

int mg_wake_open(mg_wake **out, mg_loop *loop, void (*on_wake)(void *arg), void *arg) {
    mg_wake *w = mg_malloc(sizeof *w);
    int rc = uv_async_init(&loop->uv, &w->async, on_async);
    if (rc != 0) {
        mg_free(w);
        return rc;
    }
    uv_unref((uv_handle_t *)&w->async);
    w->async.data = w;
    w->on_wake = on_wake;
    w->arg = arg;
    w->expected = false;
    *out = w;
    return MG_OK;
}

void mg_wake_send(mg_wake *w) {
    uv_async_send(&w->async);
}

void mg_wake_expect(mg_wake *w, bool expected) {
    if (w->expected == expected) {
        return;
    }
    w->expected = expected;
    mg_loop *loop = mg_loop_of(w->async.loop);
    if (expected) {
        loop->tasks++;
        uv_ref((uv_handle_t *)&w->async);
    } else {
        loop->tasks--;
        uv_unref((uv_handle_t *)&w->async);
    }
}

void mg_wake_close(mg_wake *w) {
    if (w != NULL) {
        mg_wake_expect(w, false);
        uv_close((uv_handle_t *)&w->async, on_closed);
    }
}

static void on_async(uv_async_t *h) {
    mg_wake *w = h->data;
    mg_loop_note(mg_loop_of(h->loop));
    w->on_wake(w->arg);
}

static void on_closed(uv_handle_t *h) {
    mg_free(h->data);
}
