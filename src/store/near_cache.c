#include "store/near_cache.h"

#include "base/mem.h"
#include "base/random.h"
#include "base/siphash.h"

#include <errno.h>

enum {
    ITEMS_LEAST = 1024,
    BYTES_EACH = 512, // of values: the table has an item for so many of them at most
    TRIES = 64,       // to find one that can go
};

// A key that was read or is being read. Items lie in a table with open addressing.
typedef struct item {
    uint64_t hash;    // 0: free
    uint64_t stamp;   // of the entry that may be served; 0: none
    uint64_t place;   // by which that is found among the values
    uint64_t changed; // the clock when something was told of it last
    uint32_t reads;   // under way: it stays meanwhile
} item;

// Behind each value: which entry it is, and its end.
typedef struct suffix {
    uint64_t stamp;
    uint64_t until_ms; // 0: it has none
} suffix;

struct mg_near_cache {
    mg_loop *loop;
    mg_memory_cache *values;
    item *items;
    uint32_t mask, used, most;
    uint32_t hand;    // where one is looked for that can go
    uint64_t clock;   // counts what was told
    uint64_t flushed; // the clock when all was forgotten
    uint64_t seed[2];
    mg_random random; // of stamps: all workers draw from 64 bits
    mg_buf room;
    mg_near_stats stats;
};

// --- the table ---

static uint64_t hash_of(const mg_near_cache *n, mg_str key) {
    uint64_t h = mg_siphash(n->seed, key);
    return h != 0 ? h : 1;
}

// Its item, or the free one where it would be.
static item *place_of(const mg_near_cache *n, uint64_t hash) {
    uint32_t at = (uint32_t)hash & n->mask;
    while (n->items[at].hash != 0 && n->items[at].hash != hash) {
        at = (at + 1) & n->mask;
    }
    return &n->items[at];
}

static item *find(const mg_near_cache *n, uint64_t hash) {
    item *i = place_of(n, hash);
    return i->hash != 0 ? i : NULL;
}

// What stands behind it and would not be found any more moves up.
static void remove_item(mg_near_cache *n, item *gone) {
    uint32_t hole = (uint32_t)(gone - n->items);
    for (uint32_t at = (hole + 1) & n->mask; n->items[at].hash != 0; at = (at + 1) & n->mask) {
        uint32_t home = (uint32_t)n->items[at].hash & n->mask;
        if (((at - home) & n->mask) >= ((at - hole) & n->mask)) {
            n->items[hole] = n->items[at];
            hole = at;
        }
    }
    n->items[hole] = (item){.hash = 0};
    n->used--;
}

static void remove_if_idle(mg_near_cache *n, item *i) {
    if (i->reads == 0 && i->stamp == 0) {
        remove_item(n, i);
    }
}

static void resize(mg_near_cache *n, uint32_t count) {
    item *old = n->items;
    uint32_t old_count = old != NULL ? n->mask + 1 : 0;
    n->items = mg_calloc(count, sizeof *n->items);
    n->mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].hash != 0) {
            *place_of(n, old[i].hash) = old[i];
        }
    }
    mg_free(old);
}

// Forgets some key that nobody reads: its server goes on to remember it, and tells for nothing.
static bool evict(mg_near_cache *n) {
    for (int i = 0; i < TRIES; i++) {
        item *it = &n->items[n->hand];
        n->hand = (n->hand + 1) & n->mask;
        if (it->hash != 0 && it->reads == 0) {
            remove_item(n, it);
            return true;
        }
    }
    return false;
}

// Its item, new if need be; NULL: there is no room.
static item *take(mg_near_cache *n, uint64_t hash) {
    item *i = place_of(n, hash);
    if (i->hash != 0) {
        return i;
    }
    if (n->used == n->most && !evict(n)) {
        return NULL;
    }
    if ((n->used + 1) * 2 > n->mask + 1) {
        resize(n, (n->mask + 1) * 2);
    }
    i = place_of(n, hash);
    i->hash = hash;
    n->used++;
    return i;
}

// --- life ---

mg_near_cache *mg_near_cache_new(mg_loop *loop, mg_memory_cache *values, size_t bytes) {
    mg_near_cache *n = mg_calloc(1, sizeof *n);
    n->loop = loop;
    n->values = values;
    n->most = ITEMS_LEAST;
    while (n->most < UINT32_MAX / 4 && (size_t)n->most * BYTES_EACH < bytes) {
        n->most *= 2;
    }
    mg_random_init(&n->random, 0);
    n->seed[0] = mg_random_u64(&n->random);
    n->seed[1] = mg_random_u64(&n->random);
    resize(n, ITEMS_LEAST);
    return n;
}

void mg_near_cache_free(mg_near_cache *n) {
    if (n != NULL) {
        mg_memory_cache_close(n->values);
        mg_buf_deinit(&n->room);
        mg_free(n->items);
        mg_free(n);
    }
}

