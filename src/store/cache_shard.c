#include "store/cache_shard.h"

#include <string.h>

enum {
    UNIT = 8,
    CHANCES = 64,        // for each entry stored: moves to the head, a large entry counting more
    CHANCE_UNITS = 1024, // ... one more for each of these
    CHAIN_MAX = 4096,
    SHARE = 4, // the largest entry: that part of the log
    BLOCK = 64,
};

static const uint64_t PRIME = 0x9e3779b97f4a7c15u;

// --- layout ---

static uint32_t bucket_count(size_t log_bytes) {
    uint32_t n = 64;
    while ((size_t)n * MG_SHARD_ENTRY_BYTES < log_bytes) {
        n *= 2;
    }
    return n;
}

static size_t index_bytes(uint32_t buckets) {
    return ((size_t)buckets * sizeof(uint32_t) + 63) / 64 * 64;
}

size_t mg_shard_bytes(size_t log_bytes) {
    return sizeof(mg_shard_room) + index_bytes(bucket_count(log_bytes)) + log_bytes;
}

void mg_shard_init(mg_shard *s, void *memory, size_t log_bytes) {
    uint32_t buckets = bucket_count(log_bytes);
    *s = (mg_shard){
        .room = memory,
        .log = (char *)memory + sizeof(mg_shard_room) + index_bytes(buckets),
        .buckets = buckets,
        .log_units = (uint32_t)(log_bytes / UNIT),
    };
}

void mg_shard_empty(mg_shard *s) {
    mg_shard_room *r = s->room;
    memset(r->index, 0, s->buckets * sizeof *r->index);
    memset(r->leases, 0, sizeof r->leases);
    s->head = s->tail = s->used_units = 0;
    r->stats.entries = r->stats.bytes = 0;
}

// Something is not what it can be.
static void give_up(mg_shard *s) {
    mg_shard_empty(s);
    s->room->stats.emptied++;
}

// --- the lock ---

static bool are_sound(const mg_shard *s) {
    uint32_t n = s->log_units;
    if (s->head >= n || s->tail >= n || s->used_units > n) {
        return false;
    }
    uint64_t end = (uint64_t)s->tail + s->used_units;
    return end - (end >= n ? n : 0) == s->head;
}

bool mg_shard_lock(mg_shard *s) {
    mg_shard_room *r = s->room;
    mg_lock_result how = mg_lock_take(&r->lock);
    if (how == MG_LOCK_BUSY) {
        atomic_fetch_add_explicit((_Atomic uint64_t *)&r->stats.busy, 1, memory_order_relaxed);
        return false;
    }
    s->head = r->head;
    s->tail = r->tail;
    s->used_units = r->used_units;
    if (how == MG_LOCK_INHERITED || !are_sound(s)) {
        give_up(s);
    }
    return true;
}

void mg_shard_unlock(mg_shard *s) {
    mg_shard_room *r = s->room;
    r->head = s->head;
    r->tail = s->tail;
    r->used_units = s->used_units;
    mg_lock_drop(&r->lock);
}

// --- sums ---

