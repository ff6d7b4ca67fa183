// event/stream.h: a byte stream to a peer: TCP, Unix socket, one end of an in-memory pair, or TLS
// over a socket.
//
// Lives inside its owner's struct. open (by a listener, or mg_stream_pair) ... close is
// asynchronous: the memory may go only in `on_closed`. After mg_stream_close no event but on_closed
// comes. Callbacks record; a stream may be closed inside any of its own callbacks, but must not be
// freed there (except in on_closed).
#pragma once

#include "event/loop.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <uv.h>

typedef struct mg_stream mg_stream;

// The seam to the owner; a static table.
typedef struct mg_stream_events {
    // Fresh bytes, borrowed for the call (a buffer that the whole loop shares). `n` > 0.
    void (*on_read)(mg_stream *s, const char *data, size_t n);
    // The peer sends no more: 0 for a FIN, a negative errno for a reset or failure. Once. Writing
    // may still work after a FIN.
    void (*on_end)(mg_stream *s, int status);
    // All queued output has left (0) or a queued write failed (negative errno; the queue is
    // dropped). Comes only if something was queued, and never inside mg_stream_write.
    void (*on_drain)(mg_stream *s, int status);
    void (*on_closed)(mg_stream *s);
} mg_stream_events;

typedef struct mg_stream_ops mg_stream_ops; // one table per kind of stream

struct mg_stream {
    const mg_stream_ops *ops;
    const mg_stream_events *events;
    uint32_t queued; // bytes accepted by mg_stream_write that have not left yet
    bool reading : 1;
    bool closing : 1;
    bool ended : 1;
    bool is_unix : 1;
    uint8_t output; // the event room's own: still open, shut down, or broken
    union {
        uv_handle_t handle;
        uv_stream_t uv;
        uv_tcp_t tcp;
        struct mg_pair_end *pair;
        struct mg_tls_stream *tls;
    } u;
};

enum { MG_STREAM_READ_BYTES = 65536 }; // the shared read buffer, and so the largest `n` of on_read

// Starts or resumes, and pauses, reading. Paused, the kernel's buffers fill and the peer slows
// down; the end of the peer stays unseen too. Harmless if already so, and after the end.
int mg_stream_read_start(mg_stream *s);
void mg_stream_read_stop(mg_stream *s);

// Sends at once what the kernel takes, copies and queues the rest (on_drain tells when it has
// left). Borrows `v` for the call. 0, or a negative code if the stream is broken, shut down
// (-EPIPE) or closing (MG_ECLOSED); nothing is queued then. Never calls back.
int mg_stream_write(mg_stream *s, const struct iovec *v, int count);

// Sends a FIN once the queue has left. Reading goes on. Later writes fail.
int mg_stream_shutdown(mg_stream *s);

// Closes; what is queued is dropped. `reset`: TCP sends RST. Harmless if already closing.
void mg_stream_close(mg_stream *s, bool reset);

static inline bool mg_stream_closing(const mg_stream *s) {
    return s->closing != 0;
}

// The peer's address. A Unix or in-memory peer has family AF_UNIX and an empty path. 0 or a
// negative errno.
int mg_stream_peer(const mg_stream *s, struct sockaddr_storage *out);
int mg_stream_local(const mg_stream *s, struct sockaddr_storage *out);

// Bytes that were written and that the peer's kernel has not acknowledged; on TLS as they are on
// the wire. Unlike `queued`, which counts what memory is held for, this tells each that leaves. A
// system call.
size_t mg_stream_untaken(mg_stream *s);

mg_loop *mg_stream_loop(const mg_stream *s);

// False if the peer has sent something that nobody has read yet, its end included: asks the kernel
// too, so also while the stream reads. What the TLS protocol itself has to say counts likewise.
bool mg_stream_quiet(const mg_stream *s);

// Whether the peer's end has come, though bytes before it may be unread: while reading is stopped,
// nobody tells. `*status` is what on_end will be told.
bool mg_stream_ending(const mg_stream *s, int *status);

// Makes `s` a stream over the connected socket `fd`, which is taken.
void mg_stream_uv_open(mg_loop *loop, mg_stream *s, const mg_stream_events *events, int fd,
                       bool is_unix);

// Makes two connected in-memory streams (specs). Caller-owned memory; the events tables must be set
// before the next turn. Bytes written to one are read by the other in the same or next turn.
// `window` bytes fit between them, then the writer's data stays queued: like a peer that does not
// read. Honours read_stop, shutdown (on_end 0), close (on_end 0 at the other, or -ECONNRESET with
// `reset`).
int mg_stream_pair(mg_loop *loop, mg_stream *a, mg_stream *b, const mg_stream_events *a_events,
                   const mg_stream_events *b_events, size_t window);
