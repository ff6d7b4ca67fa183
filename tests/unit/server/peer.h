// server/peer.h: the far end of a connection of a rig.
#pragma once

#include "rig.h"

typedef struct peer {
    mg_stream s;
    mg_buf got;
    int ends, end_status;
    bool closed;
} peer;

static inline void peer_on_read(mg_stream *s, const char *data, size_t n) {
    mg_buf_append(&MG_OF(s, peer, s)->got, data, n);
}

static inline void peer_on_end(mg_stream *s, int status) {
    MG_OF(s, peer, s)->ends++;
    MG_OF(s, peer, s)->end_status = status;
}

static inline void peer_on_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static inline void peer_on_closed(mg_stream *s) {
    MG_OF(s, peer, s)->closed = true;
}

static const mg_stream_events peer_events = {peer_on_read, peer_on_end, peer_on_drain,
                                             peer_on_closed};

// `window`: what fits between the two before writes stay queued.
static inline mg_conn *peer_open(rig *r, peer *p, size_t window) {
    *p = (peer){0};
    mg_conn *c = mg_server_connect_pair(r->server, &p->s, &peer_events, window, false);
    assert_non_null(c);
    mg_stream_read_start(&p->s);
    return c;
}

static inline void peer_close(rig *r, peer *p, bool reset) {
    mg_stream_close(&p->s, reset);
    rig_settle(r);
    assert_true(p->closed);
    mg_buf_deinit(&p->got);
}

static inline void peer_write(peer *p, const char *data, size_t n) {
    struct iovec v = {(void *)(uintptr_t)data, n};
    assert_int_equal(mg_stream_write(&p->s, &v, 1), 0);
}

static inline void peer_send(rig *r, peer *p, const char *text) {
    peer_write(p, text, strlen(text));
    rig_settle(r);
}

static inline void peer_fin(rig *r, peer *p) {
    mg_stream_shutdown(&p->s);
    rig_settle(r);
}

// All that has come since it was last looked at, without the Date fields.
static inline void assert_got(peer *p, const char *want) {
    mg_buf text = {0};
    mg_str rest = mg_buf_str(&p->got);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        mg_str line = {rest.p, end != NULL ? (size_t)(end - rest.p) + 1 : rest.n};
        if (!mg_str_starts(line, MG_STR("Date: "))) {
            mg_buf_append_str(&text, line);
        }
        rest = (mg_str){rest.p + line.n, rest.n - line.n};
    }
    assert_text(want, mg_buf_str(&text));
    mg_buf_deinit(&text);
    mg_buf_clear(&p->got);
}

// What a refusal looks like; the reason is its own test's business.
static inline void assert_refused(peer *p, const char *status_line) {
    assert_true(mg_str_starts(mg_buf_str(&p->got), mg_str_of(status_line)));
    mg_str tail = MG_STR("}\n");
    assert_memory_equal(p->got.p + p->got.n - tail.n, tail.p, tail.n);
    assert_non_null(memmem(p->got.p, p->got.n, "\r\nConnection: close\r\n", 21));
    // One answer and nothing behind it.
    assert_null(memmem(p->got.p + 1, p->got.n - 1, "HTTP/1.1 ", 9));
    mg_buf_clear(&p->got);
}