// --- values ---

// Takes the suffix off what has been appended behind `before`. False: it is none of ours.
static bool take_suffix(mg_buf *b, size_t before, suffix *out) {
    if (b->n - before < sizeof *out) {
        return false;
    }
    b->n -= sizeof *out;
    memcpy(out, b->p + b->n, sizeof *out);
    return true;
}

// What the server has told since the poll is not read yet.
static bool turn_is_old(const mg_near_cache *n) {
    return mg_loop_now_us(n->loop) / 1000 > mg_loop_polled_ms(n->loop) + MG_NEAR_TURN_MS;
}

int mg_near_cache_get(mg_near_cache *n, mg_str key, mg_buf *out, uint8_t *tag) {
    item *i = find(n, hash_of(n, key));
    size_t before = out->n;
    suffix s;
    if (i == NULL || i->stamp == 0 || turn_is_old(n)) {
        return -ENOENT;
    }
    const mg_hashed_key hashed = {key, i->place};
    int rc = mg_memory_cache_get_hashed(n->values, &hashed, mg_loop_now_ms(n->loop), out, tag);
    if (rc == MG_OK && take_suffix(out, before, &s) && s.stamp == i->stamp) {
        n->stats.hits++;
        return MG_OK;
    }
    out->n = before;
    i->stamp = 0;
    remove_if_idle(n, i);
    return -ENOENT;
}

bool mg_near_cache_begin(mg_near_cache *n, mg_str key, mg_near_read *read) {
    *read = (mg_near_read){hash_of(n, key), n->clock};
    item *i = take(n, read->hash);
    if (i != NULL) {
        i->reads++;
    }
    return i != NULL;
}

// The stamp of what another worker has put there, if it is the same and ends no later; else 0.
static uint64_t adopt(mg_near_cache *n, const mg_near_value *v, uint64_t until_ms) {
    suffix s;
    uint8_t tag = 0;
    mg_buf_clear(&n->room);
    int rc = mg_memory_cache_get(n->values, v->key, mg_loop_now_ms(n->loop), &n->room, &tag);
    if (rc != MG_OK || !take_suffix(&n->room, 0, &s) || tag != v->tag ||
        !mg_str_eq(mg_buf_str(&n->room), v->value)) {
        return 0;
    }
    bool in_time = until_ms == 0 || (s.until_ms != 0 && s.until_ms <= until_ms);
    return in_time ? s.stamp : 0;
}

static uint64_t put(mg_near_cache *n, const mg_near_value *v, uint64_t until_ms) {
    suffix s = {mg_random_u64(&n->random) | 1, until_ms};
    mg_buf_clear(&n->room);
    mg_buf_append_str(&n->room, v->value);
    mg_buf_append(&n->room, &s, sizeof s);
    int rc = mg_memory_cache_set(n->values, v->key, mg_buf_str(&n->room), v->tag,
                                 mg_loop_now_ms(n->loop), v->ttl_ms);
    return rc == MG_OK ? s.stamp : 0;
}

static uint64_t store(mg_near_cache *n, const mg_near_value *v) {
    uint64_t until_ms = v->ttl_ms == 0 ? 0 : mg_loop_now_ms(n->loop) + v->ttl_ms;
    uint64_t stamp = adopt(n, v, until_ms);
    return stamp != 0 ? stamp : put(n, v, until_ms);
}

void mg_near_cache_end(mg_near_cache *n, const mg_near_read *read, const mg_near_value *v) {
    item *i = find(n, read->hash);
    if (read->since >= i->changed && read->since >= n->flushed) {
        i->stamp = store(n, v);
        i->place = mg_memory_cache_hash(n->values, v->key);
    }
    mg_near_cache_drop(n, read);
}

void mg_near_cache_drop(mg_near_cache *n, const mg_near_read *read) {
    item *i = find(n, read->hash);
    i->reads--;
    remove_if_idle(n, i);
}

void mg_near_cache_forget(mg_near_cache *n, mg_str key) {
    item *i = find(n, hash_of(n, key));
    if (i != NULL) {
        i->changed = ++n->clock;
        i->stamp = 0;
        remove_if_idle(n, i);
    }
}

void mg_near_cache_forget_all(mg_near_cache *n) {
    uint32_t count = n->mask + 1;
    item *old = n->items;
    n->flushed = ++n->clock;
    n->stats.flushes++;
    n->items = mg_calloc(count, sizeof *n->items);
    n->used = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (old[i].reads > 0) {
            old[i].stamp = 0;
            *place_of(n, old[i].hash) = old[i];
            n->used++;
        }
    }
    mg_free(old);
}

void mg_near_cache_read_stats(const mg_near_cache *n, mg_near_stats *out) {
    *out = n->stats;
    out->keys = n->used;
}
