// proxy/options.h: what a configuration says of an upstream: plain data, filled by
// config/upstream.c.
//
// Times are milliseconds, shares between 0 and 1. Texts are borrowed; an mg_upstream has copies.
#pragma once

#include "base/arena.h"
#include "proxy/status_set.h"

typedef enum mg_balance {
    MG_BALANCE_P2C, // of two drawn the one with less (latency x in flight) for its weight
    MG_BALANCE_ROUND_ROBIN,
    MG_BALANCE_LEAST_REQUESTS,
    MG_BALANCE_RANDOM,
    MG_BALANCE_HASH,
} mg_balance;

typedef enum mg_hash_by { // in the order of config/upstream.c
    MG_HASH_NONE,
    MG_HASH_HEADER,
    MG_HASH_COOKIE,
    MG_HASH_QUERY,
    MG_HASH_IP,
    MG_HASH_PATH,
} mg_hash_by;

typedef enum mg_host_policy {
    MG_HOST_CLIENT,   // as the client sent it
    MG_HOST_UPSTREAM, // the server's own, of its URL
    MG_HOST_LITERAL,
} mg_host_policy;

// An item of `servers`: its URL in parts.
typedef struct mg_upstream_server_options {
    const char *url;       // as it was written
    const char *host;      // a name or an IP literal (v6 without brackets); "" for a Unix socket
    const char *unix_path; // absolute; NULL: none
    uint64_t weight;       // from 1
    uint16_t port;
    bool tls;
    bool backup; // used when no other server may be
} mg_upstream_server_options;

typedef struct mg_upstream_servers {
    const mg_upstream_server_options *items;
    size_t n;
} mg_upstream_servers;

typedef struct mg_upstream_arm {
    const char *upstream; // which is no split itself
    uint64_t weight;
} mg_upstream_arm;

// --- its parts; `on` false: the configuration does not have it ---

typedef struct mg_health_options {
    bool on;
    const char *path; // NULL: a connection that opens is enough
    const char *grpc; // a service, by grpc.health.v1; "": the server; NULL: not so
    const char *host; // NULL: as the server's URL says
    uint64_t interval_ms, timeout_ms;
    mg_status_set status;
    uint64_t up, down; // so many verdicts in a row change it
} mg_health_options;

typedef struct mg_outlier_options {
    bool on;
    uint64_t failures; // in a row
    uint64_t eject_ms; // the first time; longer each time
    double most;       // of the servers
} mg_outlier_options;

typedef struct mg_circuit_options {
    bool on;
    uint64_t in_flight, waiting; // of all workers
    double failures;             // of the requests; opens it
    uint64_t volume;             // requests that it takes to judge
    uint64_t open_ms;
} mg_circuit_options;

typedef struct mg_retry_options {
    bool on;
    uint64_t count;          // tries beside the first
    uint64_t try_timeout_ms; // until the head; 0: as timeouts say
    double budget;           // of the requests in flight
    bool on_connect, on_closed, on_timeout;
    mg_status_set on_status;
    uint32_t on_grpc; // the bit of each mg_grpc_status
} mg_retry_options;

typedef struct mg_mirror_options {
    const char *to; // an upstream; NULL: none
    double share;
} mg_mirror_options;

typedef struct mg_upstream_timeouts {
    uint64_t connect_ms, first_byte_ms, idle_ms, total_ms; // idle: between two pieces; total 0: any
} mg_upstream_timeouts;

// Of the connections to servers whose URL says https.
typedef struct mg_upstream_tls {
    const char *ca, *cert, *key; // absolute paths of PEM files; NULL: none
    const char *server_name;     // NULL: the host of the URL
    bool insecure;
} mg_upstream_tls;

typedef struct mg_upstream_options {
    const char *name;
    mg_upstream_servers servers;
    unsigned balance;      // an mg_balance
    unsigned hash_by;      // an mg_hash_by
    const char *hash_name; // of the header, cookie or query key; NULL: none
    mg_health_options health;
    mg_outlier_options outlier;
    mg_circuit_options circuit;
    mg_retry_options retries;
    uint64_t hedge_after_ms; // 0: never
    mg_mirror_options mirror;
    mg_upstream_timeouts timeouts;
    uint64_t slow_start_ms; // 0: none
    uint64_t connections;   // of a worker to one server
    uint64_t idle_ms;       // one without a call is kept for so long
    uint64_t ping_ms;       // of HTTP/2: silence until a sign of life is asked for; 0: never
    unsigned http2;         // an mg_http2
    unsigned host;          // an mg_host_policy
    const char *host_literal;
    mg_upstream_tls tls;
    unsigned proxy_protocol; // 0: none, 1, 2: that version's header comes first
    mg_str rules;            // client/rules.h: which addresses may be dialled; empty: all

    // A split has arms instead of servers, and no more than `sticky` besides.
    const mg_upstream_arm *arms;
    size_t arm_count;
    const char *sticky; // a cookie's name; NULL: none
} mg_upstream_options;

// A copy whose texts and lists lie in `a`.
void mg_upstream_options_copy(mg_upstream_options *out, const mg_upstream_options *from,
                              mg_arena *a);

typedef struct mg_upstreams_options {
    const mg_upstream_options *items;
    size_t n;
    // Of servers that none of them names (ctx:proxy with a URL), its name MG_UPSTREAM_OPEN; NULL:
    // those are not asked.
    const mg_upstream_options *open;
} mg_upstreams_options;

// In logs; no upstream of a configuration is called so.
#define MG_UPSTREAM_OPEN "(open)"
