// store/redis_slots.h: where the keys of a Redis Cluster lie, as its specification says
// (https://redis.io/docs/reference/cluster-spec): the slot of a key, which server has which slots,
// and the errors that send somebody elsewhere. Pure.
#pragma once

#include "store/redis_codec.h"

enum {
    MG_REDIS_SLOTS = 16384,
    MG_REDIS_RANGE_SERVERS = 16, // of one range: its master and replicas; more are left out
};

// CRC16 (XMODEM) of the key, or of its hash tag: what stands between the first "{" and the next
// "}", unless that is nothing.
uint16_t mg_redis_slot(mg_str key);

// What an error says: another server is to be asked. `host` is borrowed from the text and empty
// where it is the one that answered.
typedef enum mg_redis_redirect_kind {
    MG_REDIS_STAY,
    MG_REDIS_MOVED,
    MG_REDIS_ASK
} mg_redis_redirect_kind;

typedef struct mg_redis_redirect {
    uint32_t kind; // mg_redis_redirect_kind
    uint16_t slot;
    uint16_t port;
    mg_str host;
} mg_redis_redirect;

// Reads "MOVED 3999 127.0.0.1:6381" or "ASK ..."; MG_REDIS_STAY: it is no such error.
mg_redis_redirect mg_redis_redirect_of(const mg_redis_reply *r);

typedef struct mg_redis_range_server {
    mg_str host; // borrowed from the reply; empty: the one that answered
    uint16_t port;
} mg_redis_range_server;

typedef struct mg_redis_range {
    uint16_t first, last;
    uint32_t n;                                            // at least 1
    mg_redis_range_server servers[MG_REDIS_RANGE_SERVERS]; // the master first
} mg_redis_range;

// Takes the next range from the reply to CLUSTER SLOTS; `*at` is 0 at first. Ranges without a
// server whose address is known are left out. False: there are no more, or the reply is none:
// `*fault` says so (static; else NULL).
bool mg_redis_next_range(const mg_redis_reply *r, uint32_t *at, mg_redis_range *out,
                         const char **fault);
