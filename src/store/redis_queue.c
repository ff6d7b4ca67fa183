// The calls of a connection: in order, since replies come in order. A call that is over before its
// replies leaves its place behind, empty.

#include "store/redis_conn_inside.h"

#include "base/mem.h"

#include <stdio.h>

enum { OUT_KEPT = 64 * 1024, STREAM_AHEAD = 64 * 1024, WANTED_MS = 60 * 1000 };

const char mg_redis_conn_full[] =
    "more commands wait for it than queue=N in the URL allows, or more than 32 MiB of them";

static void on_timer(mg_timer *t);

static mg_redis_expected *place(const mg_redis_queue *q, uint64_t number) {
    return &q->items[number & q->mask];
}

bool mg_redis_queue_is_empty(const mg_redis_queue *q) {
    return q->first == q->end;
}

static void make_room(mg_redis_queue *q) {
    uint64_t used = q->end - q->first;
    if (q->items != NULL && used <= q->mask) {
        return;
    }
    uint32_t mask = q->items == NULL ? 15 : q->mask * 2 + 1;
    mg_redis_expected *items = mg_malloc(((size_t)mask + 1) * sizeof *items);
    for (uint64_t n = q->first; n < q->end; n++) {
        items[n & mask] = *place(q, n);
    }
    mg_free(q->items);
    q->items = items;
    q->mask = mask;
}

void mg_redis_queue_deinit(mg_redis_queue *q) {
    mg_free(q->items);
    mg_buf_deinit(&q->out);
}

// --- beginning and end of a call ---

static void start_deadline(mg_redis_conn *c, mg_redis_call *call) {
    mg_deadlines *shared = c->o.deadlines;
    mg_deadline_init(&call->deadline);
    call->timer = (mg_timer){0};
    if (call->timeout_ms == 0) {
        return;
    }
    if (shared != NULL && call->timeout_ms == shared->wait_ms) {
        mg_deadline_start(shared, &call->deadline);
    } else {
        mg_timer_start(c->loop, &call->timer, call->timeout_ms, 0, on_timer);
    }
}

static void finish(mg_redis_call *call) {
    mg_deadline_stop(&call->deadline);
    mg_timer_stop(&call->timer);
    call->conn = NULL;
}

int mg_redis_conn_send(mg_redis_conn *c, mg_redis_call *call, mg_str commands, uint32_t count) {
    mg_redis_queue *q = &c->queue;
    uint64_t now = mg_loop_now_ms(c->loop);
    c->wanted_until_ms = now + WANTED_MS;
    if (!mg_redis_conn_usable(c)) {
        mg_redis_conn_dial(c);
        return MG_ECLOSED;
    }
    bool too_many = q->end - q->first >= c->o.queue;
    bool too_much = q->out.n > 0 && q->out.n + commands.n > c->o.queue_bytes;
    if (too_many || too_much || commands.n > UINT32_MAX) {
        return MG_ELIMIT;
    }
    make_room(q);
    *place(q, q->end) = (mg_redis_expected){call, count, (uint32_t)commands.n};
    mg_buf_append_str(&q->out, commands);
    call->conn = c;
    call->number = q->end++;
    call->since_ms = now;
    start_deadline(c, call);
    if (c->state == MG_REDIS_READY) {
        mg_redis_conn_dirty(c);
    } else {
        mg_redis_conn_dial(c);
    }
    return MG_OK;
}

static void leave(mg_redis_conn *c, mg_redis_call *call) {
    mg_redis_queue *q = &c->queue;
    place(q, call->number)->call = NULL;
    q->unwanted += call->number >= q->sent;
    finish(call);
}

void mg_redis_call_cancel(mg_redis_call *call) {
    leave(call->conn, call);
}

// --- deadlines ---

// Nothing has come since the call began: it is not this command that takes long.
static bool is_stuck(const mg_redis_conn *c, const mg_redis_call *call) {
    return c->state == MG_REDIS_READY && call->number < c->queue.sent &&
           c->read_ms <= call->since_ms;
}

// Its wait, which is that of most calls, has passed before it could be sent.
static bool is_unreached(const mg_redis_conn *c, const mg_redis_call *call) {
    bool opens = c->state == MG_REDIS_CONNECTING || c->state == MG_REDIS_GREETING;
    return opens && c->o.deadlines != NULL && call->timeout_ms >= c->o.deadlines->wait_ms;
}

