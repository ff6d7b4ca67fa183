// server/h2.h: HTTP/2 as a wire (server/wire.h): many exchanges over one connection.
//
// Chosen by ALPN, or by the client's preface where the endpoint has http2 without TLS. What bytes
// and frames mean is http/h2's business; here its events become exchanges, and answers its frames.
#pragma once

#include "event/deadline.h"
#include "http/h2_limits.h"
#include "server/h1.h"

// Limits are borrowed by engines for as long as they live, and change with reloads.
typedef struct mg_h2_policy {
    mg_h2_limits limits;
    uint32_t refs;
} mg_h2_policy;

// Replaces what `*p` holds unless it is the same. NULL gives it up.
void mg_h2_policy_set(mg_h2_policy **p, const mg_h2_limits *limits);

// The first owner where HTTP/2 may come without TLS: looks at the first bytes.
extern mg_owner mg_h2_or_h1;

// Whose the first bytes of a connection are that has no TLS.
static inline mg_owner *mg_conn_plain_owner(const mg_conn *c) {
    return c->http2 ? &mg_h2_or_h1 : &mg_h1_idle;
}

// The connection (HANDSHAKE, or IDLE and nothing has come) speaks HTTP/2 from now on.
void mg_h2_conn_open(mg_conn *c);

// Deadlines of the server's: a head that does not come whole, a while after a connection became
// idle, content that the peer takes too slowly, a tunnel on which nothing moves.
void mg_h2_head_late(mg_deadline *d);
void mg_h2_rest_due(mg_deadline *d);
void mg_h2_content_late(mg_deadline *d);
void mg_h2_tunnel_late(mg_deadline *d);

// Of a stream's deadline, for server/owed.h: has the peer taken enough of its content (it is timed
// anew then), whose stream it is, what all streams of that connection owe; resets it.
bool mg_h2_content_moves(mg_deadline *d);
mg_conn *mg_h2_content_conn(mg_deadline *d);
uint64_t mg_h2_content_owed(mg_deadline *d);
void mg_h2_content_give_up(mg_deadline *d);
