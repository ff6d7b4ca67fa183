// Streams that are tunnels: CONNECT (RFC 9113 section 8.5), and protocols that HTTP/1.1 would
// switch to (RFC 8441).

#include "server/h2_inside.h"
#include "server/server.h"

static mg_h2_exchange *of(const mg_tunnel *t) {
    return t->carrier;
}

// --- what comes ---

static void give(mg_h2_exchange *e, mg_str data) {
    mg_h2_conn *h = e->via;
    if (!mg_h2_is_closed(&e->stream)) {
        mg_h2_taken(&h->h2, &e->stream, mg_conn_out(h->conn), data.n);
    }
    e->tunnel->events->on_read(e->tunnel, data);
}

static void tell_fin(mg_h2_exchange *e) {
    if (e->tunnel != NULL && e->x.body_complete && !e->paused && !e->tunnel->fin) {
        e->tunnel->fin = true;
        e->tunnel->events->on_fin(e->tunnel);
    }
}

// What came while nobody wanted it.
static void give_kept(mg_h2_exchange *e) {
    mg_buf kept = e->x.content;
    e->x.content = (mg_buf){0};
    if (kept.n > 0) {
        give(e, mg_buf_str(&kept));
        mg_buf_deinit(&kept);
    }
}

void mg_h2_tunnel_read(mg_h2_exchange *e, mg_str data, bool end) {
    e->x.body_complete |= end;
    if (e->tunnel == NULL || e->paused || e->x.content.n > 0) {
        mg_buf_append_str(&e->x.content, data); // at most the stream's window
        return;
    }
    mg_h2_arm(e);
    if (data.n > 0) {
        give(e, data);
    }
    tell_fin(e);
}

void mg_h2_tunnel_drained(mg_h2_exchange *e) {
    e->tunnel->events->on_drained(e->tunnel);
}

void mg_h2_tunnel_late(mg_deadline *d) {
    mg_h2_exchange_reset(MG_OF(d, mg_h2_exchange, deadline), MG_H2_CANCEL);
}

// --- what its owner wants ---

static int write_out(mg_tunnel *t, mg_str data) {
    mg_h2_exchange *e = of(t);
    return e->ending ? MG_ECLOSED : mg_h2_content(e, data, false);
}

static size_t backlog(const mg_tunnel *t) {
    return mg_h2_waiting(of(t));
}

static void pause_reading(mg_tunnel *t) {
    of(t)->paused = true;
}

static void resume_reading(mg_tunnel *t) {
    mg_h2_exchange *e = of(t);
    if (e->paused) {
        e->paused = false;
        give_kept(e);
        tell_fin(e);
    }
}

static void end_output(mg_h2_exchange *e) {
    e->ending = true;
    if (mg_h2_waiting(e) == 0 && !mg_h2_is_closed(&e->stream) && !e->stream.end_sent) {
        mg_h2_send_end(&e->via->h2, &e->stream, mg_conn_out(e->via->conn), NULL);
    }
}

static void shut_down(mg_tunnel *t) {
    end_output(of(t));
}

static void close_gracefully(mg_tunnel *t) {
    mg_h2_exchange *e = of(t);
    e->tunnel = NULL;
    e->deaf = true;
    end_output(e);
    mg_h2_arm(e);
    mg_h2_answered(e);
}

static void abort_all(mg_tunnel *t) {
    mg_h2_exchange *e = of(t);
    e->tunnel = NULL;
    mg_h2_exchange_reset(e, MG_H2_CONNECT_ERROR);
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

const char *mg_h2_may_take_over(const mg_exchange *x, mg_str protocol) {
    const mg_h2_exchange *e = mg_h2_exchange_of(x);
    if (protocol.n == 0) {
        return x->head.method == MG_METHOD_CONNECT ? NULL : "the request is no CONNECT";
    }
    bool asked = e->protocol.n > 0 && mg_str_ieq(e->protocol, protocol);
    return asked ? NULL : "the client did not ask for that protocol";
}

void mg_h2_take_over(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t) {
    mg_h2_exchange *e = mg_h2_exchange_of(x);
    mg_h2_conn *h = e->via;
    mg_server *s = x->server;
    const mg_answer_head head = {
        .status = protocol.n > 0 ? 200 : a->status,
        .kind = MG_LENGTH_NONE,
        .fields = &a->fields,
        .date = mg_server_date(s),
    };
    mg_h2_send_answer(&h->h2, &e->stream, mg_conn_out(h->conn), &head, false);
    t->ops = &stream_ops;
    t->carrier = e;
    t->fin = false;
    e->tunnel = t;
    x->body_complete = e->stream.ended;
    mg_h2_arm(e);
    bool outermost = mg_h2_conn_begin_work(h);
    give_kept(e);
    tell_fin(e);
    if (e->tunnel == t && s->draining) {
        t->events->on_stop(t);
    }
    mg_h2_conn_end_work(h, outermost);
}
