// gate/topics_remote.h: joins the topics of all nodes of a fleet through Redis: what is published
// here is published there, and what other nodes publish is delivered to the subscribers of this
// worker. In a cluster channels are sharded: a message goes to the servers of one slot alone.
//
// A message carries the number of its node, so that no node hears itself: its own workers have each
// other's ring. Nothing is kept: what is published while the connection is lost does not come
// later, and that something may be missing is told when it is there again.
#pragma once

#include "live/topics.h"
#include "store/redis.h"

typedef struct mg_topics_redis mg_topics_redis;

typedef struct mg_topics_redis_options {
    mg_topics *topics;
    mg_redis *redis;
    uint64_t node;                                   // of this one: mg_shm_node
    void (*on_warning)(void *arg, const char *text); // messages may have been missed, are not sent
    void *arg;
} mg_topics_redis_options;

// Sets the remote of the topics. Borrows what is in `o`; frees itself before either.
mg_topics_redis *mg_topics_redis_new(mg_loop *loop, const mg_topics_redis_options *o);
void mg_topics_redis_free(mg_topics_redis *r); // accepts NULL; the topics have no remote then
