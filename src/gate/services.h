// gate/services.h: makes what a worker lends to its scripts: the HTTP client, its view of the
// shared cache, its databases, its upstreams.
//
// Counted: each generation holds a reference to its set. What a reload does not change is shared
// with the set before, each service for itself: a changed database leaves the client its
// connections.
#pragma once

#include "base/shm.h"
#include "config/config.h"
#include "gate/orders.h"
#include "lua/services.h"

typedef struct mg_service_set mg_service_set;

// Borrowed for the call.
typedef struct mg_service_options {
    const mg_config *config;
    mg_service_set *before; // whose services are shared where they fit; NULL: none
    mg_shm *shm;            // outlives the set
    uint64_t holder;        // of leases in the cache: the process's own number
    uint32_t worker;        // its slot, for what all workers know of upstreams
    mg_topics *topics;      // the worker's, as the next; they outlive the set
    mg_event_streams *event_streams;
    mg_guests *guests;
    const mg_orders *orders; // of upstreams; NULL: none
    int (*order_upstream)(void *arg, mg_str upstream, mg_str verb, mg_str what, mg_error *err);
    void (*on_warning)(void *arg, const char *text); // `log_arg` is for these
    void (*on_news)(void *arg, const char *text);    // lines that are no warnings
    void *log_arg;
} mg_service_options;

// A negative code and a text that names the key of the configuration.
int mg_service_set_new(mg_service_set **out, mg_loop *loop, const mg_service_options *o,
                       mg_error *err);
mg_service_set *mg_service_set_ref(mg_service_set *s); // accepts NULL
void mg_service_set_unref(mg_service_set *s);          // on the loop; accepts NULL

// What scripts get; lives as long as the set.
const mg_services *mg_service_set_lent(const mg_service_set *s);

// For the master: formats the cache in fresh shared memory, and forgets what a dead worker held.
int mg_cache_prepare(mg_shm *shm, mg_error *err);
void mg_cache_forget_worker(mg_shm *shm, uint64_t holder);
