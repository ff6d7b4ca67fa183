// event/stream_ops.h: one kind of stream, seen from stream.c. Not for other rooms.
//
// stream.c keeps the flags and refuses what makes no sense (a write after a shutdown, a second
// close); the kinds see only sensible calls. `close` must lead to on_closed, later.
#pragma once

#include "event/stream.h"

enum { MG_OUTPUT_OPEN, MG_OUTPUT_SHUT, MG_OUTPUT_BROKEN };

struct mg_stream_ops {
    int (*read_start)(mg_stream *s);
    void (*read_stop)(mg_stream *s);
    int (*write)(mg_stream *s, const struct iovec *v, int count);
    int (*shutdown)(mg_stream *s); // `queued` may still have to leave
    void (*close)(mg_stream *s, bool reset);
    int (*peer)(const mg_stream *s, struct sockaddr_storage *out);
    int (*local)(const mg_stream *s, struct sockaddr_storage *out);
    size_t (*untaken)(mg_stream *s); // NULL: what is queued
    mg_loop *(*loop)(const mg_stream *s);
    bool (*quiet)(const mg_stream *s);
    bool (*ending)(const mg_stream *s, int *status);
};

// A stream in its first state; the kind fills `u`.
static inline void mg_stream_prepare(mg_stream *s, const mg_stream_ops *ops,
                                     const mg_stream_events *events) {
    s->ops = ops;
    s->events = events;
    s->queued = 0;
    s->reading = false;
    s->closing = false;
    s->ended = false;
    s->is_unix = false;
    s->output = MG_OUTPUT_OPEN;
}

// The one place where a stream learns that no more comes.
static inline void mg_stream_end(mg_stream *s, int status) {
    s->ended = true;
    s->reading = false;
    s->events->on_end(s, status);
}

// The queue is gone unsent.
static inline void mg_stream_fail_output(mg_stream *s, int status) {
    s->output = MG_OUTPUT_BROKEN;
    s->queued = 0;
    s->events->on_drain(s, status);
}
