// proxy/relay.h: joins an exchange with a call to one of an upstream's servers: head and content
// pass both ways as they come, no faster than the slower side takes them, and nothing is gathered.
//
// While it works it stands between the exchange and its app, as server/file_answer does. It lies in
// the exchange's arena and goes at the latest with the exchange: when the answer is complete or
// broken off, when the client leaves, or when its owner drops it.
//
// The answer is committed when the server's final head has come. Before that its owner may look at
// the head and decide (on_head). A server that fails before it is a fault, one that fails behind it
// cuts the answer off, so that no client takes a part for the whole.
#pragma once

#include "proxy/forward.h"
#include "proxy/upstream.h"
#include "server/answer.h"

typedef struct mg_relay mg_relay;

// Why nothing could be relayed: 502, 503 or 504, or the status of a request body that is refused.
typedef struct mg_relay_fault {
    int status;
    const char *reason;   // static: for the client, which learns no more
    const char *text;     // for the log: which server, and what was waited for; borrowed
    uint32_t retry_after; // seconds; 0: not said
} mg_relay_fault;

// None of these comes inside a function of this header, but for on_end inside mg_relay_on. All may
// be NULL; then what is said happens at once.
typedef struct mg_relay_events {
    // The server's final head is there, and nothing is committed: mg_relay_head tells it. Content
    // waits until mg_relay_on or mg_relay_drop. NULL: it is relayed.
    void (*on_head)(void *arg, mg_relay *r);
    // Nothing is committed; the relay is over, the exchange its app's again. NULL: it is answered
    // with a problem+json.
    void (*on_fault)(void *arg, const mg_relay_fault *fault);
    // The relay is over with the exchange: answered, broken off (`whole` false), or lost. The
    // exchange dies behind this. Not with a fault, nor after mg_relay_drop.
    void (*on_end)(void *arg, bool whole);
} mg_relay_events;

// Of a request; 0: as the upstream says.
typedef struct mg_relay_timeouts {
    uint32_t connect_ms;
    uint32_t first_byte_ms;
    uint32_t idle_ms;  // between two pieces of the content
    uint32_t total_ms; // until the answer's last byte, all tries together
} mg_relay_timeouts;

// All but `exchange` is borrowed until the relay is over.
typedef struct mg_relay_options {
    mg_exchange *exchange; // not answered yet
    mg_upstream *upstream;
    const mg_upstream_server_options *server; // of mg_upstreams_open; NULL: the upstream has them
    const mg_forward_rules *rules;
    mg_relay_timeouts timeouts;
    bool buffer;   // the request's body is taken whole before a server is asked (proxy/spool.h)
    bool has_body; // `body` is sent instead of the request's own
    mg_str body;
    const mg_relay_events *events; // NULL: none
    void *arg;
} mg_relay_options;

// Begins. Its events come later, so it lives when this returns; but without events the exchange may
// be answered already.
mg_relay *mg_relay_start(const mg_relay_options *options);

// From on_head on; lives with the relay. Its fields are as they came: see forward.h.
const mg_response *mg_relay_head(const mg_relay *r);
// Its status; 101 if the server has switched, over whichever wire.
int mg_relay_status(const mg_relay *r);

// The answer as it would be relayed: what ends here is taken away, ours is added. The list is the
// caller's to change; it lies in the exchange's arena. MG_ELIMIT: it has too many fields.
int mg_relay_answer(const mg_relay *r, mg_answer *out);

// Commits the head: `a`. The content follows: what has come of it at once, and perhaps the end, so
// that `r` and the exchange may be gone behind this.
void mg_relay_on(mg_relay *r, const mg_answer *a);

// Gives up: the call ends, the exchange is its app's again: to be answered otherwise, or, behind
// mg_relay_on, to be broken off.
void mg_relay_drop(mg_relay *r);
