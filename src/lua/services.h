// lua/services.h: what a worker lends to the scripts of all its generations: it outlives them.
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "store/cache.h"
#include "store/database.h"

typedef struct mg_client mg_client;               // client/client.h
typedef struct mg_upstreams mg_upstreams;         // proxy/upstream.h
typedef struct mg_guests mg_guests;               // live/guest.h
typedef struct mg_topics mg_topics;               // live/topics.h
typedef struct mg_redis mg_redis;                 // store/redis.h
typedef struct mg_event_streams mg_event_streams; // live/events.h

typedef struct mg_named_database {
    const char *name; // "default" is the one without a name
    mg_database *database;
} mg_named_database;

typedef struct mg_named_redis {
    const char *name; // "default" is the one without a name
    mg_redis *redis;
} mg_named_redis;

// What the process that asks for certificates lends to its own scripts (gate/acme_process.c).
typedef struct mg_acme_seam {
    void *arg;
    mg_str wishes; // gate/acme_wishes.h
    // All workers are to show it (event/tls_challenge.h), or nothing if it is empty; whether all of
    // them have been told.
    void (*show)(void *arg, mg_str challenge);
    bool (*is_shown)(void *arg);
    void (*issued)(void *arg); // there is another certificate
    void (*tell)(void *arg, mg_str name, mg_str state);
} mg_acme_seam;

// All borrowed. NULL or 0: there is none, and calls say so.
typedef struct mg_services {
    mg_client *client;
    mg_upstreams *upstreams;
    mg_guests *guests;
    mg_topics *topics;
    mg_cache *cache;
    mg_event_streams *event_streams;
    // What a script says of an upstream's servers (gate/orders.h), for all workers. A negative code
    // and a text if it cannot be. NULL: nobody listens.
    int (*order_upstream)(void *arg, mg_str upstream, mg_str verb, mg_str what, mg_error *err);
    void *order_arg;
    const mg_named_database *databases;
    uint32_t database_count;
    const mg_named_redis *redis; // where the cache is, it is "default" unless another one is
    uint32_t redis_count;
    mg_redis *fleet; // where the cache is: what the nodes of a fleet have in common; NULL: nothing
    const mg_acme_seam *acme;
} mg_services;
