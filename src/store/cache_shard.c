#include "store/cache_shard.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

enum {
    UNIT = 8,
    TRIES = 2000, // of a lock that is held, some 50 us
    YIELD_EACH = 100,
    CHANCES = 64,        // for each entry stored: moves to the head, a large entry counting more
    CHANCE_UNITS = 1024, // ... one more for each of these
    CHAIN_MAX = 4096,
    SHARE = 4, // the largest entry: that part of the log
};

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
    return sizeof(mg_shard) + index_bytes(bucket_count(log_bytes)) + log_bytes;
}

static char *log_of(const mg_shard *s) {
    return (char *)(uintptr_t)s->index + index_bytes(s->buckets);
}

int mg_shard_format(mg_shard *s, size_t log_bytes) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    int rc = pthread_mutex_init(&s->lock, &a);
    pthread_mutexattr_destroy(&a);
    s->buckets = bucket_count(log_bytes);
    s->log_units = (uint32_t)(log_bytes / UNIT);
    return -rc;
}

bool mg_shard_fits(const mg_shard *s, size_t log_bytes) {
    return s->buckets == bucket_count(log_bytes) && s->log_units == log_bytes / UNIT;
}

void mg_shard_empty(mg_shard *s) {
    memset(s->index, 0, s->buckets * sizeof *s->index);
    memset(s->leases, 0, sizeof s->leases);
    s->head = s->tail = s->used_units = 0;
    s->stats.entries = s->stats.bytes = 0;
}

// Something is not what it can be.
static void give_up(mg_shard *s) {
    mg_shard_empty(s);
    s->stats.emptied++;
}

// --- the lock ---

static int try_lock(mg_shard *s) {
    for (int i = 1; i <= TRIES; i++) {
        int rc = pthread_mutex_trylock(&s->lock);
        if (rc != EBUSY) {
            return rc;
        }
        if (i % YIELD_EACH == 0) {
            sched_yield();
        }
    }
    return EBUSY;
}

bool mg_shard_lock(mg_shard *s) {
    int rc = try_lock(s);
    if (rc == EOWNERDEAD) {
        pthread_mutex_consistent(&s->lock);
        give_up(s);
        rc = 0;
    }
    if (rc != 0) {
        atomic_fetch_add_explicit((_Atomic uint64_t *)&s->stats.busy, 1, memory_order_relaxed);
    }
    return rc == 0;
}

void mg_shard_unlock(mg_shard *s) {
    pthread_mutex_unlock(&s->lock);
}

// --- entries ---

static size_t units_for(size_t key_n, size_t value_n) {
    return (offsetof(mg_shard_entry, data) + key_n + value_n + UNIT - 1) / UNIT;
}

// The entry at `at`, or NULL if what lies there cannot be one.
static mg_shard_entry *entry_at(const mg_shard *s, uint32_t at) {
    size_t least = offsetof(mg_shard_entry, data) / UNIT;
    if (at >= s->log_units || s->log_units - at < least) {
        return NULL;
    }
    mg_shard_entry *e = (mg_shard_entry *)(void *)(log_of(s) + (size_t)at * UNIT);
    bool whole = e->units >= least && e->units <= s->log_units - at &&
                 units_for(e->key_n, e->value_n) <= e->units;
    return whole ? e : NULL;
}

static uint32_t offset_of(const mg_shard *s, const mg_shard_entry *e) {
    return (uint32_t)(((const char *)e - log_of(s)) / UNIT);
}

static uint32_t *bucket_of(mg_shard *s, uint64_t hash) {
    return &s->index[hash & (s->buckets - 1)];
}

// The link that points at `e`, or NULL: then the chain is broken.
static uint32_t *link_to(mg_shard *s, const mg_shard_entry *e) {
    uint32_t *link = bucket_of(s, e->hash);
    uint32_t wanted = offset_of(s, e) + 1;
    for (int i = 0; i < CHAIN_MAX && *link != 0; i++) {
        if (*link == wanted) {
            return link;
        }
        mg_shard_entry *other = entry_at(s, *link - 1);
        if (other == NULL) {
            return NULL;
        }
        link = &other->next;
    }
    return NULL;
}

void mg_shard_remove(mg_shard *s, mg_shard_entry *e) {
    uint32_t *link = link_to(s, e);
    if (link == NULL) {
        give_up(s);
        return;
    }
    *link = e->next;
    e->state = MG_ENTRY_DEAD;
    s->stats.entries--;
    s->stats.bytes -= (uint64_t)e->units * UNIT;
}

