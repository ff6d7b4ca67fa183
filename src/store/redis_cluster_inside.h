// store/redis_cluster_inside.h: the inside of a Redis Cluster: redis_nodes.c (servers, and who has
// which slots), redis_errand.h (requests), redis_listening.c, redis_cluster_lease.c. Not for
// others.
#pragma once

#include "store/redis_ops.h"
#include "store/redis_pubsub.h"
#include "store/redis_slots.h"

typedef struct mg_redis_cluster mg_redis_cluster;

typedef struct mg_redis_node {
    mg_link link;
    mg_redis_cluster *cluster;
    mg_redis_conn *conn;     // NULL: not needed yet
    mg_redis_pubsub *pubsub; // of sharded channels; NULL: nobody has listened
    mg_link leases;          // that nobody has; connections are open
    uint32_t lease_count, idle_count;
    uint64_t asked; // the round in which it was asked for the map
    bool listed;    // in the map
    uint16_t port;
    char *name; // "redis://host:port": for texts
    char host[];
} mg_redis_node;

typedef struct mg_redis_shard {
    mg_redis_node *servers[MG_REDIS_RANGE_SERVERS]; // the master first
    uint32_t n, next;
    uint16_t slot; // one that it has
} mg_redis_shard;

struct mg_redis_cluster {
    mg_redis redis;
    // redis_nodes.c
    mg_link nodes;
    mg_redis_shard *shards;
    uint32_t shard_count;
    uint16_t shard_of[MG_REDIS_SLOTS]; // 1 + index; 0: nobody has it
    bool known;                        // there is a map
    bool lost;                         // nobody could be asked: calls fail at once, `why` says why
    bool asking;                       // for the map, `refresh` is under way
    uint64_t round, round_ms, wanted_ms;
    uint32_t turn; // who is asked first
    mg_redis_node *asked;
    mg_redis_call refresh;
    mg_timer again; // when it is asked anew
    mg_error why;
    // redis_unit.c
    mg_link waiting; // units, for another map or a while
    bool going_on;   // they are looked through
    mg_timer retry;
    mg_link errands; // requests under way
    mg_link leased;
    uint32_t taken;          // how many these are
    mg_redis_pubsub *pubsub; // of channels that any server knows; NULL: nobody has listened
    mg_link sharded;         // subscriptions, by `others`
    uint64_t calls, faults, timeouts, reconnects;
};

// --- redis_nodes.c ---
mg_redis_node *mg_redis_node_of(mg_redis_cluster *c, mg_str host, uint16_t port);
mg_redis_conn *mg_redis_node_conn(mg_redis_node *n);
mg_redis_conn_options mg_redis_node_options(mg_redis_node *n);

// Where a reply of that server sends one.
mg_redis_node *mg_redis_redirected_to(mg_redis_node *from, const mg_redis_redirect *d);

// Who is to be asked; NULL: nobody is known.
mg_redis_node *mg_redis_node_for(mg_redis_cluster *c, uint16_t slot, bool reads);
mg_redis_node *mg_redis_node_any(mg_redis_cluster *c);

// The next slot from this one on that anybody has, and its master. NULL: there is none.
mg_redis_node *mg_redis_node_from(mg_redis_cluster *c, uint16_t *slot);
// A slot of the master behind that of `slot`; each has its turn at its lowest one. False: that was
// the last.
bool mg_redis_next_master(const mg_redis_cluster *c, uint16_t *slot);

// That server said so.
void mg_redis_slot_moved(mg_redis_cluster *c, uint16_t slot, mg_redis_node *to);

// Asks somebody who has which slots, unless that was done in the last `least_ms`.
void mg_redis_refresh(mg_redis_cluster *c, uint64_t least_ms);
void mg_redis_nodes_close(mg_redis_cluster *c);

enum { MG_REDIS_SOON_MS = 100, MG_REDIS_LATER_MS = 1000 }; // between two questions

// --- redis_unit.c ---
void mg_redis_units_go_on(mg_redis_cluster *c);                 // there is another map
void mg_redis_units_fail(mg_redis_cluster *c, const char *why); // those that wait

// --- redis_cluster_lease.c ---
int mg_redis_cluster_lease(mg_redis *r, mg_str key, mg_redis_conn **out, mg_error *err);
// One to that server. MG_ELIMIT and a text.
int mg_redis_node_lease(mg_redis_node *n, mg_redis_conn **out, mg_error *err);
void mg_redis_leases_place(mg_redis_cluster *c);                 // there is a map
void mg_redis_leases_fail(mg_redis_cluster *c, const char *why); // those that wait for one
void mg_redis_cluster_give_back(mg_redis *r, mg_redis_conn *conn, bool clean);
void mg_redis_leases_close(mg_link *list);

// --- redis_listening.c ---
int mg_redis_cluster_subscribe(mg_redis *r, mg_redis_subscription *s, mg_error *err);
void mg_redis_cluster_unsubscribe(mg_redis *r, mg_redis_subscription *s);
void mg_redis_listening_place(mg_redis_cluster *c); // there is a map
void mg_redis_listening_close(mg_redis_cluster *c);
