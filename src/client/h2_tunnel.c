// Calls that have switched (RFC 8441): their streams are tunnels, whose owners they outlive by what
// still has to leave. On its connection a tunnel keeps the place of its call.

#include "client/h2_session.h"

enum {
    BACKLOG_HIGH = 64 * 1024, // whoever sends has to wait
    LINGER_MS = 5000,         // for a server that takes nothing, or says nothing, behind our end
};

static mg_h2_call *of(const mg_tunnel *t) {
    return t->carrier;
}

// --- its end ---

static void let_go(mg_h2_call *e) {
    e->gone = true;
    mg_timer_stop(&e->linger);
    mg_buf_deinit(&e->waiting);
    mg_buf_deinit(&e->held);
    mg_link_remove(&e->link);
    mg_link_append(&e->session->left, &e->link);
}

// Once: whoever is told of something may have ended it meanwhile.
static void release(mg_h2_call *e) {
    const mg_h2_session *s = e->session;
    if (e->gone) {
        return;
    }
    let_go(e);
    mg_outbound_return(s->c, !s->over && !mg_h2_is_final(&s->h2));
}

// Nobody owns it any more, and both sides have ended.
static void release_if_over(mg_h2_call *e) {
    if (e->tunnel == NULL && mg_h2_is_closed(&e->stream)) {
        release(e);
    }
}

static void reset(mg_h2_call *e) {
    mg_h2_session *s = e->session;
    mg_h2_send_reset(&s->h2, &e->stream, &s->out, MG_H2_CANCEL);
    release(e);
}

static void lose(mg_h2_call *e) {
    mg_tunnel *t = e->tunnel;
    e->tunnel = NULL;
    release(e);
    if (t != NULL) {
        t->events->on_closed(t, MG_GONE_CLIENT);
    }
}

// What came before that is given first.
void mg_h2_switched_lost(mg_h2_call *e) {
    e->lost = true;
    if (e->tunnel == NULL || !e->resting) {
        lose(e);
    }
}

void mg_h2_switched_drop(mg_h2_call *e) {
    mg_tunnel *t = e->tunnel;
    e->tunnel = NULL;
    let_go(e);
    if (t != NULL) {
        t->events->on_closed(t, MG_GONE_STOP);
    }
}

// --- what comes ---

static void give(mg_h2_call *e, mg_str data) {
    mg_h2_session *s = e->session;
    mg_h2_taken(&s->h2, &e->stream, &s->out, data.n);
    if (e->tunnel != NULL && data.n > 0) {
        e->tunnel->events->on_read(e->tunnel, data);
    }
}

// Behind all that came: the server's end, or that of all.
static void tell_end(mg_h2_call *e) {
    mg_tunnel *t = e->tunnel;
    if (t != NULL && !e->resting && e->complete && !t->fin) {
        t->fin = true;
        t->events->on_fin(t);
    }
    if (e->tunnel != NULL && !e->resting && e->lost) {
        lose(e);
    }
}

void mg_h2_switched_data(mg_h2_call *e, const mg_h2_event *ev) {
    e->complete = ev->end;
    if (e->tunnel != NULL && e->resting) {
        mg_buf_append_str(&e->held, ev->piece); // at most the stream's window
        return;
    }
    give(e, ev->piece);
    tell_end(e);
    release_if_over(e);
}

void mg_h2_switched_drained(mg_h2_call *e) {
    if (e->tunnel != NULL) {
        e->tunnel->events->on_drained(e->tunnel);
    } else {
        release_if_over(e);
    }
}

static void give_held(mg_h2_call *e) {
    mg_buf held = e->held;
    e->held = (mg_buf){0};
    give(e, mg_buf_str(&held));
    mg_buf_deinit(&held);
    tell_end(e);
}

// --- what its owner wants ---

static int write_out(mg_tunnel *t, mg_str data) {
    mg_h2_call *e = of(t);
    return e->ending ? MG_ECLOSED : mg_h2_call_write(e, data, BACKLOG_HIGH);
}

static size_t backlog(const mg_tunnel *t) {
    return mg_h2_call_waiting(of(t)).n;
}

static void pause_reading(mg_tunnel *t) {
    of(t)->resting = true;
}

static void resume_reading(mg_tunnel *t) {
    mg_h2_call *e = of(t);
    mg_h2_session *s = e->session;
    if (e->resting) {
        bool outermost = mg_h2_session_begin(s);
        e->resting = false;
        give_held(e);
        (void)mg_h2_session_end(s, outermost);
    }
}

static void shut_down(mg_tunnel *t) {
    mg_h2_call_write_end(of(t));
}

static void on_linger(mg_timer *timer) {
    mg_h2_call *e = MG_OF(timer, mg_h2_call, linger);
    mg_h2_session *s = e->session;
    bool outermost = mg_h2_session_begin(s);
    reset(e);
    (void)mg_h2_session_end(s, outermost);
}

// What waits still leaves; the server's end is waited for, since a reset might overtake it.
static void close_gracefully(mg_tunnel *t) {
    mg_h2_call *e = of(t);
    mg_h2_session *s = e->session;
    bool outermost = mg_h2_session_begin(s);
    e->tunnel = NULL;
    mg_buf held = e->held;
    e->held = (mg_buf){0};
    mg_h2_taken(&s->h2, &e->stream, &s->out, held.n);
    mg_buf_deinit(&held);
    mg_h2_call_write_end(e);
    if (e->lost || mg_h2_is_closed(&e->stream)) {
        release(e);
    } else {
        mg_timer_start(s->c->client->loop, &e->linger, LINGER_MS, 0, on_linger);
    }
    (void)mg_h2_session_end(s, outermost);
}

// As a TCP connection would be reset (RFC 8441 section 5).
static void abort_all(mg_tunnel *t) {
    mg_h2_call *e = of(t);
    mg_h2_session *s = e->session;
    bool outermost = mg_h2_session_begin(s);
    e->tunnel = NULL;
    reset(e);
    (void)mg_h2_session_end(s, outermost);
}

static const mg_tunnel_ops stream_ops = {
    .write = write_out,
    .backlog = backlog,
    .pause = pause_reading,
    .resume = resume_reading,
    .shutdown = shut_down,
    .close = close_gracefully,
    .abort = abort_all,
};

// --- taking over ---

void mg_h2_call_take_over(mg_call *call, mg_tunnel *t) {
    mg_h2_call *e = *mg_call_stream(call);
    mg_h2_session *s = e->session;
    t->ops = &stream_ops;
    t->carrier = e;
    t->fin = false;
    e->call = NULL;
    e->tunnel = t;
    e->resting = false;
    e->lost |= e->broken;
    mg_link_remove(&e->link);
    mg_link_append(&s->tunnels, &e->link);
    mg_outbound_lend(s->c, call);
    bool outermost = mg_h2_session_begin(s);
    give_held(e);
    (void)mg_h2_session_end(s, outermost);
}
