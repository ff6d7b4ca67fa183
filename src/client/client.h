// client/client.h: HTTP calls to other servers: pools of connections, and what runs on them.
//
// An mg_client belongs to a loop and owns its origins, their connections and the calls under way.
// An origin is a scheme, host and port (or Unix socket) with the same demands on TLS; its calls
// wait in order for one of a limited number of connections.
#pragma once

#include "base/error.h"
#include "client/call.h"
#include "event/loop.h"
#include "http/guard.h"

typedef struct mg_client_options {
    uint32_t connections;            // to one origin
    uint32_t all_connections;        // to all origins together; 0: 4096
    uint32_t waiting;                // calls that wait for one of them; beyond it a call is refused
    uint32_t idle_connections;       // kept to one origin
    uint32_t idle_ms;                // for this long
    const char *ca;                  // PEM file or folder; NULL: the system's store
    mg_str ca_text;                  // that file's content, if it has been read already; copied
    const char *nameservers;         // event/dns.h; NULL: resolv.conf
    mg_str rules;                    // client/rules.h: of all calls; checked
    const char *denied_by;           // static: what a text calls them; NULL: "http.deny"
    mg_guard_limits head;            // of responses
    struct mg_dns *dns;              // borrowed; NULL: one of its own
    struct mg_tls_cache *tls;        // likewise
    const struct mg_call_wire *wire; // what connections speak; NULL: as the origin says
    mg_http2 http2;                  // of origins that do not say
    uint32_t ping_ms;                // HTTP/2: a server that is silent for so long is asked for a
                                     // sign of life; 0: never
    // A sentence for the operator's log; `arg` is `log_arg`.
    void (*on_warning)(void *arg, const char *text);
    void *log_arg;
} mg_client_options;

int mg_client_new(mg_client **out, mg_loop *loop, const mg_client_options *options, mg_error *err);

// Calls under way end without an event; connections close. The memory goes with the last of them,
// within mg_loop_free at the latest. Accepts NULL.
void mg_client_free(mg_client *c);

// Other limits than those that it was made with, for connections that are opened or kept from now
// on.
void mg_client_limit(mg_client *c, uint32_t connections, uint32_t idle_connections);

// The origin is not wanted any more, whatever its prelude: its idle connections close, busy ones
// once they are free. A call to it begins anew.
void mg_client_drain(mg_client *c, const mg_call_origin *origin);

typedef struct mg_client_stats {
    uint32_t origins, connections, idle, waiting;
    uint64_t calls, reused, dialled, failed;
} mg_client_stats;
void mg_client_read_stats(const mg_client *c, mg_client_stats *out);
