// store/cache_ops.h: one kind of cache, seen from cache.c. Not for other rooms.
//
// A kind embeds these structs at the front of its own and fills them.
#pragma once

#include "store/cache.h"

typedef struct mg_cache_ops {
    mg_cache_call *(*get)(mg_cache *c, mg_str key, mg_buf *room, mg_cache_result *out);
    mg_cache_call *(*set)(mg_cache *c, const mg_cache_entry *e, mg_cache_result *out);
    mg_cache_call *(*remove)(mg_cache *c, mg_str key, mg_cache_result *out);
    mg_cache_call *(*increment)(mg_cache *c, const mg_cache_step *s, mg_cache_result *out);
    mg_cache_call *(*lease)(mg_cache *c, mg_str key, uint64_t for_ms, mg_cache_result *out);
    void (*release)(mg_cache *c, mg_str key);
    mg_cache_call *(*clear)(mg_cache *c, mg_cache_result *out);
    void (*cancel)(mg_cache_call *call); // NULL: every operation is settled at once
    void (*read_stats)(const mg_cache *c, mg_cache_stats *out);
    void (*free)(mg_cache *c);
} mg_cache_ops;

struct mg_cache {
    const mg_cache_ops *ops;
};

struct mg_cache_call {
    mg_cache *cache;
    mg_cache_done_cb on_done;
    void *arg;
};
