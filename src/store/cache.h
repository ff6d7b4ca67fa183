// store/cache.h: a cache as seen from the loop: keys to bytes, with a time to live. What is behind
// it (memory that processes share, today) is a table of functions, as with databases.
//
// Whoever can answer at once does so: the function fills `out` and returns NULL. Else it returns a
// call, heap memory of this room, which knows nobody yet: mg_cache_await says whom to tell. Its
// on_done comes exactly once on the loop, never inside the function that began it, unless it is
// cancelled: then never. Keys and values are copied where they have to wait.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

typedef struct mg_cache mg_cache;
typedef struct mg_cache_call mg_cache_call;

enum {
    MG_CACHE_KEY_MAX = 1024,
    MG_CACHE_VALUE_MAX = 1 << 20,
};

// How a value was stored.
enum {
    MG_CACHE_STRING = 1,
    MG_CACHE_JSON,   // a counter too: its decimal digits
    MG_CACHE_UNSURE, // of a get: JSON if it can be read so, else a string
};

// What an operation came to: MG_OK; -ENOENT: there is no such key; MG_ELIMIT: key or value too
// large; MG_EAGAIN: busy, or another one has the lease; MG_ESYNTAX: the value there is no integer;
// -ERANGE: the sum leaves 64 bits; MG_ECLOSED: it is down; any other; `text` may say more.
typedef struct mg_cache_result {
    int code;
    uint8_t tag;      // of a get: what the value was stored with
    mg_str value;     // likewise; borrowed: it lies in `room`, or is there for the callback
    int64_t sum;      // of an increment
    const char *text; // borrowed likewise; NULL: the code says all
} mg_cache_result;

typedef void (*mg_cache_done_cb)(void *arg, const mg_cache_result *r);

// `ttl_ms` 0: until it is evicted.
typedef struct mg_cache_entry {
    mg_str key, value;
    uint8_t tag;
    uint64_t ttl_ms;
} mg_cache_entry;

// A new counter begins at `initial` and ends after `ttl_ms`; an existing one keeps its end.
// Counters are stored as decimal text.
typedef struct mg_cache_step {
    mg_str key;
    int64_t by, initial;
    uint8_t tag;
    uint64_t ttl_ms;
} mg_cache_step;

// `room`: where a value is put that is there at once.
mg_cache_call *mg_cache_get(mg_cache *c, mg_str key, mg_buf *room, mg_cache_result *out);
mg_cache_call *mg_cache_set(mg_cache *c, const mg_cache_entry *e, mg_cache_result *out);
mg_cache_call *mg_cache_delete(mg_cache *c, mg_str key, mg_cache_result *out);
mg_cache_call *mg_cache_increment(mg_cache *c, const mg_cache_step *s, mg_cache_result *out);

// Single flight among all who use this cache: MG_OK: whoever asks has the lease now, or had it, and
// may fill `key` alone for at most `for_ms`. A lease ends by release or with its time; in memory
// also by set and delete.
mg_cache_call *mg_cache_lease(mg_cache *c, mg_str key, uint64_t for_ms, mg_cache_result *out);
void mg_cache_release(mg_cache *c, mg_str key); // nobody is told how that went

// Empties everything that is this cache's own.
mg_cache_call *mg_cache_clear(mg_cache *c, mg_cache_result *out);

// At once, when a call has been begun.
void mg_cache_await(mg_cache_call *call, mg_cache_done_cb on_done, void *arg);

// Nobody wants to know any more; what was begun may still happen. Not after on_done.
void mg_cache_cancel(mg_cache_call *call);

typedef struct mg_cache_stats {
    const char *state; // static: of one that is elsewhere, as in store/redis.h; NULL: it is here
    uint64_t entries, bytes, capacity_bytes;
    uint64_t hits, misses, sets, evicted, expired, busy, emptied;
    // Of values that are kept near (store/redis_near.h): hits among `hits`.
    uint64_t near_hits, near_keys, near_flushes;
} mg_cache_stats;

// As far as is known here.
void mg_cache_read_stats(const mg_cache *c, mg_cache_stats *out);

// on_done of pending calls does not come. Not inside an on_done. Accepts NULL.
void mg_cache_free(mg_cache *c);