static uint64_t word_at(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

__extension__ typedef unsigned __int128 wide;

// As wyhash mixes: both halves of a product.
static uint64_t fold(uint64_t a, uint64_t b) {
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t fold_at(const char *p, uint64_t h, uint64_t salt) {
    return fold(word_at(p) ^ salt, word_at(p + 8) ^ h);
}

// Four products at once: each waits for the one before it in its own chain.
static uint64_t mix_blocks(uint64_t h, const char *p, size_t n) {
    uint64_t b = h + PRIME;
    uint64_t c = b + PRIME;
    uint64_t d = c + PRIME;
    for (; n >= BLOCK; p += BLOCK, n -= BLOCK) {
        h = fold_at(p, h, PRIME);
        b = fold_at(p + 16, b, PRIME * 3);
        c = fold_at(p + 32, c, PRIME * 5);
        d = fold_at(p + 48, d, PRIME * 7);
    }
    return fold(h ^ PRIME, b) ^ fold(c ^ PRIME, d);
}

static uint64_t mix(uint64_t h, mg_str s) {
    char last[16] = {0};
    uint64_t n = s.n;
    if (s.n >= BLOCK) {
        h = mix_blocks(h, s.p, s.n);
        s = (mg_str){s.p + s.n / BLOCK * BLOCK, s.n % BLOCK};
    }
    for (; s.n >= sizeof last; s = (mg_str){s.p + sizeof last, s.n - sizeof last}) {
        h = fold_at(s.p, h, PRIME);
    }
    if (s.n > 0) {
        memcpy(last, s.p, s.n);
    }
    return fold_at(last, h, PRIME ^ n);
}

static uint32_t sum_of(const mg_shard_entry *e, mg_str key, mg_str value) {
    uint64_t h = (e->hash ^ e->until_ms * PRIME) * PRIME;
    h = (h ^ e->value_n ^ (uint64_t)e->key_n << 32 ^ (uint64_t)e->tag << 48) * PRIME;
    h = mix(mix(h, key), value);
    return (uint32_t)(h ^ h >> 32);
}

bool mg_shard_verify(mg_shard *s, const mg_shard_key *k, const mg_shard_entry *seen, mg_str value) {
    bool good = seen->sum == sum_of(seen, k->key, value);
    if (!good) {
        give_up(s);
    }
    return good;
}

// --- entries ---

static size_t units_for(size_t key_n, size_t value_n) {
    return (offsetof(mg_shard_entry, data) + key_n + value_n + UNIT - 1) / UNIT;
}

// The entry at `at`, and a copy of its head; NULL if what lies there cannot be one.
static mg_shard_entry *entry_at(const mg_shard *s, uint32_t at, mg_shard_entry *seen) {
    size_t least = units_for(0, 0);
    if (at >= s->log_units || s->log_units - at < least) {
        return NULL;
    }
    mg_shard_entry *e = (mg_shard_entry *)(void *)(s->log + (size_t)at * UNIT);
    memcpy(seen, e, sizeof *seen);
    bool whole = seen->units >= least && seen->units <= s->log_units - at &&
                 units_for(seen->key_n, seen->value_n) <= seen->units;
    return whole ? e : NULL;
}

static uint32_t offset_of(const mg_shard *s, const mg_shard_entry *e) {
    return (uint32_t)(((const char *)e - s->log) / UNIT);
}

static uint32_t *bucket_of(mg_shard *s, uint64_t hash) {
    return &s->room->index[hash & (s->buckets - 1)];
}

// The link that points at `e`, which has that hash, or NULL: then the chain is broken.
static uint32_t *link_to(mg_shard *s, const mg_shard_entry *e, uint64_t hash) {
    uint32_t *link = bucket_of(s, hash);
    uint32_t wanted = offset_of(s, e) + 1;
    for (int i = 0; i < CHAIN_MAX; i++) {
        uint32_t at = *link;
        mg_shard_entry seen;
        mg_shard_entry *other = at == 0 || at == wanted ? NULL : entry_at(s, at - 1, &seen);
        if (other == NULL) {
            return at == wanted ? link : NULL;
        }
        link = &other->next;
    }
    return NULL;
}

static void remove_entry(mg_shard *s, mg_shard_entry *e, const mg_shard_entry *seen) {
    uint32_t *link = link_to(s, e, seen->hash);
    if (link == NULL) {
        give_up(s);
        return;
    }
    *link = seen->next;
    e->state = MG_ENTRY_DEAD;
    s->room->stats.entries--;
    s->room->stats.bytes -= (uint64_t)seen->units * UNIT;
}

static void add(mg_shard *s, mg_shard_entry *e, uint64_t hash, uint32_t units) {
    uint32_t *bucket = bucket_of(s, hash);
    e->next = *bucket;
    *bucket = offset_of(s, e) + 1;
    s->room->stats.entries++;
    s->room->stats.bytes += (uint64_t)units * UNIT;
}

static bool is_old(const mg_shard_entry *e, uint64_t now_ms) {
    return e->until_ms != 0 && e->until_ms <= now_ms;
}

static bool is_key(const mg_shard_entry *e, const mg_shard_entry *seen, const mg_shard_key *k) {
    return seen->hash == k->hash && seen->key_n == k->key.n &&
           memcmp(e->data, k->key.p, k->key.n) == 0;
}

mg_shard_entry *mg_shard_find(mg_shard *s, const mg_shard_key *k, mg_shard_entry *seen) {
    uint32_t at = *bucket_of(s, k->hash);
    for (int i = 0; at != 0; i++) {
        mg_shard_entry *e = i < CHAIN_MAX ? entry_at(s, at - 1, seen) : NULL;
        if (e == NULL || seen->state == MG_ENTRY_DEAD) {
            give_up(s);
            return NULL;
        }
        if (is_key(e, seen, k)) {
            if (!is_old(seen, k->now_ms)) {
                return e;
            }
            s->room->stats.expired++;
            remove_entry(s, e, seen);
            return NULL;
        }
        at = seen->next;
    }
    return NULL;
}

bool mg_shard_delete(mg_shard *s, const mg_shard_key *k) {
    mg_shard_entry seen;
    mg_shard_entry *e = mg_shard_find(s, k, &seen);
    if (e != NULL) {
        remove_entry(s, e, &seen);
    }
    return e != NULL;
}

// --- the ring ---

// Free units behind the head that lie in one piece.
static uint32_t room(const mg_shard *s) {
    if (s->used_units == 0) {
        return s->log_units - s->head;
    }
    return s->head > s->tail ? s->log_units - s->head : s->tail - s->head;
}

static mg_shard_entry *append(mg_shard *s, uint32_t units) {
    mg_shard_entry *e = (mg_shard_entry *)(void *)(s->log + (size_t)s->head * UNIT);
    s->head += units;
    s->used_units += units;
    s->head = s->head == s->log_units ? 0 : s->head;
    return e;
}

// Dead bytes up to the end of the log, so that the next entry begins in front.
static void fill_up(mg_shard *s) {
    uint32_t units = s->log_units - s->head;
    mg_shard_entry *e = append(s, units);
    // Too small for an entry's head, only its size is written: whoever steps over it reads no more.
    e->units = units;
    if (units >= units_for(0, 0)) {
        *e = (mg_shard_entry){.units = units, .state = MG_ENTRY_DEAD};
    }
}

static void step_tail(mg_shard *s, uint32_t units) {
    s->used_units -= units;
    s->tail += units;
    s->tail = s->tail == s->log_units ? 0 : s->tail;
    if (s->used_units == 0) {
        s->head = s->tail = 0;
    }
}

// Moves the oldest entry to the head, if it fits there.
static bool give_chance(mg_shard *s, mg_shard_entry *e, const mg_shard_entry *seen,
                        uint64_t now_ms) {
    uint32_t units = seen->units;
    if (seen->state != MG_ENTRY_USED || is_old(seen, now_ms)) {
        return false;
    }
    // Its own place counts as free: the head may reach into it.
    uint32_t head = s->head;
    bool fits = head > s->tail ? s->log_units - head >= units : s->tail - head + units >= units;
    uint32_t *link = link_to(s, e, seen->hash);
    if (!fits || link == NULL || (head <= s->tail && s->used_units == units)) {
        return false;
    }
    *link = seen->next;
    s->room->stats.entries--;
    s->room->stats.bytes -= (uint64_t)units * UNIT;
    s->used_units -= units;
    s->tail = s->tail + units == s->log_units ? 0 : s->tail + units;
    mg_shard_entry *to = append(s, units);
    memmove(to, e, (size_t)units * UNIT);
    to->state = MG_ENTRY_LIVE;
    add(s, to, seen->hash, units);
    return true;
}

// Frees the oldest bytes. False: the log is broken.
static bool evict(mg_shard *s, uint64_t now_ms, int *chances) {
    uint32_t left = s->log_units - s->tail;
    if (left < units_for(0, 0) && left <= s->used_units) { // what fill_up left
        step_tail(s, left);
        return true;
    }
    mg_shard_entry seen;
    mg_shard_entry *e = entry_at(s, s->tail, &seen);
    if (e == NULL || seen.units > s->used_units) {
        return false;
    }
    if (*chances > 0 && give_chance(s, e, &seen, now_ms)) {
        *chances -= 1 + (int)(seen.units / CHANCE_UNITS);
        return true;
    }
    if (seen.state != MG_ENTRY_DEAD) {
        mg_shard_stats *stats = &s->room->stats;
        stats->evicted += !is_old(&seen, now_ms);
        stats->expired += is_old(&seen, now_ms);
        remove_entry(s, e, &seen);
        if (s->used_units == 0) {
            return true; // it gave up: all is free now
        }
    }
    step_tail(s, seen.units);
    return true;
}

// `units` in one piece behind the head.
static void make_room(mg_shard *s, uint32_t units, uint64_t now_ms) {
    int chances = CHANCES;
    while (room(s) < units) {
        bool at_end = s->used_units == 0 || s->head > s->tail;
        if (at_end && s->head > 0 && s->log_units - s->head < units &&
            (s->used_units == 0 || s->tail > 0)) {
            fill_up(s);
        } else if (s->used_units == 0 || !evict(s, now_ms, &chances)) {
            give_up(s);
            return;
        }
    }
}

// Room for a value of `n` bytes under that key, whose former entry is gone, or is this one. NULL:
// it is larger than a quarter of the log.
static mg_shard_entry *put(mg_shard *s, const mg_shard_key *k, size_t n) {
    size_t units = units_for(k->key.n, n);
    if (units > s->log_units / SHARE) {
        return NULL;
    }
    mg_shard_entry seen;
    mg_shard_entry *e = mg_shard_find(s, k, &seen);
    if (e != NULL && units <= seen.units && units * 2 > seen.units) {
        return e; // in its place
    }
    if (e != NULL) {
        remove_entry(s, e, &seen);
    }
    make_room(s, (uint32_t)units, k->now_ms);
    e = append(s, (uint32_t)units);
    *e = (mg_shard_entry){.units = (uint32_t)units,
                          .hash = k->hash,
                          .key_n = (uint16_t)k->key.n,
                          .state = MG_ENTRY_LIVE};
    memcpy(e->data, k->key.p, k->key.n);
    add(s, e, k->hash, (uint32_t)units);
    return e;
}

bool mg_shard_store(mg_shard *s, const mg_shard_key *k, mg_str value, uint8_t tag,
                    uint64_t until_ms) {
    mg_shard_entry *e = put(s, k, value.n);
    if (e == NULL) {
        return false;
    }
    mg_shard_entry head = {.hash = k->hash,
                           .key_n = (uint16_t)k->key.n,
                           .tag = tag,
                           .until_ms = until_ms,
                           .value_n = (uint32_t)value.n};
    e->tag = tag;
    e->until_ms = until_ms;
    e->value_n = head.value_n;
    e->sum = sum_of(&head, k->key, value);
    if (value.n > 0) {
        memcpy(e->data + k->key.n, value.p, value.n);
    }
    return true;
}
