#include "server/h2.h"

#include "base/mem.h"
#include "server/h1.h"
#include "server/h2_inside.h"
#include "server/server.h"

enum { BACKLOG_HIGH = 256 * 1024 }; // output waiting for the peer: what it sends waits as well

static const mg_owner_ops conn_ops;

static mg_h2_conn *of(const mg_conn *c) {
    return MG_OF(c->owner, mg_h2_conn, owner);
}

static mg_h2_exchange *of_stream(mg_h2_stream *s) {
    return MG_OF(s, mg_h2_exchange, stream);
}

// --- limits ---

void mg_h2_policy_set(mg_h2_policy **p, const mg_h2_limits *limits) {
    mg_h2_policy *old = *p;
    if (old != NULL && limits != NULL && memcmp(&old->limits, limits, sizeof *limits) == 0) {
        return;
    }
    *p = NULL;
    if (limits != NULL) {
        *p = mg_malloc(sizeof **p);
        **p = (mg_h2_policy){*limits, 1};
    }
    if (old != NULL && --old->refs == 0) {
        mg_free(old);
    }
}

// --- which wire ---

static size_t look(mg_conn *c, const char *data, size_t n) {
    static const char preface[] = {'P', 'R', 'I', ' '}; // no method of HTTP/1.1 (RFC 9113 3.4)
    size_t seen = n < sizeof preface ? n : sizeof preface;
    if (memcmp(data, preface, seen) != 0) {
        mg_conn_idle(c, &mg_h1_idle);
    } else if (seen < sizeof preface) {
        mg_conn_time_head(c);
        return 0;
    } else {
        mg_h2_conn_open(c);
    }
    return c->owner->ops->take(c, data, n);
}

static void on_look_end(mg_conn *c) {
    mg_conn_finish(c, false);
}

static void on_nothing(mg_conn *c) {
    (void)c;
}

static bool on_look_closed(mg_conn *c, mg_gone why) {
    (void)c;
    (void)why;
    return false;
}

static const mg_owner_ops look_ops = {look,        on_look_end, on_nothing,
                                      on_look_end, on_nothing,  on_look_closed};
mg_owner mg_h2_or_h1 = {&look_ops};

// --- life ---

void mg_h2_conn_open(mg_conn *c) {
    mg_server *s = c->server;
    mg_h2_conn *h = mg_calloc(1, sizeof *h);
    h->owner.ops = &conn_ops;
    h->conn = c;
    h->policy = s->h2_policy;
    h->policy->refs++;
    mg_link_init(&h->exchanges);
    mg_deadline_init(&h->head);
    mg_deadline_init(&h->rest);
    mg_deadline_start(&s->h2_head, &h->head);
    mg_h2_init(&h->h2, false, &h->policy->limits, mg_conn_out(c));
    mg_conn_idle(c, &h->owner);
}

static void free_conn(mg_h2_conn *h) {
    mg_deadline_stop(&h->head);
    mg_deadline_stop(&h->rest);
    mg_h2_deinit(&h->h2);
    mg_h2_policy_set(&h->policy, NULL);
    mg_free(h);
}

static void lose(mg_h2_exchange *e, mg_gone why) {
    mg_tunnel *t = e->tunnel;
    e->tunnel = NULL;
    if (t != NULL) {
        t->events->on_closed(t, why);
    } else {
        mg_exchange_lost(&e->x, why);
    }
}

static void recycle(mg_h2_exchange *e) {
    mg_server *s = e->x.server;
    mg_deadline_stop(&e->deadline);
    mg_h2_drop_waiting(e);
    mg_link_remove(&e->link);
    mg_exchange_give(&s->h2_exchanges, &e->x);
}

static void lose_all(mg_h2_conn *h, mg_gone why) {
    while (!mg_link_alone(&h->exchanges)) {
        mg_h2_exchange *e = MG_OF(h->exchanges.next, mg_h2_exchange, link);
        lose(e, why);
        recycle(e);
    }
}

// --- the connection's state, once all that can be done is done ---

