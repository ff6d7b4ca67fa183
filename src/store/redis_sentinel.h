// store/redis_sentinel.h: asks sentinels where the master of a service is
// (https://redis.io/docs/reference/sentinel-clients), and hears from them when it has become
// another.
//
// Owns its connections to sentinels.
#pragma once

#include "store/redis.h"

typedef struct mg_redis_sentinel mg_redis_sentinel;

typedef struct mg_redis_sentinel_events {
    // The master, after mg_redis_sentinel_ask, and whenever it is told; `host` is lent.
    void (*on_master)(void *arg, const char *host, uint16_t port);
    void (*on_unknown)(void *arg, const mg_redis_fault *why); // none of them could say
    void *arg;
} mg_redis_sentinel_events;

// `r` and `events` are borrowed; its settings name sentinels and service.
mg_redis_sentinel *mg_redis_sentinel_new(mg_redis *r, const mg_redis_sentinel_events *events);
void mg_redis_sentinel_free(mg_redis_sentinel *s); // accepts NULL

// The answer comes later, once for all who ask meanwhile.
void mg_redis_sentinel_ask(mg_redis_sentinel *s);
