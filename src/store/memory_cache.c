// The region: a head, then shards of equal size (store/cache_shard.h). A key belongs to one shard
// and one bucket of it by a hash with a random seed, since peers may choose keys.
//
// What a process can do by dying: in the middle of a shard's lock, empty that shard; else nothing.
// What it can do by scribbling: empty shards. All sizes follow from that of the region; the seed is
// kept by each process, and whoever finds the head broken writes it anew.

#include "base/mem.h"
#include "base/siphash.h"
#include "store/cache_shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    VERSION = 2,
    SHARDS_MAX = 64,
    SHARD_BYTES = 8 << 20, // a shard of at least this is halved no further: large values fit
    HEAD_BYTES = 4096,
};

static const char magic[8] = "mgcache";

typedef struct region {
    char magic[8];
    uint64_t version;
    uint64_t bytes;
    uint64_t seed[2];
    uint64_t sum; // of the rest
} region;

_Static_assert(sizeof(region) <= HEAD_BYTES, "the head has a page");

struct mg_memory_cache {
    region *region;
    size_t bytes;
    uint64_t log_bytes;
    uint64_t seed[2];
    uint32_t count;
    mg_shard shards[];
};

// --- the region ---

static uint32_t shard_count(size_t bytes) {
    uint32_t n = 1;
    while (n < SHARDS_MAX && bytes / (n * 2) >= SHARD_BYTES) {
        n *= 2;
    }
    return n;
}

// The largest log, in whole units, with which a shard fits into `bytes`.
static size_t log_bytes_for(size_t bytes) {
    size_t log = bytes / 64 * 64;
    while (log > 4096 && mg_shard_bytes(log) > bytes) {
        log -= (mg_shard_bytes(log) - bytes + 63) / 64 * 64;
    }
    return log;
}

static uint64_t sum_of(const region *r) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < offsetof(region, sum); i++) {
        h = (h ^ ((const unsigned char *)r)[i]) * 0x100000001b3u;
    }
    return h;
}

static void write_head(region *r, size_t bytes, const uint64_t seed[2]) {
    region head = {.version = VERSION, .bytes = bytes, .seed = {seed[0], seed[1]}};
    memcpy(head.magic, magic, sizeof magic);
    head.sum = sum_of(&head);
    memcpy(r, &head, sizeof head);
}

// A copy, which is a head or is not whatever others do meanwhile.
static bool read_head(const region *r, region *head) {
    memcpy(head, r, sizeof *head);
    return memcmp(head->magic, magic, sizeof magic) == 0 && head->sum == sum_of(head);
}

int mg_memory_cache_format(void *memory, size_t bytes, mg_error *err) {
    uint64_t seed[2];
    if (bytes < MG_CACHE_BYTES_MIN) {
        return mg_error_set(err, MG_ELIMIT, "cache: at least 1M is wanted");
    }
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        return mg_error_set(err, -EIO, "cache: no randomness");
    }
    write_head(memory, bytes, seed);
    return MG_OK;
}

static mg_memory_cache *new_view(void *memory, size_t bytes, const uint64_t seed[2]) {
    uint32_t n = shard_count(bytes);
    uint64_t each = (bytes - HEAD_BYTES) / n / 64 * 64;
    mg_memory_cache *c = mg_calloc(1, sizeof *c + n * sizeof c->shards[0]);
    *c =
        (mg_memory_cache){.region = memory, .bytes = bytes, .seed = {seed[0], seed[1]}, .count = n};
    c->log_bytes = log_bytes_for(each);
    for (uint32_t i = 0; i < n; i++) {
        mg_shard_init(&c->shards[i], (char *)memory + HEAD_BYTES + i * each, c->log_bytes);
    }
    return c;
}

int mg_memory_cache_open(mg_memory_cache **out, void *memory, size_t bytes, mg_error *err) {
    region head;
    *out = NULL;
    if (!read_head(memory, &head)) { // somebody scribbled on it
        int rc = mg_memory_cache_format(memory, bytes, err);
        if (rc != MG_OK) {
            return rc;
        }
        memcpy(&head, memory, sizeof head);
    }
    if (head.version != VERSION || head.bytes != bytes) {
        return mg_error_set(err, MG_ESYNTAX, "cache: the shared memory holds none of this version");
    }
    *out = new_view(memory, bytes, head.seed);
    return MG_OK;
}

void mg_memory_cache_close(mg_memory_cache *c) {
    mg_free(c);
}

