// The region: a head, then shards of equal size (store/cache_shard.h). A key belongs to one shard
// and one bucket of it by a hash with a random seed, since peers may choose keys.
//
// What a process can do by dying: in the middle of a shard's lock, empty that shard; else nothing.
// What it can do by scribbling: empty shards, or give wrong values; nothing that is read is
// followed before its bounds are checked, but the locks are the C library's own.

#include "base/mem.h"
#include "store/cache_shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    VERSION = 1,
    SHARDS_MAX = 64,
    SHARD_BYTES = 8 << 20, // a shard of at least this is halved no further: large values fit
    HEAD_BYTES = 4096,
};

static const char magic[8] = "mgcache";

typedef struct region {
    char magic[8];
    uint32_t version;
    uint32_t shards;
    uint64_t bytes;
    uint64_t shard_bytes;
    uint64_t log_bytes;
    uint64_t seed[2];
} region;

_Static_assert(sizeof(region) <= HEAD_BYTES, "the head has a page");

struct mg_cache {
    region *region;
    uint32_t shards;
    uint64_t shard_bytes;
    uint64_t seed[2];
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

static mg_shard *shard_at(region *r, uint64_t shard_bytes, uint32_t i) {
    return (mg_shard *)(void *)((char *)r + HEAD_BYTES + i * shard_bytes);
}

int mg_cache_format(void *memory, size_t bytes, mg_error *err) {
    region *r = memory;
    if (bytes < MG_CACHE_BYTES_MIN) {
        return mg_error_set(err, MG_ELIMIT, "cache: at least 1M is wanted");
    }
    uint32_t n = shard_count(bytes);
    uint64_t each = (bytes - HEAD_BYTES) / n / 64 * 64;
    *r = (region){.version = VERSION, .shards = n, .bytes = bytes, .shard_bytes = each};
    r->log_bytes = log_bytes_for(each);
    if (getrandom(r->seed, sizeof r->seed, 0) != (ssize_t)sizeof r->seed) {
        return mg_error_set(err, -EIO, "cache: no randomness");
    }
    for (uint32_t i = 0; i < n; i++) {
        int rc = mg_shard_format(shard_at(r, each, i), r->log_bytes);
        if (rc != 0) {
            return mg_error_set(err, rc, "cache: %s", mg_strerror(rc));
        }
    }
    memcpy(r->magic, magic, sizeof magic);
    return MG_OK;
}

static bool is_sound(region *r, size_t bytes) {
    bool head = bytes >= MG_CACHE_BYTES_MIN && memcmp(r->magic, magic, sizeof magic) == 0 &&
                r->version == VERSION && r->bytes == bytes && r->shards == shard_count(bytes) &&
                r->shard_bytes == (bytes - HEAD_BYTES) / r->shards / 64 * 64 &&
                r->log_bytes == log_bytes_for(r->shard_bytes);
    for (uint32_t i = 0; head && i < r->shards; i++) {
        head = mg_shard_fits(shard_at(r, r->shard_bytes, i), r->log_bytes);
    }
    return head;
}

int mg_cache_open(mg_cache **out, void *memory, size_t bytes, mg_error *err) {
    region *r = memory;
    *out = NULL;
    if (!is_sound(r, bytes)) {
        return mg_error_set(err, MG_ESYNTAX, "cache: the shared memory holds none of this version");
    }
    mg_cache *c = mg_calloc(1, sizeof *c);
    c->region = r;
    c->shards = r->shards;
    c->shard_bytes = r->shard_bytes;
    c->seed[0] = r->seed[0];
    c->seed[1] = r->seed[1];
    *out = c;
    return MG_OK;
}

void mg_cache_close(mg_cache *c) {
    mg_free(c);
}

// --- keys: SipHash-1-3 (Aumasson, Bernstein: https://131002.net/siphash/) ---

static uint64_t rotate(uint64_t v, int n) {
    return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t hash(const uint64_t seed[2], mg_str key) {
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    uint64_t last = (uint64_t)key.n << 56;
    for (size_t at = 0; at <= key.n; at += 8) {
        uint64_t word = 0;
        size_t n = key.n - at < 8 ? key.n - at : 8;
        memcpy(&word, key.p + at, n);
        word |= n < 8 ? last : 0;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static mg_shard *shard_of(mg_cache *c, uint64_t h) {
    return shard_at(c->region, c->shard_bytes, (uint32_t)(h >> 40) % c->shards);
}

// Hashes the key and locks its shard. NULL: it is too long (`*rc` MG_ELIMIT) or busy.
static mg_shard *enter(mg_cache *c, mg_str key, uint64_t now_ms, mg_shard_key *k, int *rc) {
    if (key.n > MG_CACHE_KEY_MAX) {
        *rc = MG_ELIMIT;
        return NULL;
    }
    *k = (mg_shard_key){key, hash(c->seed, key), now_ms};
    mg_shard *s = shard_of(c, k->hash);
    *rc = MG_EAGAIN;
    return mg_shard_lock(s) ? s : NULL;
}

// --- leases ---

static mg_cache_lease_entry *lease_of(mg_shard *s, uint64_t h) {
    for (int i = 0; i < MG_SHARD_LEASES; i++) {
        if (s->leases[i].hash == h) {
            return &s->leases[i];
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
        if (s->leases[i].hash == 0 || s->leases[i].until_ms <= now_ms) {
            return &s->leases[i];
        }
    }
    return NULL;
}

bool mg_cache_lease(mg_cache *c, mg_str key, uint64_t holder, uint64_t now_ms, uint64_t for_ms) {
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

void mg_cache_release(mg_cache *c, mg_str key, uint64_t holder) {
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

void mg_cache_release_all(mg_cache *c, uint64_t holder) {
    for (uint32_t i = 0; i < c->shards; i++) {
        mg_shard *s = shard_at(c->region, c->shard_bytes, i);
        if (!mg_shard_lock(s)) {
            continue; // its leases end by their time
        }
        for (int n = 0; n < MG_SHARD_LEASES; n++) {
            if (s->leases[n].holder == holder) {
                s->leases[n] = (mg_cache_lease_entry){0};
            }
        }
        mg_shard_unlock(s);
    }
}

// --- values ---

int mg_cache_get(mg_cache *c, mg_str key, uint64_t now_ms, mg_buf *out, uint8_t *tag) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return -ENOENT;
    }
    mg_shard_entry *e = mg_shard_find(s, &k);
    if (e != NULL) {
        e->state = MG_ENTRY_USED;
        *tag = e->tag;
        mg_buf_append(out, mg_shard_value(e), e->value_n);
        s->stats.hits++;
    } else {
        s->stats.misses++;
    }
    mg_shard_unlock(s);
    return e != NULL ? MG_OK : -ENOENT;
}

// Under the lock.
static int store(mg_shard *s, const mg_shard_key *k, mg_str value, uint8_t tag, uint64_t until_ms) {
    mg_shard_entry *e = mg_shard_put(s, k, value.n);
    if (e == NULL) {
        return MG_ELIMIT;
    }
    e->tag = tag;
    e->until_ms = until_ms;
    e->value_n = (uint32_t)value.n;
    memcpy(mg_shard_value(e), value.p, value.n);
    return MG_OK;
}

static uint64_t end_of(uint64_t now_ms, uint64_t ttl_ms) {
    return ttl_ms == 0 ? 0 : ttl_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + ttl_ms;
}

int mg_cache_set(mg_cache *c, mg_str key, mg_str value, uint8_t tag, uint64_t now_ms,
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
    rc = store(s, &k, value, tag, end_of(now_ms, ttl_ms));
    s->stats.sets += rc == MG_OK;
    end_lease(s, k.hash);
    mg_shard_unlock(s);
    return rc;
}

int mg_cache_delete(mg_cache *c, mg_str key, uint64_t now_ms) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return rc == MG_ELIMIT ? -ENOENT : rc;
    }
    mg_shard_entry *e = mg_shard_find(s, &k);
    if (e != NULL) {
        mg_shard_remove(s, e);
    }
    end_lease(s, k.hash);
    mg_shard_unlock(s);
    return e != NULL ? MG_OK : -ENOENT;
}

// --- counters ---

// All of `s` as a decimal number. False: it is none, or too large.
static bool read_integer(mg_str s, int64_t *out) {
    char text[24];
    char *end;
    if (s.n == 0 || s.n >= sizeof text || (s.p[0] != '-' && (s.p[0] < '0' || s.p[0] > '9'))) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end == text + s.n;
}

static int add(mg_shard *s, const mg_shard_key *k, int64_t by, mg_shard_entry *e, int64_t *sum) {
    int64_t now = 0;
    if (!read_integer((mg_str){mg_shard_value(e), e->value_n}, &now)) {
        return MG_ESYNTAX;
    }
    if (__builtin_add_overflow(now, by, sum)) {
        return -ERANGE;
    }
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, *sum);
    return store(s, k, (mg_str){text, (size_t)n}, e->tag, e->until_ms);
}

int mg_cache_increment(mg_cache *c, mg_str key, int64_t by, int64_t initial, uint8_t tag,
                       uint64_t now_ms, uint64_t ttl_ms, int64_t *sum) {
    mg_shard_key k;
    int rc;
    mg_shard *s = enter(c, key, now_ms, &k, &rc);
    if (s == NULL) {
        return rc;
    }
    mg_shard_entry *e = mg_shard_find(s, &k);
    if (e != NULL) {
        rc = add(s, &k, by, e, sum);
    } else if (__builtin_add_overflow(initial, by, sum)) {
        rc = -ERANGE;
    } else {
        char text[24];
        int n = snprintf(text, sizeof text, "%" PRId64, *sum);
        rc = store(s, &k, (mg_str){text, (size_t)n}, tag, end_of(now_ms, ttl_ms));
    }
    s->stats.sets += rc == MG_OK;
    mg_shard_unlock(s);
    return rc;
}

// --- all of it ---

void mg_cache_read_stats(mg_cache *c, mg_cache_stats *out) {
    *out = (mg_cache_stats){.capacity_bytes = c->region->log_bytes * c->shards};
    for (uint32_t i = 0; i < c->shards; i++) {
        // Without the lock: figures of this moment or the one before.
        const mg_shard_stats *s = &shard_at(c->region, c->shard_bytes, i)->stats;
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

void mg_cache_clear(mg_cache *c) {
    for (uint32_t i = 0; i < c->shards; i++) {
        mg_shard *s = shard_at(c->region, c->shard_bytes, i);
        if (mg_shard_lock(s)) {
            mg_shard_empty(s);
            mg_shard_unlock(s);
        }
    }
}
