#include "event/poll.h"

#include "base/error.h"
#include "base/mem.h"
#include "event/loop_inside.h"

struct mg_poll {
    uv_poll_t uv;
    int wanted;
    bool awaited; // counted in the loop
    void (*on_ready)(void *arg, int events);
    void *arg;
};

static void on_uv_poll(uv_poll_t *h, int status, int events);
static void on_closed(uv_handle_t *h);

_Static_assert((int)MG_POLL_READ == (int)UV_READABLE && (int)MG_POLL_WRITE == (int)UV_WRITABLE,
               "events are passed to and from libuv as they are");

int mg_poll_open(mg_poll **out, mg_loop *loop, int fd, void (*on_ready)(void *arg, int events),
                 void *arg) {
    mg_poll *p = mg_malloc(sizeof *p);
    int rc = uv_poll_init(&loop->uv, &p->uv, fd);
    if (rc != 0) {
        mg_free(p);
        return rc;
    }
    p->uv.data = p;
    p->wanted = 0;
    p->awaited = false;
    p->on_ready = on_ready;
    p->arg = arg;
    loop->descriptors++;
    *out = p;
    return MG_OK;
}

int mg_poll_want(mg_poll *p, int events) {
    if (events == p->wanted) {
        return MG_OK;
    }
    p->wanted = events;
    return events == 0 ? uv_poll_stop(&p->uv) : uv_poll_start(&p->uv, events, on_uv_poll);
}

static void set_awaited(mg_poll *p, bool awaited) {
    mg_loop *loop = mg_loop_of(p->uv.loop);
    loop->awaited += awaited && !p->awaited;
    loop->awaited -= !awaited && p->awaited;
    p->awaited = awaited;
}

void mg_poll_idle(mg_poll *p, bool idle) {
    set_awaited(p, !idle);
    if (idle) {
        uv_unref((uv_handle_t *)&p->uv);
    } else {
        uv_ref((uv_handle_t *)&p->uv);
    }
}

void mg_poll_close(mg_poll *p) {
    if (p != NULL) {
        mg_loop *loop = mg_loop_of(p->uv.loop);
        set_awaited(p, false);
        uv_close((uv_handle_t *)&p->uv, on_closed);
        loop->descriptors--; // its owner closes it now
        mg_loop_descriptor_released(loop);
    }
}

static void on_uv_poll(uv_poll_t *h, int status, int events) {
    mg_poll *p = h->data;
    mg_loop_note(mg_loop_of(h->loop));
    if (status < 0) {
        p->wanted = 0; // libuv has stopped watching
        events = MG_POLL_READ | MG_POLL_WRITE;
    }
    p->on_ready(p->arg, events);
}

static void on_closed(uv_handle_t *h) {
    mg_free(h->data);
}
