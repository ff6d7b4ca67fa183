// proxy/passage.h: bytes both ways between a client and an upstream's server that speak another
// protocol than HTTP by now (Upgrade, extended CONNECT): what becomes of a relay whose server has
// switched.
//
// A passage owns itself: it ends when either side is gone or both have ended, and is told to the
// access log then. It outlives the generation that it began on; its ticket counts it as in flight,
// and holds the set of upstreams. While the client's side may wait for long, its connection keeps
// timeouts.tunnel.
#pragma once

#include "proxy/upstream.h"
#include "server/answer.h"

typedef struct mg_passage_options {
    mg_exchange *exchange; // whose client asked for `protocol` (mg_exchange_may_take_over)
    const mg_answer *answer;
    mg_str protocol;
    mg_call *call;             // that has switched; taken
    mg_ticket *ticket;         // taken
    const mg_relayed *relayed; // what the log is told of the server; copied
} mg_passage_options;

// Both are dead behind this.
void mg_passage_begin(const mg_passage_options *o);

// Upstreams are `now` from here on, which were `before` (either may be NULL). Passages to servers
// that are still there go on; others end after `drain_ms`.
void mg_passages_follow(mg_upstreams *before, mg_upstreams *now, uint32_t drain_ms);