// The head is broken, or was written anew by one that found it so. All must have one seed, else
// they do not find each other's values.
static void settle_head(mg_memory_cache *c) {
    region head;
    if (read_head(c->region, &head) && head.bytes == c->bytes) {
        memcpy(c->seed, head.seed, sizeof c->seed);
    } else {
        write_head(c->region, c->bytes, c->seed);
    }
}

// --- keys ---

static mg_shard *shard_of(mg_memory_cache *c, uint64_t h) {
    return &c->shards[(uint32_t)(h >> 40) % c->count];
}

uint64_t mg_memory_cache_hash(mg_memory_cache *c, mg_str key) {
    if (memcmp(c->region->seed, c->seed, sizeof c->seed) != 0) {
        settle_head(c);
    }
    return mg_siphash(c->seed, key);
}

// Locks the shard of a key. NULL: it is too long (`*rc` MG_ELIMIT) or busy.
static mg_shard *enter_hashed(mg_memory_cache *c, const mg_shard_key *k, int *rc) {
    if (k->key.n > MG_CACHE_KEY_MAX) {
        *rc = MG_ELIMIT;
        return NULL;
    }
    mg_shard *s = shard_of(c, k->hash);
    *rc = MG_EAGAIN;
    return mg_shard_lock(s) ? s : NULL;
}

static mg_shard *enter(mg_memory_cache *c, mg_str key, uint64_t now_ms, mg_shard_key *k, int *rc) {
    *k = (mg_shard_key){key, mg_memory_cache_hash(c, key), now_ms};
    return enter_hashed(c, k, rc);
}

// --- leases ---

static mg_cache_lease_entry *lease_of(mg_shard *s, uint64_t h) {
    for (int i = 0; i < MG_SHARD_LEASES; i++) {
        if (s->room->leases[i].hash == h) {
            return &s->room->leases[i];
        }
    }
    return NULL;
}

static void end_lease(mg_shard *s, uint64_t h) {
    mg_cache_lease_entry *l = lease_of(s, h);
    if (l != NULL) {
        *l = (mg_cache_lease_entry){0};
    }
}

// A free place, or one whose time is over.
static mg_cache_lease_entry *free_lease(mg_shard *s, uint64_t now_ms) {
    for (int i = 0; i < MG_SHARD_LEASES; i++) {
        if (s->room->leases[i].hash == 0 || s->room->leases[i].until_ms <= now_ms) {
            return &s->room->leases[i];
        }
    }
    return NULL;
}

bool mg_memory_cache_lease(mg_memory_cache *c, mg_str key, uint64_t holder, uint64_t now_ms,
                           uint64_t for_ms) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return rc == MG_ELIMIT; // such a key is never stored: whoever asks may go on alone
    }
    mg_cache_lease_entry *l = lease_of(s, k.hash);
    bool taken = l != NULL && l->holder != holder && l->until_ms > now_ms;
    l = l != NULL ? l : free_lease(s, now_ms);
    if (!taken && l != NULL) {
        *l = (mg_cache_lease_entry){k.hash, holder, now_ms + for_ms};
    }
    mg_shard_unlock(s);
    return !taken; // with all places taken nobody waits for anybody
}

void mg_memory_cache_release(mg_memory_cache *c, mg_str key, uint64_t holder) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, 0, &k, &rc);
    if (s != NULL) {
        const mg_cache_lease_entry *l = lease_of(s, k.hash);
        if (l != NULL && l->holder == holder) {
            end_lease(s, k.hash);
        }
        mg_shard_unlock(s);
    }
}

void mg_memory_cache_release_all(mg_memory_cache *c, uint64_t holder) {
    for (uint32_t i = 0; i < c->count; i++) {
        mg_shard *s = &c->shards[i];
        if (!mg_shard_lock(s)) {
            continue; // its leases end by their time
        }
        for (int n = 0; n < MG_SHARD_LEASES; n++) {
            if (s->room->leases[n].holder == holder) {
                s->room->leases[n] = (mg_cache_lease_entry){0};
            }
        }
        mg_shard_unlock(s);
    }
}

// --- values ---

int mg_memory_cache_get(mg_memory_cache *c, mg_str key, uint64_t now_ms, mg_buf *out,
                        uint8_t *tag) {
    const mg_hashed_key hashed = {key, mg_memory_cache_hash(c, key)};
    return mg_memory_cache_get_hashed(c, &hashed, now_ms, out, tag);
}

