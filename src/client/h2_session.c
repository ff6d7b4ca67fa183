#include "client/h2_session.h"

#include "base/mem.h"

#include <errno.h>

enum {
    KEPT_CALLS = 16,
    KEPT_BYTES = 64 * 1024, // of the buffer for what is written
    LONGEST_PATIENCE_MS = 301 * 1000,
    MORE_PATIENCE = 4,
};

static void on_silence(mg_timer *t);

// --- life ---

void mg_h2_session_limits(mg_h2_limits *out, const mg_guard_limits *head) {
    *out = mg_h2_default_limits;
    out->streams = 0; // nothing is pushed
    out->window = MG_H2_SESSION_WINDOW;
    out->connection_window = MG_H2_SESSION_STREAMS * MG_H2_SESSION_WINDOW;
    out->header_bytes = head->bytes > 0 ? head->bytes : out->header_bytes;
    out->header_fields = head->lines > 0 ? head->lines : out->header_fields;
}

static void forget(mg_link *calls) {
    mg_link *l;
    while ((l = mg_link_shift(calls)) != NULL) {
        mg_free(MG_OF(l, mg_h2_call, link));
    }
}

void mg_h2_session_open(mg_outbound *c) {
    mg_client *client = c->client;
    mg_h2_session *s = mg_calloc(1, sizeof *s);
    s->c = c;
    c->session = s;
    mg_link_init(&s->calls);
    mg_link_init(&s->tunnels);
    mg_link_init(&s->spare);
    mg_link_init(&s->left);
    s->places = c->origin->places;
    s->heard_ms = mg_loop_now_ms(client->loop);
    s->patience_ms = client->options.ping_ms;
    mg_h2_init(&s->h2, true, &client->h2, &s->out);
    if (s->patience_ms > 0) {
        mg_timer_start(client->loop, &s->silence, s->patience_ms, 0, on_silence);
    }
    mg_h2_session_write(s);
}

void mg_h2_session_close(mg_outbound *c) {
    mg_h2_session *s = mg_h2_session_of(c);
    mg_timer_stop(&s->silence);
    mg_h2_deinit(&s->h2);
    forget(&s->spare);
    forget(&s->left);
    mg_buf_deinit(&s->out);
    mg_free(s);
}

// The server need not wonder why; whoever has a tunnel is told.
void mg_h2_session_leave_off(mg_outbound *c) {
    mg_h2_session *s = mg_h2_session_of(c);
    mg_timer_stop(&s->silence);
    while (!mg_link_alone(&s->tunnels)) {
        mg_h2_switched_drop(MG_OF(s->tunnels.next, mg_h2_call, link));
    }
    if (!s->over) {
        mg_h2_send_goaway(&s->h2, &s->out, true);
        mg_h2_session_write(s);
        s->over = true;
    }
}

bool mg_h2_session_has_place(const mg_outbound *c, bool repeatable) {
    (void)repeatable; // the server says which streams it has not looked at
    const mg_h2_session *s = mg_h2_session_of(c);
    uint32_t most = s->places < MG_H2_SESSION_STREAMS ? s->places : MG_H2_SESSION_STREAMS;
    return !s->over && c->call_count < most && mg_h2_may_request(&s->h2);
}

// --- work ---

bool mg_h2_session_begin(mg_h2_session *s) {
    bool outermost = !s->working;
    s->working = true;
    return outermost;
}

void mg_h2_session_write(mg_h2_session *s) {
    const struct iovec v = {s->out.p, s->out.n};
    if (s->out.n > 0 && mg_stream_write(&s->c->stream, &v, 1) != MG_OK) {
        s->over = true; // an answer may still come; the end of the connection follows
    }
    mg_buf_clear(&s->out);
    if (s->out.cap > KEPT_BYTES) {
        mg_buf_deinit(&s->out);
    }
}

