// server/h1_inside.h: what the reading and the writing half of the wire share. For h1*.c alone.
#pragma once

#include "http/body.h"
#include "http/h1_read.h"
#include "server/h1.h"

typedef struct mg_h1_exchange {
    mg_exchange x; // first: the pool and the wire's table know it as this
    mg_owner owner;
    mg_conn *conn; // borrowed; it closes no later than this ends
    union {
        mg_h1_reader reader; // until the head is there
        mg_body body;        // from then on
    };
    bool has_head;
    bool unparsed;    // what follows on the connection cannot be understood
    bool close_after; // the connection ends with this answer
    bool chunked;
} mg_h1_exchange;

extern const mg_wire mg_h1_wire;

static inline mg_h1_exchange *mg_h1_of(const mg_exchange *x) {
    return (mg_h1_exchange *)(uintptr_t)x;
}

// The answer is complete and the body read or given up: the connection goes on, or ends. `h` is
// recycled.
void mg_h1_done(mg_h1_exchange *h);

// Gives its memory back; the connection is somebody else's by now, or about to be.
void mg_h1_recycle(mg_h1_exchange *h);

// To the peer a FIN now is the end of a whole answer.
bool mg_h1_ends_with_close(const mg_h1_exchange *h);
