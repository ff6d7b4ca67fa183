// proxy/members.h: an upstream's servers while it runs: how they are, and others than those of the
// configuration.
//
// What is said here holds for a set and for all others that share its base: those of other
// generations of one worker.
#pragma once

#include "proxy/upstream.h"

// Other servers than those of the configuration (NULL: those again); copied. Those that stay keep
// their connections. What was said to drain is forgotten. A split, and a name that is unknown, stay
// as they are.
void mg_upstreams_set_servers(mg_upstreams *us, mg_str name, const mg_upstream_servers *servers);

// The server of that URL takes nothing new; or takes it again. Nothing happens if there is none.
void mg_upstreams_drain(mg_upstreams *us, mg_str name, mg_str url, bool drain);

// What there is to know of a server.
typedef struct mg_upstream_member {
    const mg_upstream_server *server;
    uint32_t weight;
    bool backup;
    const char *state;  // static: "up", "down", "ejected", "draining"
    char why[96];       // "": nothing to say
    uint32_t in_flight; // of all workers
    double latency_ms;  // its moving average; 0: unknown
} mg_upstream_member;

size_t mg_upstream_member_count(const mg_upstream *u); // of a split: 0
void mg_upstream_member_of(const mg_upstream *u, size_t i, mg_upstream_member *out);

// Of all its servers, in all workers.
typedef struct mg_upstream_now {
    uint32_t in_flight;
    const char *circuit; // static: "closed", "open", "half open"
} mg_upstream_now;
void mg_upstream_read_now(const mg_upstream *u, mg_upstream_now *out);
