#include "server/h1.h"

#include "server/h1_inside.h"
#include "server/server.h"

enum { BACKLOG_HIGH = 128 * 1024 }; // output waiting for the peer: no further request is begun

static mg_h1_exchange *under_way(const mg_conn *c) {
    return MG_OF(c->owner, mg_h1_exchange, owner);
}

void mg_h1_recycle(mg_h1_exchange *h) {
    mg_server *s = h->x.server;
    if (h->has_head) {
        mg_body_deinit(&h->body);
    }
    mg_exchange_give(&s->h1_exchanges, &h->x);
}

void mg_h1_done(mg_h1_exchange *h) {
    mg_conn *c = h->conn;
    bool complete = h->x.body_complete;
    bool unread = h->unparsed || !complete || mg_conn_held(c) > 0;
    bool persist = !h->close_after && !c->close_asked && !c->server->draining && complete;
    mg_h1_recycle(h);
    if (persist) {
        mg_conn_idle(c, &mg_h1_idle);
    } else {
        mg_conn_finish(c, unread);
    }
}

// --- the head ---

// The connection cannot be understood any more, and the app knows nothing of this.
static void refuse(mg_h1_exchange *h, mg_refusal refusal) {
    h->x.head.method = mg_method_of(h->reader.method_text); // HEAD gets no content
    h->x.head.method_text = h->reader.method_text;
    h->x.head.target_text = h->reader.target_text;
    mg_exchange_refuse(&h->x, refusal);
}

static void start(mg_h1_exchange *h) {
    mg_exchange *x = &h->x;
    x->app = x->server->apps[h->conn->app];
    x->secure = mg_tls_is(&h->conn->stream);
    x->protocol = x->head.minor > 0 ? MG_STR("HTTP/1.1") : MG_STR("HTTP/1.0");
    h->has_head = true;
    mg_body_init(&h->body, &x->head, &x->server->body_limits, &x->arena);
    x->body_complete = mg_body_complete(&h->body);
    x->body_ahead = h->body.left;
    mg_conn_busy(h->conn);
    mg_exchange_start(x);
}

// What is known of it is enough for the app to answer in its handler's place; the connection ends
// there.
static void start_refused(mg_h1_exchange *h) {
    h->x.body_refusal = h->reader.refusal;
    h->unparsed = h->close_after = true;
    start(h);
}

static size_t take_head(mg_h1_exchange *h, const char *data, size_t n) {
    size_t used = n;
    switch (mg_h1_read(&h->reader, data, n, &used, &h->x.head)) {
    case MG_H1_MORE:
        mg_conn_time_head(h->conn);
        return n;
    case MG_H1_BAD:
        if (h->reader.told) {
            start_refused(h);
        } else {
            refuse(h, h->reader.refusal);
        }
        return n;
    default:
        start(h);
        return used;
    }
}

static const mg_owner_ops exchange_ops;

static size_t take_first(mg_conn *c, const char *data, size_t n) {
    if (mg_conn_backlog(c) >= BACKLOG_HIGH) {
        return 0;
    }
    mg_server *s = c->server;
    mg_h1_exchange *h = mg_h1_of(mg_exchange_take(&s->h1_exchanges, s, &mg_h1_wire));
    h->owner.ops = &exchange_ops;
    h->conn = c;
    mg_h1_reader_init(&h->reader, &h->x.arena, &s->head_limits);
    mg_conn_begin(c, &h->owner);
    return take_head(h, data, n);
}

// Only empty lines came, which some old clients send behind a body: the connection is merely idle.
static bool has_nothing(const mg_h1_exchange *h) {
    const mg_guard *g = &h->reader.section.guard;
    return g->first_end == 0 && g->line_start == h->reader.section.n;
}

// No further request can come, though one may have begun.
static void give_up_head(mg_h1_exchange *h) {
    mg_conn *c = h->conn;
    mg_h1_recycle(h);
    mg_conn_finish(c, false);
}

static void on_head_late(mg_conn *c) {
    mg_h1_exchange *h = under_way(c);
    if (has_nothing(h)) {
        give_up_head(h);
    } else {
        refuse(h, (mg_refusal){408, "the request's head did not come in time", 0});
    }
}

// --- the body ---

// The rest of a body that is being read away may end the exchange.
static void body_has_moved(mg_h1_exchange *h) {
    mg_exchange *x = &h->x;
    x->body_ahead = h->body.left;
    x->body_complete = mg_body_complete(&h->body);
    if (x->body_complete) {
        x->trailers = h->body.trailers;
    }
    if (mg_exchange_body_progress(x) && x->body_complete && x->phase == MG_EXCHANGE_ANSWERED) {
        mg_h1_done(h);
    }
}

static size_t take_body(mg_h1_exchange *h, const char *data, size_t n) {
    size_t total = 0;
    for (;;) {
        size_t used = 0;
        mg_str piece;
        mg_body_verdict verdict = mg_body_read(&h->body, data + total, n - total, &used, &piece);
        total += used;
        if (verdict == MG_BODY_BAD) {
            mg_exchange_refuse_body(&h->x, h->body.refusal);
            return n;
        }
        if (verdict != MG_BODY_PIECE) {
            body_has_moved(h);
            return total;
        }
        h->x.body_ahead = h->body.left;
        if (!mg_exchange_take_piece(&h->x, piece)) {
            return n;
        }
    }
}

static size_t take(mg_conn *c, const char *data, size_t n) {
    mg_h1_exchange *h = under_way(c);
    if (c->state == MG_CONN_HEAD) {
        return take_head(h, data, n);
    }
    // What is pipelined behind the request waits for its answer.
    return mg_exchange_reads_body(&h->x) ? take_body(h, data, n) : 0;
}

// --- ends ---

static void on_idle_fin(mg_conn *c) {
    if (mg_conn_held(c) == 0) {
        mg_conn_finish(c, false);
    }
}

// All of the request under way that counts has come and may be served for a while, or it never
// will.
static void on_fin(mg_conn *c) {
    mg_h1_exchange *h = under_way(c);
    if (c->state == MG_CONN_HEAD) {
        if (mg_conn_held(c) == 0) {
            give_up_head(h);
        }
    } else if (!mg_exchange_reads_body(&h->x)) {
        mg_conn_arm(c);
    } else if (h->x.phase == MG_EXCHANGE_ANSWERED) {
        h->close_after = true;
        mg_h1_done(h);
    } else {
        mg_conn_close(c, MG_GONE_CLIENT);
    }
}

static void on_drained(mg_conn *c) {
    mg_exchange_writable(&under_way(c)->x);
}

static bool on_closed(mg_conn *c, mg_gone why) {
    mg_h1_exchange *h = under_way(c);
    bool looks_whole = mg_h1_ends_with_close(h);
    mg_exchange_lost(&h->x, why);
    mg_h1_recycle(h);
    return looks_whole;
}

static void on_nothing(mg_conn *c) {
    (void)c;
}

static const mg_owner_ops exchange_ops = {take,         on_fin,     on_drained,
                                          on_head_late, on_nothing, on_closed};

static bool on_idle_closed(mg_conn *c, mg_gone why) {
    (void)c;
    (void)why;
    return false;
}

static const mg_owner_ops idle_ops = {take_first, on_idle_fin, on_nothing,
                                      on_nothing, on_nothing,  on_idle_closed};
mg_owner mg_h1_idle = {&idle_ops};
