// client/outbound.h: a connection to an origin, which carries as many calls as its wire has places
// for. For client/ alone. It is on the heap, and frees itself behind mg_outbound_close.
#pragma once

#include "base/list.h"
#include "client/call.h"
#include "event/connect.h"
#include "event/deadline.h"
#include "event/timer.h"

typedef struct mg_origin mg_origin;
typedef struct mg_outbound mg_outbound;
typedef struct mg_call_wire mg_call_wire;

typedef enum mg_outbound_state {
    MG_OUTBOUND_CONNECTING,
    MG_OUTBOUND_IDLE,
    MG_OUTBOUND_BUSY,
    MG_OUTBOUND_TUNNEL, // nobody's calls: its bytes are those of whoever took over
    MG_OUTBOUND_CLOSED,
} mg_outbound_state;

struct mg_outbound {
    mg_stream stream;        // from IDLE on
    mg_outbound_state state; // see outbound.c
    mg_origin *origin;       // NULL when closed, and of a tunnel
    mg_client *client;
    const mg_call_wire *wire;
    void *session;       // the wire's
    mg_link calls;       // BUSY: at least one
    uint32_t call_count; // of them, and of tunnels that have their places
    mg_link link;        // in its origin's list of dials, of idle or of shared ones; or in none
    mg_link all;
    mg_deadline idle;
    // CONNECTING: a look whether anybody waits for it. IDLE: see `keep_ms`.
    mg_timer timer;
    mg_connect *connect; // CONNECTING
    bool carried;        // a call before
    bool served;         // a response before: the server may close it at any moment
    uint32_t keep_ms;    // the server closes it soon after this, it says; 0: it does not say
};

void mg_outbound_open(mg_origin *o);
void mg_outbound_serve(mg_outbound *c, mg_call *call); // it has a place for it
void mg_outbound_rest(mg_outbound *c);                 // it is open, or has served its calls
void mg_outbound_close(mg_outbound *c);                // no call is on it

// The call leaves (mg_call_wire.leave); returns whether the connection is usable, which settle has
// to be told next: it is given to others, goes on for its other calls alone, or is closed.
bool mg_outbound_forget(mg_outbound *c, mg_call *call, bool whole);
void mg_outbound_settle(mg_outbound *c, bool usable);

// The call leaves its place to a tunnel, which gives it back: the connection is `usable` or not, as
// for settle.
void mg_outbound_lend(mg_outbound *c, mg_call *call);
void mg_outbound_return(mg_outbound *c, bool usable);

// The call, its last one, leaves the connection to a tunnel: it is none of its origin's any more.
void mg_outbound_part(mg_outbound *c, mg_call *call);
