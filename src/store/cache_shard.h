// store/cache_shard.h: one shard of a cache: a lock, an index and a log of entries. For
// store/memory_cache.c alone.
//
// The log is a ring: entries are appended at its head and leave at its tail, so nothing is ever too
// scattered to be used. An entry that was read since it was written is moved to the head when the
// tail reaches it (a second chance), which comes close to least-recently-used. Overwritten and
// deleted entries stay as dead bytes until the tail reaches them.
//
// All references are offsets into the log, in units of 8 bytes, since each process maps the region
// at another address. What the region says is checked in a copy of this process's own before it is
// followed, entries carry a sum of what they hold, and sizes are not read from the region at all:
// whoever finds something that cannot be empties the shard.
//
// A lock whose holder is no more, or that names nobody, is taken over (base/lock.h).
#pragma once

#include "base/lock.h"
#include "store/memory_cache.h"

#include <stddef.h>

enum {
    MG_SHARD_LEASES = 64,
    MG_SHARD_ENTRY_BYTES = 128, // on average, as the index is made for
};

typedef struct mg_cache_lease_entry {
    uint64_t hash; // 0: free
    uint64_t holder;
    uint64_t until_ms;
} mg_cache_lease_entry;

typedef struct mg_shard_stats {
    uint64_t entries, bytes;
    uint64_t hits, misses, sets, evicted, expired, busy, emptied;
} mg_shard_stats;

// Lies in the region, in front of the log. Everything but the lock is changed under the lock;
// `stats` may be read without.
typedef struct mg_shard_room {
    _Alignas(64) mg_lock lock;
    uint32_t head; // where the next entry goes
    uint32_t tail; // the oldest entry, if used_units > 0
    uint32_t used_units;
    mg_shard_stats stats;
    mg_cache_lease_entry leases[MG_SHARD_LEASES];
    _Alignas(64) uint32_t index[]; // offset + 1 of the first entry of each bucket; 0: none
} mg_shard_room;

// This process's view of it.
typedef struct mg_shard {
    mg_shard_room *room;
    char *log;
    uint32_t buckets;                // a power of two
    uint32_t log_units;              // of 8 bytes
    uint32_t head, tail, used_units; // the room's, while it is locked
} mg_shard;

typedef struct mg_shard_entry {
    uint32_t units; // all of it; its neighbour begins there
    uint32_t next;  // offset + 1 in its bucket
    uint64_t hash;
    uint64_t until_ms; // 0: no end
    uint32_t value_n;
    uint16_t key_n;
    uint8_t tag;
    uint8_t state; // MG_ENTRY_*
    uint32_t sum;  // of all that does not change
    char data[];   // key, value
} mg_shard_entry;

enum { MG_ENTRY_DEAD, MG_ENTRY_LIVE, MG_ENTRY_USED }; // USED: live, and read since it was written

// What is looked for or stored.
typedef struct mg_shard_key {
    mg_str key;
    uint64_t hash;
    uint64_t now_ms;
} mg_shard_key;

// Bytes that a shard with a log of so many bytes takes in all.
size_t mg_shard_bytes(size_t log_bytes);

// A view of the shard at `memory`, where zeroes are an empty one.
void mg_shard_init(mg_shard *s, void *memory, size_t log_bytes);

// False if it could not be had in time. A shard whose last holder died in it is empty.
bool mg_shard_lock(mg_shard *s);
void mg_shard_unlock(mg_shard *s);

// All under the lock.

// `*seen`: a copy of its head that was checked. NULL: there is none, or it is too old.
mg_shard_entry *mg_shard_find(mg_shard *s, const mg_shard_key *k, mg_shard_entry *seen);

// Where the value of a found entry lies, seen->value_n bytes.
static inline const char *mg_shard_value(const mg_shard_entry *e, const mg_shard_entry *seen) {
    return e->data + seen->key_n;
}

// Whether `value` is what was stored. False: the shard is empty now.
bool mg_shard_verify(mg_shard *s, const mg_shard_key *k, const mg_shard_entry *seen, mg_str value);

// Instead of what is there. False: it is larger than a quarter of the log.
bool mg_shard_store(mg_shard *s, const mg_shard_key *k, mg_str value, uint8_t tag,
                    uint64_t until_ms);
bool mg_shard_delete(mg_shard *s, const mg_shard_key *k); // false: it was not there
void mg_shard_empty(mg_shard *s);
