// store/redis_errand.h: what a cluster does with requests: redis_cluster.c (parts them, tells their
// replies), redis_unit.c (what goes to one server, and where to if it is not there). Not for
// others.
#pragma once

#include "store/redis_cluster_inside.h"
#include "store/redis_join.h"
#include "store/redis_scan.h"

typedef struct mg_redis_errand mg_redis_errand;
// What goes to one server and is answered as one.
typedef struct mg_redis_unit {
    mg_redis_call call;
    mg_link link;    // in its errand
    mg_link waiting; // in its cluster
    mg_redis_errand *errand;
    mg_redis_node *node; // the one that is to get it; NULL: who has the slot
    mg_redis_conn *own;  // a lease that it has for itself; NULL: it is on the one that all share
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
    bool stays;     // a pipeline: what one of its commands is told does not move the others
    bool asking;    // ASKING is said before
    bool in_flight;
    uint32_t tries; // redirections
    uint32_t waits;
    uint64_t again_ms;
    char *why;           // it waits, or could not be sent; NULL: it did not
    mg_redis_kept *kept; // replies of one with several commands
    mg_redis_scan *scan; // it is a SCAN: its words depend on who gets it; else NULL
    mg_buf options;      // of that: further words, encoded
    uint32_t option_count;
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

// --- redis_unit.c ---
// Sends it, or lets it wait. MG_ELIMIT: too many are under way there.
int mg_redis_unit_send(mg_redis_unit *u);
void mg_redis_unit_free(mg_redis_unit *u); // cancels

// --- redis_cluster.c ---
// Makes parts of a unit for everyone, and sends them.
void mg_redis_unit_expand(mg_redis_unit *u);
void mg_redis_unit_done(mg_redis_unit *u, const mg_redis_reply *r); // of one command: its reply
void mg_redis_unit_failed(mg_redis_unit *u, const mg_redis_fault *f);