static void keep_those_who_left(mg_h2_session *s) {
    mg_link *l;
    while ((l = mg_link_shift(&s->left)) != NULL) {
        if (s->spare_count < KEPT_CALLS) {
            mg_link_append(&s->spare, l);
            s->spare_count++;
        } else {
            mg_free(MG_OF(l, mg_h2_call, link));
        }
    }
}

int mg_h2_session_end(mg_h2_session *s, bool outermost) {
    if (!outermost) {
        return MG_OK;
    }
    s->working = false;
    keep_those_who_left(s);
    bool was_over = s->over;
    mg_h2_session_write(s);
    return s->over && !was_over ? MG_ECLOSED : MG_OK;
}

// --- its end ---

// Behind a call that is lost others come, or none: each look begins at the front, where those stay
// that hold content which nobody has taken yet.
static mg_h2_call *first_to_lose(const mg_h2_session *s) {
    for (mg_link *l = s->calls.next; l != &s->calls; l = l->next) {
        mg_h2_call *e = MG_OF(l, mg_h2_call, link);
        if (!e->lost) {
            return e;
        }
    }
    return NULL;
}

static mg_h2_call *first_tunnel_to_lose(const mg_h2_session *s) {
    for (mg_link *l = s->tunnels.next; l != &s->tunnels; l = l->next) {
        mg_h2_call *e = MG_OF(l, mg_h2_call, link);
        if (!e->lost) {
            return e;
        }
    }
    return NULL;
}

static void lose_tunnels(mg_h2_session *s) {
    mg_h2_call *e;
    while ((e = first_tunnel_to_lose(s)) != NULL) {
        mg_h2_switched_lost(e);
    }
}

// Every call on it goes to another connection, or fails; the last one that leaves closes it.
static void lose_all(mg_h2_session *s, int status) {
    mg_h2_call *e;
    s->over = true;
    while ((e = first_to_lose(s)) != NULL) {
        mg_h2_call_lost(e, status);
    }
    lose_tunnels(s);
    if (s->c->state == MG_OUTBOUND_IDLE) {
        mg_outbound_close(s->c);
    }
}

void mg_h2_session_ended(mg_outbound *c, int status) {
    mg_h2_session *s = mg_h2_session_of(c);
    bool outermost = mg_h2_session_begin(s);
    lose_all(s, status);
    (void)mg_h2_session_end(s, outermost);
}

// The server broke the protocol.
static void fail_all(mg_h2_session *s, const char *reason) {
    mg_h2_session_write(s); // why
    s->over = true;
    while (!mg_link_alone(&s->calls)) {
        mg_call_fail(MG_OF(s->calls.next, mg_h2_call, link)->call, "protocol", reason);
    }
    lose_tunnels(s);
    mg_outbound_close(s->c);
}

// --- signs of life ---

// Nothing came for a while: a PING is sent. If nothing comes until the next look, the server is
// dead, or out of reach. One that is merely quiet is asked ever more seldom: servers of gRPC give
// up clients that ask too often.
static void on_silence(mg_timer *t) {
    mg_h2_session *s = MG_OF(t, mg_h2_session, silence);
    mg_client *client = s->c->client;
    uint64_t silent_ms = mg_loop_now_ms(client->loop) - s->heard_ms;
    uint64_t wait_ms = client->options.ping_ms;
    bool outermost = mg_h2_session_begin(s);
    if (s->pinged && mg_stream_quiet(&s->c->stream)) { // else it is we who were slow
        lose_all(s, -ETIMEDOUT);
    } else if (!s->pinged && silent_ms < s->patience_ms) {
        wait_ms = s->patience_ms - silent_ms;
    } else if (!s->pinged) {
        s->pinged = true;
        mg_h2_send_ping(&s->h2, &s->out);
    }
    if (!s->over) {
        mg_timer_start(client->loop, t, wait_ms, 0, on_silence);
    }
    (void)mg_h2_session_end(s, outermost);
}

