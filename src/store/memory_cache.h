// store/memory_cache.h: a cache in memory that processes share: keys to bytes, with a time to live
// and a budget.
//
// The region belongs to the caller (base/shm's room, or plain memory in specs) and is cut into
// shards, each with a lock, an index and a log of entries (see memory_cache.c). A process may die
// at any instruction, or scribble on the region: its shard, or what it has broken, is emptied by
// the next one that finds it. Locks are tried for a bounded time. Times are the caller's
// milliseconds, of one clock for all processes.
#pragma once

#include "event/loop.h"
#include "store/cache.h"

typedef struct mg_memory_cache mg_memory_cache;

enum { MG_CACHE_BYTES_MIN = 1 << 20 };

// Makes an empty cache of `bytes` (>= MG_CACHE_BYTES_MIN) at page-aligned, zeroed `memory`; once,
// before anyone opens it.
int mg_memory_cache_format(void *memory, size_t bytes, mg_error *err);

// A view of a formatted region, which must outlive it; one that is broken is formatted anew.
// MG_ESYNTAX and a text if it is another version's, or of another size.
int mg_memory_cache_open(mg_memory_cache **out, void *memory, size_t bytes, mg_error *err);
void mg_memory_cache_close(mg_memory_cache *c); // accepts NULL; the region stays

// Appends the value and tells the tag it was stored with. -ENOENT: a miss (never stored, evicted,
// too old, or its shard could not be locked in time).
int mg_memory_cache_get(mg_memory_cache *c, mg_str key, uint64_t now_ms, mg_buf *out, uint8_t *tag);

// By it a key is found; another one once the region's head was broken.
uint64_t mg_memory_cache_hash(mg_memory_cache *c, mg_str key);

// A get of who keeps the hash. -ENOENT also if it is not the key's any more.
typedef struct mg_hashed_key {
    mg_str key;
    uint64_t hash;
} mg_hashed_key;

int mg_memory_cache_get_hashed(mg_memory_cache *c, const mg_hashed_key *k, uint64_t now_ms,
                               mg_buf *out, uint8_t *tag);

// `ttl_ms` 0: until it is evicted. MG_ELIMIT: key or value too large; MG_EAGAIN: busy.
int mg_memory_cache_set(mg_memory_cache *c, mg_str key, mg_str value, uint8_t tag, uint64_t now_ms,
                        uint64_t ttl_ms);

// 0: it was there; -ENOENT; MG_EAGAIN: busy.
int mg_memory_cache_delete(mg_memory_cache *c, mg_str key, uint64_t now_ms);

// Adds `by` to a counter, which begins at `initial` with `ttl_ms` if there is none (an existing one
// keeps its end). Counters are stored as decimal text with tag `tag`. MG_ESYNTAX: the value there
// is no integer, -ERANGE: the sum leaves 64 bits; MG_EAGAIN: busy.
int mg_memory_cache_increment(mg_memory_cache *c, mg_str key, int64_t by, int64_t initial,
                              uint8_t tag, uint64_t now_ms, uint64_t ttl_ms, int64_t *sum);

// Single flight across processes: `holder` (never 0; a worker's own number) may fill `key` alone
// for at most `for_ms`. True: it has the lease now, or had it. A lease ends by set, delete or
// release, with its time, or with mg_memory_cache_release_all of its holder.
bool mg_memory_cache_lease(mg_memory_cache *c, mg_str key, uint64_t holder, uint64_t now_ms,
                           uint64_t for_ms);
void mg_memory_cache_release(mg_memory_cache *c, mg_str key, uint64_t holder);
void mg_memory_cache_release_all(mg_memory_cache *c, uint64_t holder); // that process is dead

// Sums over all shards; a shard that is locked gives its last known figures.
void mg_memory_cache_read_stats(const mg_memory_cache *c, mg_cache_stats *out);

// Empties everything.
void mg_memory_cache_clear(mg_memory_cache *c);

// The view as one kind of cache: time is the loop's, leases are `holder`'s. Takes `c`.
mg_cache *mg_memory_cache_lend(mg_memory_cache *c, mg_loop *loop, uint64_t holder);