static void add(mg_shard *s, mg_shard_entry *e) {
    uint32_t *bucket = bucket_of(s, e->hash);
    e->next = *bucket;
    *bucket = offset_of(s, e) + 1;
    s->stats.entries++;
    s->stats.bytes += (uint64_t)e->units * UNIT;
}

static bool is_old(const mg_shard_entry *e, uint64_t now_ms) {
    return e->until_ms != 0 && e->until_ms <= now_ms;
}

static bool is_key(const mg_shard_entry *e, const mg_shard_key *k) {
    return e->hash == k->hash && e->key_n == k->key.n && memcmp(e->data, k->key.p, k->key.n) == 0;
}

mg_shard_entry *mg_shard_find(mg_shard *s, const mg_shard_key *k) {
    uint32_t at = *bucket_of(s, k->hash);
    for (int i = 0; at != 0; i++) {
        mg_shard_entry *e = i < CHAIN_MAX ? entry_at(s, at - 1) : NULL;
        if (e == NULL || e->state == MG_ENTRY_DEAD) {
            give_up(s);
            return NULL;
        }
        if (is_key(e, k)) {
            if (!is_old(e, k->now_ms)) {
                return e;
            }
            s->stats.expired++;
            mg_shard_remove(s, e);
            return NULL;
        }
        at = e->next;
    }
    return NULL;
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
    mg_shard_entry *e = (mg_shard_entry *)(void *)(log_of(s) + (size_t)s->head * UNIT);
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
    if (units * UNIT >= offsetof(mg_shard_entry, data)) {
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
static bool give_chance(mg_shard *s, mg_shard_entry *e, uint64_t now_ms) {
    uint32_t units = e->units;
    if (e->state != MG_ENTRY_USED || is_old(e, now_ms)) {
        return false;
    }
    // Its own place counts as free: the head may reach into it.
    uint32_t head = s->head;
    bool fits = head > s->tail ? s->log_units - head >= units : s->tail - head + units >= units;
    uint32_t *link = link_to(s, e);
    if (!fits || link == NULL || (head <= s->tail && s->used_units == units)) {
        return false;
    }
    *link = e->next;
    s->stats.entries--;
    s->stats.bytes -= (uint64_t)units * UNIT;
    s->used_units -= units;
    s->tail = s->tail + units == s->log_units ? 0 : s->tail + units;
    mg_shard_entry *to = append(s, units);
    memmove(to, e, (size_t)units * UNIT);
    to->state = MG_ENTRY_LIVE;
    add(s, to);
    return true;
}

// Frees the oldest bytes. False: the log is broken.
static bool evict(mg_shard *s, uint64_t now_ms, int *chances) {
    uint32_t left = s->log_units - s->tail;
    if (left * UNIT < offsetof(mg_shard_entry, data)) { // what fill_up left
        step_tail(s, left);
        return true;
    }
    mg_shard_entry *e = entry_at(s, s->tail);
    if (e == NULL || e->units > s->used_units) {
        return false;
    }
    uint32_t units = e->units;
    if (*chances > 0 && give_chance(s, e, now_ms)) {
        *chances -= 1 + (int)(units / CHANCE_UNITS);
        return true;
    }
    if (e->state != MG_ENTRY_DEAD) {
        uint64_t emptied = s->stats.emptied;
        s->stats.evicted += !is_old(e, now_ms);
        s->stats.expired += is_old(e, now_ms);
        mg_shard_remove(s, e);
        if (s->stats.emptied != emptied) {
            return true; // all is free now
        }
    }
    step_tail(s, units);
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

mg_shard_entry *mg_shard_put(mg_shard *s, const mg_shard_key *k, size_t n) {
    size_t units = units_for(k->key.n, n);
    if (units > s->log_units / SHARE) {
        return NULL;
    }
    mg_shard_entry *e = mg_shard_find(s, k);
    if (e != NULL && units <= e->units && units * 2 > e->units) {
        return e; // in its place
    }
    if (e != NULL) {
        mg_shard_remove(s, e);
    }
    make_room(s, (uint32_t)units, k->now_ms);
    e = append(s, (uint32_t)units);
    *e = (mg_shard_entry){.units = (uint32_t)units,
                          .hash = k->hash,
                          .key_n = (uint16_t)k->key.n,
                          .state = MG_ENTRY_LIVE};
    memcpy(e->data, k->key.p, k->key.n);
    add(s, e);
    return e;
}
