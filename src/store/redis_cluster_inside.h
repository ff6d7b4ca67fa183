// store/redis_cluster_inside.h: the inside of a Redis Cluster: redis_cluster.c (requests),
// redis_unit.c (what goes to one server, and where to if it is not there), redis_nodes.c (servers,
// and who has which slots), redis_listening.c, redis_cluster_lease.c. Not for others.
#pragma once

#include "store/redis_join.h"
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
    mg_redis_pubsub *pubsub; // of channels that any server knows; NULL: nobody has listened
    mg_link sharded;         // subscriptions, by `others`
    uint64_t calls, faults, timeouts, reconnects;
};

typedef struct mg_redis_errand mg_redis_errand;
// What goes to one server and is answered as one.
typedef struct mg_redis_unit {
    mg_redis_call call;
    mg_link link;    // in its errand
    mg_link waiting; // in its cluster
    mg_redis_errand *errand;
    mg_redis_node *node; // the one that is to get it; NULL: who has the slot
    uint32_t first;      // command of the errand; of a part: the one that it is of
    uint32_t count;      // commands
    uint32_t part;       // 1 + its number among the parts; 0: it is none
    uint32_t got;        // replies
    uint16_t slot;
    bool anyone;    // no key: any master
    bool reads;     // a replica may answer, it may be asked again
    bool tracked;   // the first command is CLIENT CACHING
    bool untracked; // that was left out
    bool everyone;  // it becomes a part for each master once these are known
    bool asking;    // ASKING is said before
    bool in_flight;
    uint32_t tries; // redirections
    uint32_t waits;
    uint64_t again_ms;
    mg_error why;        // it waits
    mg_redis_kept *kept; // replies of one with several commands
    mg_buf words;
} mg_redis_unit;

// A command of a request that waits for its parts, or for those in front of it.
typedef struct mg_redis_pending {
    mg_redis_kept reply;
    bool there;
    uint8_t join;
    uint32_t keys;
    mg_redis_part *parts;
    uint32_t part_count, parts_left;
    uint32_t *places;
} mg_redis_pending;

struct mg_redis_errand {
    mg_link link;
    mg_redis_cluster *cluster;
    mg_redis_request *q; // NULL: over; it goes when nobody is being told
    mg_link units;
    uint64_t until_ms;
    uint32_t count, next; // commands; the one that is told next
    uint32_t holds;
    mg_redis_pending commands[];
};

// --- redis_nodes.c ---
mg_redis_node *mg_redis_node_of(mg_redis_cluster *c, mg_str host, uint16_t port);
mg_redis_conn *mg_redis_node_conn(mg_redis_node *n);
mg_redis_conn_options mg_redis_node_options(mg_redis_node *n);

// Who is to be asked; NULL: nobody is known.
mg_redis_node *mg_redis_node_for(mg_redis_cluster *c, uint16_t slot, bool reads);
mg_redis_node *mg_redis_node_any(mg_redis_cluster *c);

// That server said so.
void mg_redis_slot_moved(mg_redis_cluster *c, uint16_t slot, mg_redis_node *to);

// Asks somebody who has which slots, unless that was done in the last `least_ms`.
void mg_redis_refresh(mg_redis_cluster *c, uint64_t least_ms);
void mg_redis_nodes_close(mg_redis_cluster *c);

enum { MG_REDIS_SOON_MS = 100, MG_REDIS_LATER_MS = 1000 }; // between two questions

// --- redis_unit.c ---
// Sends it, or lets it wait. MG_ELIMIT: too many are under way there.
int mg_redis_unit_send(mg_redis_unit *u);
void mg_redis_unit_free(mg_redis_unit *u);                      // cancels
void mg_redis_units_go_on(mg_redis_cluster *c);                 // there is another map
void mg_redis_units_fail(mg_redis_cluster *c, const char *why); // those that wait

// --- redis_cluster.c ---
// Makes parts of a unit for everyone, and sends them.
void mg_redis_unit_expand(mg_redis_unit *u);
void mg_redis_unit_done(mg_redis_unit *u, const mg_redis_reply *r); // of one command: its reply
void mg_redis_unit_failed(mg_redis_unit *u, const mg_redis_fault *f);

// --- redis_cluster_lease.c ---
mg_redis_conn *mg_redis_cluster_lease(mg_redis *r, mg_str key, mg_error *err);
void mg_redis_cluster_give_back(mg_redis *r, mg_redis_conn *conn, bool clean);
void mg_redis_leases_close(mg_link *list);

// --- redis_listening.c ---
int mg_redis_cluster_subscribe(mg_redis *r, mg_redis_subscription *s, mg_error *err);
void mg_redis_cluster_unsubscribe(mg_redis *r, mg_redis_subscription *s);
void mg_redis_listening_place(mg_redis_cluster *c); // there is a map
void mg_redis_listening_close(mg_redis_cluster *c);
