#include "live/presence.h"

#include "base/mem.h"

#include <string.h>
#include <sys/mman.h>

enum {
    LEAST_BITS = 8,
    MOST_BITS = 16,
    TRIES = 200, // some 10 us
};

_Static_assert(1 << MOST_BITS == MG_PRESENCE_SLOTS, "the largest table is the whole room");

// 0 is a free slot's.
static uint64_t key_of(uint64_t hash) {
    return hash != 0 ? hash : 1;
}

// Whoever wrote it may have scribbled: nothing beyond the room is ever looked at.
static uint32_t slots_of(const mg_presence *p) {
    uint32_t bits = atomic_load_explicit(&p->bits, memory_order_relaxed);
    return 1u << (bits < LEAST_BITS ? LEAST_BITS : bits > MOST_BITS ? MOST_BITS : bits);
}

static uint64_t hash_at(const mg_presence *p, uint32_t i) {
    return atomic_load_explicit(&p->slots[i].hash, memory_order_relaxed);
}

// The slot of `key`, or the free one where it belongs; the table's size if there is neither.
static uint32_t place_of(const mg_presence *p, uint64_t key) {
    uint32_t size = slots_of(p);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t at = (uint32_t)(key + i) & (size - 1);
        uint64_t found = hash_at(p, at);
        if (found == key || found == 0) {
            return at;
        }
    }
    return size;
}

// --- for anybody ---

static uint32_t look(const mg_presence *p, uint64_t key) {
    uint32_t at = place_of(p, key);
    bool found = at < slots_of(p) && hash_at(p, at) == key;
    return found ? (uint32_t)atomic_load_explicit(&p->slots[at].count, memory_order_relaxed) : 0;
}

mg_presence_answer mg_presence_of(const mg_presence *p, uint64_t hash) {
    uint64_t key = key_of(hash);
    for (int i = 0; i < TRIES; i++) {
        uint32_t before = atomic_load_explicit(&p->version, memory_order_acquire);
        bool empty = atomic_load_explicit(&p->used, memory_order_relaxed) == 0;
        uint32_t count = empty ? 0 : look(p, key);
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&p->version, memory_order_relaxed);
        if (before == after && before % 2 == 0) {
            return (mg_presence_answer){count, true};
        }
    }
    return (mg_presence_answer){0};
}

uint32_t mg_presence_used(const mg_presence *p) {
    return atomic_load_explicit(&p->used, memory_order_relaxed);
}

// --- for its worker ---

static void put(mg_presence *p, uint32_t at, uint64_t hash, uint64_t count) {
    atomic_store_explicit(&p->slots[at].count, count, memory_order_relaxed);
    atomic_store_explicit(&p->slots[at].hash, hash, memory_order_relaxed);
}

static void begin_change(mg_presence *p) {
    uint32_t v = atomic_load_explicit(&p->version, memory_order_relaxed);
    atomic_store_explicit(&p->version, v | 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end_change(mg_presence *p) {
    uint32_t v = atomic_load_explicit(&p->version, memory_order_relaxed);
    atomic_store_explicit(&p->version, v + 1, memory_order_release);
}

static void set_used(mg_presence *p, uint32_t used) {
    atomic_store_explicit(&p->used, used, memory_order_relaxed);
}

// Twice as large: all that is in it finds its place anew.
static void grow(mg_presence *p) {
    uint32_t size = slots_of(p);
    uint64_t *old = mg_malloc(size * 2 * sizeof *old);
    for (uint32_t i = 0; i < size; i++) {
        old[i * 2] = hash_at(p, i);
        old[i * 2 + 1] = atomic_load_explicit(&p->slots[i].count, memory_order_relaxed);
        put(p, i, 0, 0);
    }
    uint32_t bits = (uint32_t)__builtin_ctz(size) + 1;
    atomic_store_explicit(&p->bits, bits, memory_order_relaxed);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t at = old[i * 2] != 0 ? place_of(p, old[i * 2]) : UINT32_MAX;
        if (at < slots_of(p)) {
            put(p, at, old[i * 2], old[i * 2 + 1]);
        }
    }
    mg_free(old);
}

// Those behind it that had to pass it by move up, so that a search may end at the first free slot.
static void take_out(mg_presence *p, uint32_t hole) {
    uint32_t mask = slots_of(p) - 1;
    for (uint32_t at = (hole + 1) & mask; hash_at(p, at) != 0 && at != hole; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)hash_at(p, at) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            put(p, hole, hash_at(p, at),
                atomic_load_explicit(&p->slots[at].count, memory_order_relaxed));
            hole = at;
        }
    }
    put(p, hole, 0, 0);
}

static void change(mg_presence *p, uint64_t key, uint32_t count, bool is_there) {
    uint32_t used = atomic_load_explicit(&p->used, memory_order_relaxed);
    begin_change(p);
    if (is_there) {
        take_out(p, place_of(p, key));
        set_used(p, used - 1);
    } else {
        if (used >= slots_of(p) / 4 * 3) {
            grow(p);
        }
        uint32_t at = place_of(p, key);
        if (at < slots_of(p)) { // else somebody has scribbled on it, and it is full
            put(p, at, key, count);
            set_used(p, used + 1);
        }
    }
    end_change(p);
}

bool mg_presence_set(mg_presence *p, uint64_t hash, uint32_t count) {
    uint64_t key = key_of(hash);
    uint32_t at = place_of(p, key);
    bool is_there = at < slots_of(p) && hash_at(p, at) == key;
    if (is_there && count > 0) {
        atomic_store_explicit(&p->slots[at].count, count, memory_order_relaxed);
    } else if (is_there || count > 0) {
        if (!is_there && atomic_load(&p->used) >= MG_PRESENCE_MOST) {
            return false;
        }
        change(p, key, count, is_there);
    }
    return true;
}

void mg_presence_wipe(mg_presence *p) {
    begin_change(p);
    if (madvise(p->slots, sizeof p->slots, MADV_REMOVE) != 0) {
        memset(p->slots, 0, sizeof p->slots); // memory of a kind that cannot give pages back
    }
    atomic_store_explicit(&p->bits, LEAST_BITS, memory_order_relaxed);
    set_used(p, 0);
    end_change(p);
}