static void heard(mg_h2_session *s, mg_h2_event_kind kind) {
    uint32_t first_ms = s->c->client->options.ping_ms;
    if (kind == MG_H2_PONG && s->patience_ms < LONGEST_PATIENCE_MS) {
        uint32_t longer = s->patience_ms * MORE_PATIENCE;
        s->patience_ms = longer < LONGEST_PATIENCE_MS ? longer : LONGEST_PATIENCE_MS;
    } else if (kind == MG_H2_HEAD || kind == MG_H2_DATA) {
        s->patience_ms = first_ms;
    }
}

// --- what comes ---

// The server allows more or fewer calls at a time than was known.
static void count_places(mg_h2_session *s) {
    mg_outbound *c = s->c;
    uint32_t places = mg_h2_allowed(&s->h2);
    places = places < MG_H2_SESSION_STREAMS ? places : MG_H2_SESSION_STREAMS;
    if (places == s->places) {
        return;
    }
    bool more = places > s->places;
    s->places = places;
    mg_origin_expect(c->origin, places);
    if (more && c->state == MG_OUTBOUND_BUSY) {
        mg_origin_take_back(c->origin, c);
    }
}

static void take_settings(mg_h2_session *s) {
    count_places(s);
    if (!s->greeted) {
        s->greeted = true;
        mg_origin_learn(s->c->origin, mg_h2_may_connect(&s->h2));
        mg_h2_calls_ask(s);
    }
}

static void take_data(mg_h2_call *e, const mg_h2_event *ev) {
    if (e->call != NULL) {
        mg_h2_call_data(e, ev);
    } else {
        mg_h2_switched_data(e, ev);
    }
}

static void take_reset(mg_h2_call *e, const mg_h2_event *ev) {
    if (e->call != NULL) {
        mg_h2_call_reset(e, ev);
    } else {
        mg_h2_switched_lost(e);
    }
}

static void handle(mg_h2_session *s, mg_h2_event_kind kind, const mg_h2_event *ev) {
    heard(s, kind);
    switch (kind) {
    case MG_H2_HEAD:
        mg_h2_call_head(mg_h2_call_of(ev->stream), ev);
        break;
    case MG_H2_DATA:
        take_data(mg_h2_call_of(ev->stream), ev);
        break;
    case MG_H2_TRAILERS:
        mg_h2_call_trailers(mg_h2_call_of(ev->stream), ev);
        break;
    case MG_H2_RESET:
        take_reset(mg_h2_call_of(ev->stream), ev);
        break;
    case MG_H2_WRITABLE:
        take_settings(s);
        break;
    case MG_H2_CLOSED:
        fail_all(s, ev->reason);
        break;
    default: // MORE, PONG; GOAWAY: what was not looked at follows as RESET, nothing else begins
        break;
    }
}

void mg_h2_session_read(mg_outbound *c, const char *data, size_t n) {
    mg_h2_session *s = mg_h2_session_of(c);
    uint64_t now_ms = mg_loop_now_ms(c->client->loop);
    bool outermost = mg_h2_session_begin(s);
    s->heard_ms = now_ms;
    s->pinged = false;
    if (c->stream.queued == 0) {
        mg_h2_drained(&s->h2);
    }
    mg_h2_event_kind kind = MG_H2_MORE;
    size_t at = 0;
    do {
        mg_h2_event ev;
        size_t used = 0;
        if (s->over) {
            break;
        }
        kind = mg_h2_read(&s->h2, data + at, n - at, now_ms, &used, &s->out, &ev);
        at += used;
        handle(s, kind, &ev);
    } while (kind != MG_H2_MORE);
    mg_h2_calls_pump(s);
    if (c->state == MG_OUTBOUND_IDLE && mg_h2_is_final(&s->h2)) {
        mg_outbound_close(c);
    }
    (void)mg_h2_session_end(s, outermost);
}

void mg_h2_session_drained(mg_outbound *c) {
    mg_h2_session *s = mg_h2_session_of(c);
    bool outermost = mg_h2_session_begin(s);
    mg_h2_drained(&s->h2);
    mg_h2_calls_pump(s);
    (void)mg_h2_session_end(s, outermost);
}