// Nothing is under way. What could be made again is kept for a while: who asks one thing after the
// other is idle after each.
static void rest(mg_h2_conn *h) {
    mg_conn *c = h->conn;
    if (h->left) {
        free_conn(h);
        mg_conn_finish(c, !c->fin);
    } else if (c->state == MG_CONN_BUSY) {
        mg_conn_idle(c, &h->owner);
        if (mg_link_alone(&h->rest.link)) {
            mg_deadline_start(&c->server->h2_rest, &h->rest);
        }
    }
}

// Whoever is busy now begins to wait again when it is idle.
void mg_h2_rest_due(mg_deadline *d) {
    mg_h2_conn *h = MG_OF(d, mg_h2_conn, rest);
    if (mg_link_alone(&h->exchanges)) {
        mg_h2_rest(&h->h2);
    }
}

static void end(mg_h2_conn *h) {
    mg_conn *c = h->conn;
    lose_all(h, MG_GONE_CLIENT);
    free_conn(h);
    mg_conn_finish(c, true);
}

static void time_head(mg_h2_conn *h) {
    if (!mg_h2_is_waiting(&h->h2)) {
        mg_deadline_stop(&h->head);
    } else if (mg_link_alone(&h->head.link)) {
        mg_deadline_start(&h->conn->server->h2_head, &h->head);
    }
}

bool mg_h2_conn_begin_work(mg_h2_conn *h) {
    bool outermost = !h->working;
    h->working = true;
    return outermost;
}

void mg_h2_conn_end_work(mg_h2_conn *h, bool outermost) {
    if (!outermost) {
        return;
    }
    if (!h->gone) {
        mg_h2_pump(h);
    }
    h->working = false;
    if (h->gone) {
        free_conn(h);
    } else if (h->over) {
        end(h);
    } else if (mg_link_alone(&h->exchanges)) {
        rest(h);
    }
}

void mg_h2_exchange_over(mg_h2_exchange *e) {
    mg_h2_conn *h = e->via;
    bool outermost = mg_h2_conn_begin_work(h);
    recycle(e);
    mg_h2_conn_end_work(h, outermost);
}

void mg_h2_exchange_reset(mg_h2_exchange *e, mg_h2_code code) {
    mg_h2_conn *h = e->via;
    bool outermost = mg_h2_conn_begin_work(h);
    if (!mg_h2_is_closed(&e->stream)) {
        mg_h2_send_reset(&h->h2, &e->stream, mg_conn_out(h->conn), code);
    }
    lose(e, MG_GONE_CLIENT);
    recycle(e);
    mg_h2_conn_end_work(h, outermost);
}

void mg_h2_conn_leave(mg_h2_conn *h) {
    if (!h->leaving && !h->over) {
        h->leaving = true;
        mg_buf *out = mg_conn_out(h->conn);
        mg_h2_send_goaway(&h->h2, out, false);
        mg_h2_send_ping(&h->h2, out);
    }
}

static void leave_for_good(mg_h2_conn *h) {
    if (h->leaving && !h->left) {
        h->left = true;
        mg_h2_send_goaway(&h->h2, mg_conn_out(h->conn), true);
    }
}

// --- events ---

static void open_stream(mg_h2_conn *h) {
    mg_server *s = h->conn->server;
    mg_h2_exchange *e = mg_h2_exchange_of(mg_exchange_take(&s->h2_exchanges, s, &mg_h2_wire));
    e->via = h;
    mg_deadline_init(&e->deadline);
    mg_link_append(&h->exchanges, &e->link);
    mg_h2_accept(&h->h2, &e->stream, &e->x.arena);
}

// For who answers it is the request of HTTP/1.1 that wants the same.
static void ask_for_upgrade(mg_h2_exchange *e, mg_str protocol) {
    mg_exchange *x = &e->x;
    e->protocol = protocol;
    x->by_connect = true;
    x->head.method = MG_METHOD_GET;
    x->head.method_text = mg_method_name(MG_METHOD_GET);
    x->head.framing = MG_FRAMING_NONE; // what follows is no body
    x->head.length = 0;
    (void)mg_fields_add_id(&x->head.fields, MG_FIELD_CONNECTION, MG_STR("upgrade"));
    (void)mg_fields_add_id(&x->head.fields, MG_FIELD_UPGRADE, protocol);
}

