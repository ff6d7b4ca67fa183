// server/h2_peer.h: a client of HTTP/2 at the far end of a connection of a rig.
#pragma once

#include "peer.h"

#include "base/mem.h"
#include "http/h2_send.h"
#include "server/h2.h"

enum { H2_CALLS = 64 };

// One request and what has come of its answer.
typedef struct h2_call {
    mg_h2_stream stream;
    mg_arena arena;
    int status;
    int interim; // the last one
    mg_fields fields, trailers;
    mg_buf body;
    bool ended, reset, sent;
    mg_h2_code code;
    bool slow; // what comes is not taken: no window is given
} h2_call;

typedef struct h2_peer {
    peer p;
    mg_h2 h2;
    mg_conn *conn;
    h2_call *calls[H2_CALLS];
    size_t count;
    int goaways, pongs;
    mg_h2_code goaway;
    bool over;
    mg_buf out;
} h2_peer;

static const mg_h2_limits h2_peer_limits = {
    .header_bytes = 1 << 16,
    .header_fields = 100,
    .trailer_bytes = 1 << 16,
    .continuations = 16,
    .header_table = 4096,
    .encoder_table = 4096,
    .window = 65535,
    .connection_window = 1 << 20,
    .budgets = {1000, 1000, 1000, 1000, 1000, 1000, 1000},
};

static inline void h2_flush(rig *r, h2_peer *p) {
    if (p->out.n > 0 && !p->p.closed) {
        struct iovec v = {p->out.p, p->out.n};
        (void)mg_stream_write(&p->p.s, &v, 1);
    }
    mg_buf_clear(&p->out);
    rig_settle(r);
}

static inline void h2_event(h2_peer *p, mg_h2_event_kind kind, const mg_h2_event *e) {
    h2_call *c = e->stream != NULL ? MG_OF(e->stream, h2_call, stream) : NULL;
    if (kind == MG_H2_HEAD && e->status < 200) {
        c->interim = e->status;
    } else if (kind == MG_H2_HEAD) {
        c->status = e->status;
        c->fields = e->head.fields;
        c->ended = e->end;
    } else if (kind == MG_H2_DATA) {
        mg_buf_append_str(&c->body, e->piece);
        c->ended |= e->end;
        if (!c->slow) {
            mg_h2_taken(&p->h2, &c->stream, &p->out, e->piece.n);
        }
    } else if (kind == MG_H2_TRAILERS) {
        c->trailers = e->trailers;
        c->ended = true;
    } else if (kind == MG_H2_RESET) {
        c->reset = true;
        c->code = e->code;
    } else if (kind == MG_H2_GOAWAY) {
        p->goaways++;
        p->goaway = e->code;
    } else if (kind == MG_H2_PONG) {
        p->pongs++;
    } else if (kind == MG_H2_CLOSED) {
        p->over = true;
    }
}

// Reads what has come, answers what the protocol wants, until nothing moves.
static inline void h2_settle(rig *r, h2_peer *p) {
    h2_flush(r, p);
    while (p->p.got.n > 0 && !p->over) {
        mg_buf got = p->p.got;
        p->p.got = (mg_buf){0};
        size_t at = 0;
        mg_h2_event_kind kind;
        do {
            mg_h2_event e;
            size_t used = 0;
            kind = mg_h2_read(&p->h2, got.p + at, got.n - at, 0, &used, &p->out, &e);
            at += used;
            h2_event(p, kind, &e);
        } while (kind != MG_H2_MORE && kind != MG_H2_CLOSED);
        mg_buf_deinit(&got);
        mg_h2_drained(&p->h2);
        h2_flush(r, p);
    }
}

static inline void h2_open(rig *r, h2_peer *p, size_t window) {
    memset(p, 0, sizeof *p);
    p->conn = mg_server_connect_pair(r->server, &p->p.s, &peer_events, window, true);
    assert_non_null(p->conn);
    mg_stream_read_start(&p->p.s);
    mg_h2_init(&p->h2, true, &h2_peer_limits, &p->out);
    h2_settle(r, p);
}

static inline void h2_close(rig *r, h2_peer *p) {
    mg_stream_close(&p->p.s, false);
    rig_settle(r);
    mg_buf_deinit(&p->p.got);
    mg_buf_deinit(&p->out);
    mg_h2_deinit(&p->h2);
    for (size_t i = 0; i < p->count; i++) {
        mg_arena_deinit(&p->calls[i]->arena);
        mg_buf_deinit(&p->calls[i]->body);
        mg_free(p->calls[i]);
    }
}

typedef struct h2_ask {
    const char *method; // NULL: GET
    const char *path;
    const char *host;         // NULL: h
    const char *name, *value; // a field more
    const char *protocol;     // extended CONNECT
    bool open;                // a body follows
    bool slow;
} h2_ask;

static inline h2_call *h2_request(rig *r, h2_peer *p, const h2_ask *a) {
    h2_call *c = mg_calloc(1, sizeof *c);
    p->calls[p->count++] = c;
    c->slow = a->slow;
    mg_fields fields;
    mg_fields_init(&fields, &c->arena);
    if (a->name != NULL) {
        assert_int_equal(mg_fields_add(&fields, mg_str_of(a->name), mg_str_of(a->value)), 0);
    }
    const mg_request_head head = {
        .method = mg_str_of(a->method != NULL ? a->method : "GET"),
        .target = mg_str_of(a->path),
        .host = mg_str_of(a->host != NULL ? a->host : "h"),
        .scheme = MG_STR("http"),
        .protocol = a->protocol != NULL ? mg_str_of(a->protocol) : (mg_str){NULL, 0},
        .fields = &fields,
        .kind = MG_LENGTH_NONE,
    };
    assert_int_equal(mg_h2_request(&p->h2, &c->stream, &c->arena, &p->out, &head, !a->open), 0);
    h2_settle(r, p);
    return c;
}

static inline h2_call *h2_get(rig *r, h2_peer *p, const char *path) {
    return h2_request(r, p, &(h2_ask){.path = path});
}

static inline void h2_send(rig *r, h2_peer *p, h2_call *c, mg_str data, bool end) {
    mg_h2_send_data(&p->h2, &c->stream, &p->out, data, end);
    h2_settle(r, p);
}

static inline void h2_cancel(rig *r, h2_peer *p, h2_call *c) {
    mg_h2_send_reset(&p->h2, &c->stream, &p->out, MG_H2_CANCEL);
    h2_settle(r, p);
}

static inline void assert_answer(const h2_call *c, int status, const char *body) {
    assert_int_equal(c->status, status);
    assert_text(body, mg_buf_str(&c->body));
    assert_true(c->ended);
    assert_false(c->reset);
}
