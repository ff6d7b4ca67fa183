// store/redis_pubsub.h: who listens to what, on one connection of its own: each channel is asked
// for once, however many listen to it, and again when the connection was lost.
//
// Owns its connection and what it knows of channels; subscriptions are their owners' memory.
#pragma once

#include "store/redis.h"

typedef struct mg_redis_pubsub mg_redis_pubsub;

// `o`: of the connection, whose listens, events and arg are ours but for on_where; without events
// the host is known. Borrowed like of a connection. `on_moved`: the server has ended a sharded
// subscription by itself or refused it, since the slot has moved; it is in here no more. NULL: it
// is asked for again.
mg_redis_pubsub *mg_redis_pubsub_new(mg_loop *loop, const mg_redis_conn_options *o,
                                     void (*on_moved)(void *arg, mg_redis_subscription *s));
void mg_redis_pubsub_free(mg_redis_pubsub *p); // accepts NULL; nobody is told

void mg_redis_pubsub_add(mg_redis_pubsub *p, mg_redis_subscription *s);
void mg_redis_pubsub_remove(mg_redis_pubsub *p, mg_redis_subscription *s);

uint32_t mg_redis_pubsub_count(const mg_redis_pubsub *p);      // of subscriptions
mg_redis_conn *mg_redis_pubsub_conn(const mg_redis_pubsub *p); // NULL: nobody listens
