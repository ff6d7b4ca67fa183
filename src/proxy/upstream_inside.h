// proxy/upstream_inside.h: what the files of this room know of each other's upstreams.
//
//   upstream.c   sets, upstreams, tickets
//   members.c    an upstream's servers as they are now
//   pool.c       their connections, and what all upstreams of a worker have in common
//   names.c      what the names of servers mean
//   balance.c    which of several servers
#pragma once

#include "base/list.h"
#include "base/random.h"
#include "event/dns.h"
#include "event/tls_cache.h"
#include "proxy/changes.h"
#include "proxy/health.h"
#include "proxy/names.h"
#include "proxy/outlier.h"
#include "proxy/upstream.h"

// What all sets of a worker have in common. Counted by sets and pools.
typedef struct mg_upstream_base {
    uint32_t refs;
    mg_loop *loop;
    mg_dns *dns;
    mg_tls_cache *tls;
    mg_names *names;
    bool has_net;     // of specs: names are asked for there, and stay names here
    mg_buf signature; // of what it was made from
    mg_guard_limits head;
    mg_random random;
    mg_shared *shared;
    mg_link pools;
    mg_link sets;
    mg_link passages;   // passage.c: of tickets of these sets, or of former ones
    mg_changes changes; // the log
} mg_upstream_base;

// The connections of one upstream's servers. Counted by upstreams and servers.
typedef struct mg_upstream_pool {
    mg_link link; // in its base
    uint32_t refs;
    mg_upstream_base *base;
    mg_client *client;
    mg_client *checks; // for health checks; NULL: none was needed
    mg_upstream_hold hold;
    mg_link waiters;         // proxy/waiting.h
    mg_timer turn;           // of the first of them
    char *name;              // of the upstream
    mg_buf signature;        // of what else its connections were made from
    unsigned proxy_protocol; // as of its upstream
    bool is_open; // its servers come and go with their tickets: no other worker knows them
    mg_link servers;
} mg_upstream_pool;

// The server that others see, and what is counted of it. Lives while upstreams have it as a member
// or tickets are out.
typedef struct mg_server_state {
    mg_upstream_server seen; // first
    mg_link link;            // in its pool
    mg_upstream_pool *pool;
    mg_arena arena; // of its texts
    mg_origin_hint hint;
    uint32_t members; // upstreams that have it; 0: it drains
    uint64_t hash;    // of what it is, for MG_BALANCE_HASH
    mg_server_hold hold;
    mg_link tickets;
} mg_server_state;

// A server of an upstream, as that upstream's options have it.
typedef struct mg_member {
    mg_server_state *server;
    uint32_t weight;
    bool backup;
    bool draining;   // moongate.upstream():drain: nothing new goes there
    int64_t current; // of the smooth weighted round robin
    mg_check *check; // NULL: none is wanted
} mg_member;

struct mg_upstream {
    mg_link link; // in its set
    mg_upstreams *set;
    mg_arena arena; // of the options
    mg_upstream_options options;
    mg_upstream_pool *pool;      // NULL: a split
    mg_upstream_servers servers; // that hold now: configured, or set by a script
    mg_arena set_arena;          // of those that were set
    char **drained;              // URLs
    size_t drained_count;
    struct mg_member_name *names; // of servers whose host is one, as many as there are servers
    size_t name_count;
    mg_member *members;
    size_t member_count;
    mg_member **candidates; // room for all members; of one choice
    const mg_server_hold **holds;
    mg_server_group group; // the holds of all members
    _Atomic uint64_t told; // requests that were refused, in the log (changes.h)
};

struct mg_upstreams {
    mg_link link; // in its base
    uint32_t refs;
    mg_upstream_base *base;
    mg_link upstreams;
    mg_upstream *open; // of servers that none of them names; NULL: those are not asked
    mg_link mirrors;   // that are sent: each has a reference
    uint32_t mirror_count;
};

// --- pool.c ---

// With a reference.
int mg_upstream_base_new(mg_upstream_base **out, const mg_upstreams_setup *setup, mg_error *err);
bool mg_upstream_base_fits(const mg_upstream_base *b, const mg_upstreams_setup *setup);
mg_upstream_base *mg_upstream_base_ref(mg_upstream_base *b);
void mg_upstream_base_unref(mg_upstream_base *b);

// The pool of that upstream with these options: one that is there, or a new one. With a reference.
int mg_upstream_pool_get(mg_upstream_pool **out, mg_upstream_base *b, const mg_upstream_options *o,
                         mg_error *err);
void mg_upstream_pool_unref(mg_upstream_pool *p); // accepts NULL

// There is no place for it in the memory that workers share.
void mg_upstream_tell_private(const mg_upstream_base *b, const char *name);

// --- members.c ---

void mg_members_begin(mg_upstream *u); // those of its options
void mg_members_end(mg_upstream *u);

// `servers` NULL: those of its options again.
void mg_members_set(mg_upstream *u, const mg_upstream_servers *servers);
void mg_members_drain(mg_upstream *u, mg_str url, bool drain);

// --- balance.c ---

// Its weight while it comes slowly, in 1/256.
uint32_t mg_member_weight(const mg_member *m, const mg_upstream_options *o, uint64_t now_ms);

// One of `n` candidates, of which there is at least one.
mg_member *mg_balance_pick(mg_upstream *u, const mg_choice *choice, mg_member *const *candidates,
                           size_t n);
