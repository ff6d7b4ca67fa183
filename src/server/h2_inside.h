// server/h2_inside.h: what the files of the wire share. For h2*.c alone.
#pragma once

#include "http/h2_schedule.h"
#include "http/h2_send.h"
#include "server/h2.h"
#include "server/tunnel.h"

// A connection that speaks HTTP/2. On the heap from its preface on.
typedef struct mg_h2_conn {
    mg_owner owner;
    mg_conn *conn; // borrowed; it closes no later than this ends
    mg_h2_policy *policy;
    mg_h2 h2;
    mg_link exchanges; // those whose streams are not over
    mg_deadline head;  // while a preface or a head is under way
    mg_deadline rest;  // since it was idle with something to give back
    uint64_t waiting;  // bytes of content, of all its exchanges
    bool working : 1;  // a function further up the stack goes on with it
    bool leaving : 1;  // the first GOAWAY is sent
    bool left : 1;     // the last one
    bool over : 1;     // nothing is read any more
    bool gone : 1;     // the connection has closed meanwhile
} mg_h2_conn;

typedef struct mg_h2_exchange {
    mg_exchange x; // first: the pool and the wire's table know it as this
    mg_h2_conn *via;
    mg_link link;
    mg_h2_stream stream;
    mg_buf waiting;       // content that has to wait for its turn, or for a window
    size_t waiting_at;    // what is before it has been sent
    uint32_t counted;     // of it, in server->waiting
    uint32_t sent_mark;   // `sent` when the deadline was last looked at
    uint32_t sent;        // wraps
    mg_deadline deadline; // of what waits, or of a tunnel
    mg_str protocol;      // that an extended CONNECT asks for
    mg_tunnel *tunnel;    // that it has become; NULL: none
    mg_fields trailers;   // behind what waits
    bool deaf : 1;        // no more of the request is wanted
    bool ending : 1;      // the end follows what waits
    bool discarding : 1;  // the rest of the request is read away
    bool paused : 1;      // the tunnel
} mg_h2_exchange;

extern const mg_wire mg_h2_wire;

static inline mg_h2_exchange *mg_h2_exchange_of(const mg_exchange *x) {
    return (mg_h2_exchange *)(uintptr_t)x;
}

static inline size_t mg_h2_waiting(const mg_h2_exchange *e) {
    return e->waiting.n - e->waiting_at;
}

// --- h2.c ---

// While something works on the connection, what its exchanges do only changes what they are. The
// outermost sends what waits, then sees to the connection itself, which may end `h`.
bool mg_h2_conn_begin_work(mg_h2_conn *h);
void mg_h2_conn_end_work(mg_h2_conn *h, bool outermost);

// Nothing of the exchange is needed any more: it is recycled. The connection may become idle, or
// end.
void mg_h2_exchange_over(mg_h2_exchange *e);

// Resets the stream unless that is closed, and then as above.
void mg_h2_exchange_reset(mg_h2_exchange *e, mg_h2_code code);

// The connection will take no more streams once those that are on their way have come.
void mg_h2_conn_leave(mg_h2_conn *h);

// --- h2_send.c ---

// Sends content, or lets it wait. `last`: the end goes with it. As mg_exchange_write.
int mg_h2_content(mg_h2_exchange *e, mg_str data, bool last);

// Sends what waits, as far as windows and the connection let it. For who looks after the connection
// afterwards.
void mg_h2_pump(mg_h2_conn *h);

// What waits is dropped.
void mg_h2_drop_waiting(mg_h2_exchange *e);

// The deadline that the situation asks for.
void mg_h2_arm(mg_h2_exchange *e);

// --- h2_answer.c ---

// The end of the answer may have been sent: the exchange is over, or the rest of its request is
// read away.
void mg_h2_answered(mg_h2_exchange *e);

// --- h2_tunnel.c ---

void mg_h2_take_over(mg_exchange *x, const mg_answer *a, mg_str protocol, mg_tunnel *t);
const char *mg_h2_may_take_over(const mg_exchange *x, mg_str protocol);
void mg_h2_tunnel_read(mg_h2_exchange *e, mg_str data, bool end);
void mg_h2_tunnel_drained(mg_h2_exchange *e);
