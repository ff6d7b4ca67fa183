// The other end of a tunnel: it writes down what a socket sends, and is as slow as it is told.
#pragma once

#include "event/tunnel.h"

#include "unit.h"

typedef struct carrier {
    mg_buf sent;
    size_t backlog; // what it says
    int pauses, resumes, closes, aborts;
} carrier;

static inline int carrier_write(mg_tunnel *t, mg_str data) {
    mg_buf_append_str(&((carrier *)t->carrier)->sent, data);
    return ((carrier *)t->carrier)->backlog > 0 ? MG_EAGAIN : MG_OK;
}

static inline size_t carrier_backlog(const mg_tunnel *t) {
    return ((const carrier *)t->carrier)->backlog;
}

static inline void carrier_pause(mg_tunnel *t) {
    ((carrier *)t->carrier)->pauses++;
}

static inline void carrier_resume(mg_tunnel *t) {
    ((carrier *)t->carrier)->resumes++;
}

static inline void carrier_close(mg_tunnel *t) {
    ((carrier *)t->carrier)->closes++;
}

static inline void carrier_abort(mg_tunnel *t) {
    ((carrier *)t->carrier)->aborts++;
}

static inline void carrier_open(carrier *c, mg_tunnel *t) {
    static const mg_tunnel_ops ops = {
        .write = carrier_write,
        .backlog = carrier_backlog,
        .pause = carrier_pause,
        .resume = carrier_resume,
        .shutdown = carrier_close,
        .close = carrier_close,
        .abort = carrier_abort,
    };
    t->ops = &ops;
    t->carrier = c;
    t->fin = false;
}

// What has been sent since the last look, with bytes that are no text as \xx.
static inline void expect_sent(carrier *c, const char *want) {
    mg_buf shown = {0};
    for (size_t i = 0; i < c->sent.n; i++) {
        unsigned char b = (unsigned char)c->sent.p[i];
        mg_buf_printf(&shown, b >= ' ' && b < 127 ? "%c" : "\\%02x", b);
    }
    assert_text(want, mg_buf_str(&shown));
    mg_buf_clear(&c->sent);
    mg_buf_deinit(&shown);
}

// A frame of the peer's, masked with zeros, with less than 126 bytes.
static inline void peer_says(mg_tunnel *t, int first, const char *content) {
    mg_buf frame = {0};
    mg_buf_append_char(&frame, (char)first);
    mg_buf_append_char(&frame, (char)(0x80 | strlen(content)));
    mg_buf_append(&frame, "\0\0\0\0", 4);
    mg_buf_append_str(&frame, mg_str_of(content));
    t->events->on_read(t, mg_buf_str(&frame));
    mg_buf_deinit(&frame);
}