int mg_memory_cache_get_hashed(mg_memory_cache *c, const mg_hashed_key *hashed, uint64_t now_ms,
                               mg_buf *out, uint8_t *tag) {
    const mg_shard_key k = {hashed->key, hashed->hash, now_ms};
    int rc;
    mg_shard *s = enter_hashed(c, &k, &rc);
    if (s == NULL) {
        return -ENOENT;
    }
    mg_shard_entry seen;
    mg_shard_entry *e = mg_shard_find(s, &k, &seen);
    size_t before = out->n;
    if (e != NULL) {
        mg_buf_append(out, mg_shard_value(e, &seen), seen.value_n);
    }
    mg_str value = {out->p == NULL ? "" : out->p + before, out->n - before};
    bool good = e != NULL && mg_shard_verify(s, &k, &seen, value);
    if (good) {
        e->state = MG_ENTRY_USED;
        *tag = seen.tag;
        s->room->stats.hits++;
    } else {
        out->n = before;
        s->room->stats.misses++;
    }
    mg_shard_unlock(s);
    return good ? MG_OK : -ENOENT;
}

static uint64_t end_of(uint64_t now_ms, uint64_t ttl_ms) {
    return ttl_ms == 0 ? 0 : ttl_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + ttl_ms;
}

int mg_memory_cache_set(mg_memory_cache *c, mg_str key, mg_str value, uint8_t tag, uint64_t now_ms,
                        uint64_t ttl_ms) {
    mg_shard_key k;
    int rc;
    if (value.n > MG_CACHE_VALUE_MAX) {
        return MG_ELIMIT;
    }
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return rc;
    }
    rc = mg_shard_store(s, &k, value, tag, end_of(now_ms, ttl_ms)) ? MG_OK : MG_ELIMIT;
    s->room->stats.sets += rc == MG_OK;
    end_lease(s, k.hash);
    mg_shard_unlock(s);
    return rc;
}

int mg_memory_cache_delete(mg_memory_cache *c, mg_str key, uint64_t now_ms) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return rc == MG_ELIMIT ? -ENOENT : rc;
    }
    bool there = mg_shard_delete(s, &k);
    end_lease(s, k.hash);
    mg_shard_unlock(s);
    return there ? MG_OK : -ENOENT;
}

// --- counters ---

static int store_integer(mg_shard *s, const mg_shard_key *k, int64_t n, uint8_t tag,
                         uint64_t until_ms) {
    char text[24];
    int length = snprintf(text, sizeof text, "%" PRId64, n);
    bool stored = mg_shard_store(s, k, (mg_str){text, (size_t)length}, tag, until_ms);
    s->room->stats.sets += stored;
    return stored ? MG_OK : MG_ELIMIT;
}

int mg_memory_cache_increment(mg_memory_cache *c, mg_str key, int64_t by, int64_t initial,
                              uint8_t tag, uint64_t now_ms, uint64_t ttl_ms, int64_t *sum) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return rc;
    }
    mg_shard_entry seen;
    mg_shard_entry *e = mg_shard_find(s, &k, &seen);
    mg_str value = {e == NULL ? NULL : mg_shard_value(e, &seen), e == NULL ? 0 : seen.value_n};
    bool found = e != NULL && mg_shard_verify(s, &k, &seen, value);
    if (!found) {
        seen = (mg_shard_entry){.tag = tag, .until_ms = end_of(now_ms, ttl_ms)};
    }
    if (found && !mg_str_to_i64(value, &initial)) {
        rc = MG_ESYNTAX;
    } else if (__builtin_add_overflow(initial, by, sum)) {
        rc = -ERANGE;
    } else {
        rc = store_integer(s, &k, *sum, seen.tag, seen.until_ms);
    }
    mg_shard_unlock(s);
    return rc;
}

// --- all of it ---

void mg_memory_cache_read_stats(const mg_memory_cache *c, mg_cache_stats *out) {
    *out = (mg_cache_stats){.capacity_bytes = c->log_bytes * c->count};
    for (uint32_t i = 0; i < c->count; i++) {
        // Without the lock: figures of this moment or the one before.
        const mg_shard_stats *s = &c->shards[i].room->stats;
        out->entries += s->entries;
        out->bytes += s->bytes;
        out->hits += s->hits;
        out->misses += s->misses;
        out->sets += s->sets;
        out->evicted += s->evicted;
        out->expired += s->expired;
        out->busy += s->busy;
        out->emptied += s->emptied;
    }
}

void mg_memory_cache_clear(mg_memory_cache *c) {
    for (uint32_t i = 0; i < c->count; i++) {
        mg_shard *s = &c->shards[i];
        if (mg_shard_lock(s)) {
            mg_shard_empty(s);
            mg_shard_unlock(s);
        }
    }
}
