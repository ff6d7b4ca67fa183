// event/tunnel.h: bytes both ways with whoever is at the other end, whatever carries them: an
// inbound connection or an HTTP/2 stream that was taken over (server/tunnel.h), a stream that we
// opened ourselves (event/outward.h).
//
// A tunnel lives in its owner's memory and keeps the limits of what carries it: deadlines,
// backpressure, counting, drain. The owner ends it with close or abort, after which no event comes
// and the memory may go; or it is told by on_closed, which is the last one.
#pragma once

#include "base/str.h"

#include <stdbool.h>

typedef enum mg_gone {
    MG_GONE_CLIENT, // the peer left
    MG_GONE_STOP,   // the server is stopping
} mg_gone;

typedef struct mg_tunnel mg_tunnel;

// A static table. The events record: what they lead to is done later, in a turn.
typedef struct mg_tunnel_events {
    // Bytes of the peer, borrowed for the call; those that came behind the request's head first.
    void (*on_read)(mg_tunnel *t, mg_str data);
    void (*on_fin)(mg_tunnel *t);     // the peer sends no more. Once; writing may still work
    void (*on_drained)(mg_tunnel *t); // all that was waiting for the peer has left
    void (*on_stop)(mg_tunnel *t);    // the server stops: it is closed once the drain is over
    void (*on_closed)(mg_tunnel *t, mg_gone why);
} mg_tunnel_events;

// What carries it; a static table.
typedef struct mg_tunnel_ops {
    int (*write)(mg_tunnel *t, mg_str data);
    size_t (*backlog)(const mg_tunnel *t);
    void (*pause)(mg_tunnel *t);
    void (*resume)(mg_tunnel *t);
    void (*shutdown)(mg_tunnel *t);
    void (*close)(mg_tunnel *t);
    void (*abort)(mg_tunnel *t);
} mg_tunnel_ops;

struct mg_tunnel {
    const mg_tunnel_events *events; // the owner's: set before it is handed over
    const mg_tunnel_ops *ops;
    void *carrier;
    bool fin; // on_fin has come
};

// Sends. MG_OK; MG_EAGAIN: taken too, but much is waiting: go on at on_drained; MG_ECLOSED: the
// peer is gone, or a shutdown came before.
static inline int mg_tunnel_write(mg_tunnel *t, mg_str data) {
    return t->ops->write(t, data);
}

// Bytes that wait for the peer; on_drained comes when they have left. 0: none.
static inline size_t mg_tunnel_backlog(const mg_tunnel *t) {
    return t->ops->backlog(t);
}

// No more is read, until resume: the peer slows down.
static inline void mg_tunnel_pause(mg_tunnel *t) {
    t->ops->pause(t);
}
static inline void mg_tunnel_resume(mg_tunnel *t) {
    t->ops->resume(t);
}

// Nothing is sent any more; what is waiting still leaves. Reading goes on.
static inline void mg_tunnel_shutdown(mg_tunnel *t) {
    t->ops->shutdown(t);
}

// The end: what is waiting still leaves. And at once, as a failure to the peer.
static inline void mg_tunnel_close(mg_tunnel *t) {
    t->ops->close(t);
}
static inline void mg_tunnel_abort(mg_tunnel *t) {
    t->ops->abort(t);
}
