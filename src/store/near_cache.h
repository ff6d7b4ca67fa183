// store/near_cache.h: values of a cache far away, kept in memory that processes share, for as long
// as its server would tell if they changed.
//
// The values lie in an mg_memory_cache. A worker serves only what it has read itself over a
// connection on which the server remembers that (CLIENT TRACKING of Redis): whoever else put it
// there may be stuck, and not have heard yet that it is no longer so. So a worker remembers for
// each key which entry it has read; another worker that reads the same value finds it there and
// puts nothing. Nothing is served in a turn of the loop that has lasted for long: what the server
// told meanwhile is not read yet.
//
// What is read is stored only if nothing was told of that key since the read began.
//
// An mg_near_cache owns its view of the values and its table of keys; it belongs to a loop.
#pragma once

#include "event/loop.h"
#include "store/memory_cache.h"

typedef struct mg_near_cache mg_near_cache;

enum { MG_NEAR_TURN_MS = 20 }; // what a turn has lasted when nothing is served any more

// A read that is under way. Plain data.
typedef struct mg_near_read {
    uint64_t hash; // of the key
    uint64_t since;
} mg_near_read;

// What was read.
typedef struct mg_near_value {
    mg_str key, value;
    uint8_t tag;
    uint64_t ttl_ms; // 0: it has no end
} mg_near_value;

// `values` is taken; `bytes`: how large its memory is.
mg_near_cache *mg_near_cache_new(mg_loop *loop, mg_memory_cache *values, size_t bytes);
void mg_near_cache_free(mg_near_cache *n); // accepts NULL

// MG_OK: the value is appended; -ENOENT: the server is to be asked.
int mg_near_cache_get(mg_near_cache *n, mg_str key, mg_buf *out, uint8_t *tag);

// A read begins: before anything of it has been sent. Each is ended once. False: there is no room
// to remember it; it is not to be tracked.
bool mg_near_cache_begin(mg_near_cache *n, mg_str key, mg_near_read *read);
void mg_near_cache_end(mg_near_cache *n, const mg_near_read *read, const mg_near_value *v);

// The read has failed, or there is nothing, or nobody is told if it changes.
void mg_near_cache_drop(mg_near_cache *n, const mg_near_read *read);

// The key has changed, or may have.
void mg_near_cache_forget(mg_near_cache *n, mg_str key);

// Everything may have: a connection is lost, keys have moved.
void mg_near_cache_forget_all(mg_near_cache *n);

typedef struct mg_near_stats {
    uint64_t hits, flushes;
    uint32_t keys; // that this worker has read, or reads
} mg_near_stats;

void mg_near_cache_read_stats(const mg_near_cache *n, mg_near_stats *out);