static void count_request(mg_h2_conn *h) {
    mg_conn *c = h->conn;
    if (c->state == MG_CONN_IDLE) {
        mg_conn_begin(c, &h->owner);
        mg_conn_busy(c);
    } else {
        c->requests++;
    }
}

static void take_head(mg_h2_conn *h, const mg_h2_event *ev) {
    mg_h2_exchange *e = of_stream(ev->stream);
    mg_exchange *x = &e->x;
    x->head = ev->head;
    x->protocol = MG_STR("HTTP/2.0");
    x->secure = mg_tls_is(&h->conn->stream);
    x->body_complete = ev->end || ev->stream->tunnel;
    x->body_ahead = ev->head.length;
    count_request(h);
    if (ev->refusal.status != 0 && !ev->told) {
        mg_exchange_refuse(x, ev->refusal);
        return;
    }
    if (ev->told) {
        x->body_refusal = ev->refusal; // the app answers in its handler's place
        x->wire->stop_body(x);
    } else if (ev->protocol.n > 0) {
        ask_for_upgrade(e, ev->protocol);
    }
    x->app = x->server->apps[h->conn->app];
    mg_exchange_start(x);
}

// The body may be complete by this.
static void body_has_moved(mg_h2_exchange *e, bool end) {
    mg_exchange *x = &e->x;
    x->body_complete = end;
    bool was_answered = x->phase == MG_EXCHANGE_ANSWERED;
    if (mg_exchange_body_progress(x) && end && was_answered) {
        mg_h2_answered(e);
    }
}

static void take_data(mg_h2_conn *h, const mg_h2_event *ev) {
    mg_h2_exchange *e = of_stream(ev->stream);
    mg_exchange *x = &e->x;
    if (e->stream.tunnel && !e->deaf) {
        mg_h2_tunnel_read(e, ev->piece, ev->end);
    } else if (e->deaf) {
        mg_h2_taken(&h->h2, &e->stream, mg_conn_out(h->conn), ev->piece.n);
        x->body_complete |= ev->end;
        if (ev->end && x->phase == MG_EXCHANGE_ANSWERED) {
            mg_h2_answered(e);
        }
    } else {
        x->body_ahead = e->stream.length_left != UINT64_MAX ? e->stream.length_left : 0;
        if (ev->piece.n == 0 || mg_exchange_take_piece(x, ev->piece)) {
            body_has_moved(e, ev->end);
        }
    }
}

static void take_trailers(const mg_h2_event *ev) {
    mg_h2_exchange *e = of_stream(ev->stream);
    if (e->stream.tunnel && !e->deaf) {
        mg_h2_tunnel_read(e, (mg_str){NULL, 0}, true);
    } else {
        e->x.trailers = ev->trailers;
        body_has_moved(e, true);
    }
}

static void take_reset(const mg_h2_event *ev) {
    mg_h2_exchange *e = of_stream(ev->stream);
    lose(e, MG_GONE_CLIENT);
    recycle(e);
}

static void handle(mg_h2_conn *h, mg_h2_event_kind kind, const mg_h2_event *ev) {
    switch (kind) {
    case MG_H2_OPEN:
        open_stream(h);
        break;
    case MG_H2_HEAD:
        take_head(h, ev);
        break;
    case MG_H2_DATA:
        take_data(h, ev);
        break;
    case MG_H2_TRAILERS:
        take_trailers(ev);
        break;
    case MG_H2_RESET:
        take_reset(ev);
        break;
    case MG_H2_PONG:
        leave_for_good(h);
        break;
    case MG_H2_GOAWAY:
        h->left = true; // the peer's part of it: once all is answered, the connection ends
        break;
    case MG_H2_CLOSED:
        h->over = true;
        break;
    default: // MORE; WRITABLE: what waits is sent behind all events
        break;
    }
}