static void time_out(mg_redis_call *call) {
    char text[256];
    mg_redis_conn *c = call->conn;
    bool stuck = is_stuck(c, call);
    if (is_unreached(c, call)) { // who asks next need not wait as long to learn the same
        c->down = true;
        mg_error_set(&c->why, MG_ECLOSED, "%s: it does not answer", c->o.name);
    }
    bool sent = call->number < c->queue.sent;
    snprintf(text, sizeof text, "%s %s within %g s", c->o.name,
             sent ? "has not answered" : "could not be asked", (double)call->timeout_ms / 1000);
    leave(c, call);
    c->holds++;
    call->on_fault(call, &(mg_redis_fault){"timeout", text, sent});
    if (stuck && c->state == MG_REDIS_READY) {
        mg_redis_conn_lose(c, "timeout", "it has stopped answering", true);
    }
    mg_redis_conn_release(c);
}

static void on_timer(mg_timer *t) {
    time_out(MG_OF(t, mg_redis_call, timer));
}

void mg_redis_call_late(mg_deadlines *q, mg_deadline *d) {
    (void)q;
    time_out(MG_OF(d, mg_redis_call, deadline));
}

// --- sending ---

// What nobody wants any more goes out of what is to be sent.
static void drop_unwanted(mg_redis_queue *q) {
    uint64_t kept = q->sent;
    size_t from = 0;
    size_t to = 0;
    for (uint64_t n = q->sent; n < q->end; n++) {
        mg_redis_expected e = *place(q, n);
        if (e.call != NULL) {
            memmove(q->out.p + to, q->out.p + from, e.bytes);
            to += e.bytes;
            e.call->number = kept;
            *place(q, kept++) = e;
        }
        from += e.bytes;
    }
    q->out.n = to;
    q->end = kept;
    q->unwanted = 0;
}

void mg_redis_queue_flush(mg_redis_conn *c) {
    mg_redis_queue *q = &c->queue;
    if (q->unwanted > 0) {
        drop_unwanted(q);
    }
    if (q->out.n == 0 || c->stream.queued > STREAM_AHEAD) {
        return; // on_drain comes back to it
    }
    const struct iovec v = {q->out.p, q->out.n};
    int rc = mg_stream_write(&c->stream, &v, 1);
    if (rc != 0) {
        mg_redis_conn_lose(c, "closed", mg_strerror(rc), false);
        return;
    }
    if (q->first == q->sent) {
        q->head_ms = mg_loop_now_ms(c->loop);
    }
    q->sent = q->end;
    q->out.n = 0;
    if (q->out.cap > OUT_KEPT) {
        mg_buf_deinit(&q->out);
    }
}

// --- replies ---

void mg_redis_queue_reply(mg_redis_conn *c, const mg_redis_reply *r) {
    mg_redis_queue *q = &c->queue;
    if (q->first == q->sent) {
        mg_redis_conn_lose(c, "protocol", "a reply came that nobody had asked for", true);
        return;
    }
    mg_redis_expected *e = place(q, q->first);
    mg_redis_call *call = e->call;
    uint32_t left = --e->left;
    if (left == 0) {
        q->first++;
        q->head_ms = mg_loop_now_ms(c->loop);
        if (call != NULL) {
            finish(call);
        }
    }
    if (call != NULL) {
        call->on_reply(call, r, left);
    }
}

void mg_redis_queue_fail(mg_redis_conn *c, const char *code, const char *text) {
    mg_redis_queue *q = &c->queue;
    uint64_t sent = q->sent;
    uint64_t end = q->end;
    q->out.n = 0;
    q->sent = q->end; // what begins meanwhile stands behind that
    q->unwanted = 0;
    while (q->first < end) {
        mg_redis_fault fault = {code, text, q->first < sent};
        mg_redis_call *call = place(q, q->first++)->call;
        if (call != NULL) {
            finish(call);
            call->on_fault(call, &fault);
        }
    }
}

void mg_redis_queue_forget(mg_redis_conn *c) {
    mg_redis_queue *q = &c->queue;
    while (q->first < q->end) {
        mg_redis_call *call = place(q, q->first++)->call;
        if (call != NULL) {
            finish(call);
        }
    }
    q->out.n = 0;
    q->sent = q->end;
    q->unwanted = 0;
}