// --- the connection's owner ---

// Content waits in its exchange, of which there are few. Heads, and what frames of the peer
// provoke, do not: who takes none of that is not heard.
static size_t take(mg_conn *c, const char *data, size_t n) {
    if (mg_conn_backlog(c) >= BACKLOG_HIGH) {
        return 0;
    }
    mg_h2_conn *h = of(c);
    uint64_t now_ms = mg_loop_now_ms(c->server->loop);
    bool outermost = mg_h2_conn_begin_work(h);
    if (mg_conn_backlog(c) == 0) {
        mg_h2_drained(&h->h2);
    }
    mg_h2_event_kind kind;
    size_t at = 0;
    do {
        mg_h2_event ev;
        size_t used = 0;
        kind = mg_h2_read(&h->h2, data + at, n - at, now_ms, &used, mg_conn_out(c), &ev);
        at += used;
        handle(h, kind, &ev);
    } while (kind != MG_H2_MORE && !h->over && !h->gone);
    if (!h->gone) {
        mg_conn_relieve(c);
        time_head(h);
    }
    mg_h2_conn_end_work(h, outermost);
    return n;
}

// Whose request has not come whole, and never will; NULL: none.
static mg_h2_exchange *first_unfinished(const mg_h2_conn *h) {
    for (mg_link *l = h->exchanges.next; l != &h->exchanges; l = l->next) {
        mg_h2_exchange *e = MG_OF(l, mg_h2_exchange, link);
        if (!mg_h2_is_closed(&e->stream) && !e->stream.ended && !e->stream.tunnel) {
            return e;
        }
    }
    return NULL;
}

// What has been asked may be served for a while, but for what was still to come. Whoever is told
// that its request is lost may end others: each look begins at the front.
static void on_fin(mg_conn *c) {
    mg_h2_conn *h = of(c);
    bool outermost = mg_h2_conn_begin_work(h);
    mg_h2_exchange *e;
    while ((e = first_unfinished(h)) != NULL) {
        mg_h2_exchange_reset(e, MG_H2_CANCEL);
    }
    h->left = true; // no more requests come
    mg_conn_arm(c);
    mg_h2_conn_end_work(h, outermost);
}

static void on_drained(mg_conn *c) {
    mg_h2_conn *h = of(c);
    bool outermost = mg_h2_conn_begin_work(h);
    mg_h2_drained(&h->h2);
    mg_h2_conn_end_work(h, outermost);
}

static void on_head_late(mg_conn *c) {
    (void)c; // it is timed by h2_head: others may be under way
}

void mg_h2_head_late(mg_deadline *d) {
    mg_h2_conn *h = MG_OF(d, mg_h2_conn, head);
    bool outermost = mg_h2_conn_begin_work(h);
    mg_h2_fail(&h->h2, mg_conn_out(h->conn), MG_H2_NO_ERROR, "a head did not come in time");
    h->over = true;
    mg_h2_conn_end_work(h, outermost);
}

static void on_stop(mg_conn *c) {
    mg_h2_conn *h = of(c);
    bool outermost = mg_h2_conn_begin_work(h);
    mg_h2_conn_leave(h);
    mg_link *next;
    for (mg_link *l = h->exchanges.next; l != &h->exchanges; l = next) {
        mg_tunnel *t = MG_OF(l, mg_h2_exchange, link)->tunnel;
        next = l->next;
        if (t != NULL) {
            t->events->on_stop(t);
        }
    }
    mg_h2_conn_end_work(h, outermost);
}

static bool on_closed(mg_conn *c, mg_gone why) {
    mg_h2_conn *h = of(c);
    if (!h->over && !c->broken) {
        mg_h2_send_goaway(&h->h2, mg_conn_out(c), true);
        mg_conn_write_through(c, (mg_str){NULL, 0});
    }
    h->gone = true;
    lose_all(h, why);
    if (!h->working) {
        free_conn(h);
    }
    return false;
}

static const mg_owner_ops conn_ops = {take, on_fin, on_drained, on_head_late, on_stop, on_closed};
