#include "proxy/outlier.h"

#include "proxy/verdict.h"

enum {
    TIMES_BITS = 10,
    FAILURES_BITS = 14,
    TIMES_MOST = (1 << TIMES_BITS) - 1,
    FAILURES_MOST = (1 << FAILURES_BITS) - 1,
    LONGEST = 30, // times the first ejection
};

// until_ms | failures | times
static uint64_t pack(mg_ejection e) {
    return e.until_ms << (TIMES_BITS + FAILURES_BITS) | (uint64_t)e.failures << TIMES_BITS |
           e.times;
}

static mg_ejection unpack(uint64_t word, uint64_t now_ms) {
    uint64_t until_ms = word >> (TIMES_BITS + FAILURES_BITS);
    if (mg_shared_is_far(until_ms, now_ms)) {
        return (mg_ejection){0};
    }
    return (mg_ejection){.until_ms = until_ms,
                         .failures = (uint32_t)(word >> TIMES_BITS) & FAILURES_MOST,
                         .times = (uint32_t)word & TIMES_MOST};
}

static uint64_t read_word(const mg_server_hold *h) {
    return atomic_load_explicit(&h->cell->ejection, memory_order_acquire);
}

mg_ejection mg_ejection_of(const mg_server_hold *h, uint64_t now_ms) {
    return unpack(read_word(h), now_ms);
}

bool mg_server_is_ejected(const mg_server_hold *h, uint64_t now_ms) {
    return mg_ejection_of(h, now_ms).until_ms > now_ms;
}

// --- good results ---

static uint64_t length_ms(const mg_outlier_options *o, uint32_t times) {
    return o->eject_ms * (times < LONGEST ? times : LONGEST);
}

// What it becomes by a good result. It forgets one ejection when it has been well for as long as
// that lasted.
static mg_ejection better(const mg_outlier_options *o, mg_ejection e, uint64_t now_ms) {
    e.failures = 0;
    if (e.times > 0 && now_ms >= e.until_ms + length_ms(o, e.times)) {
        e.times--;
        e.until_ms = e.times > 0 ? now_ms : 0;
    }
    return e;
}

static void be_well(const mg_outlier_options *o, const mg_server_hold *h, uint64_t now_ms) {
    uint64_t seen = read_word(h);
    uint64_t next;
    do {
        mg_ejection e = unpack(seen, now_ms);
        next = e.until_ms > now_ms ? seen : pack(better(o, e, now_ms));
    } while (next != seen && !atomic_compare_exchange_weak(&h->cell->ejection, &seen, next));
}

// --- failures ---

// One more in a row. What fails while it is out, because all are used, does not count. Returns how
// many there are now; 0: it is out already.
static uint32_t fail(const mg_server_hold *h, uint64_t now_ms) {
    uint64_t seen = read_word(h);
    mg_ejection e;
    do {
        e = unpack(seen, now_ms);
        if (e.until_ms > now_ms) {
            return 0;
        }
        e.failures += e.failures < FAILURES_MOST;
    } while (!atomic_compare_exchange_weak(&h->cell->ejection, &seen, pack(e)));
    return e.failures;
}

// One more may be out.
static bool has_room(const mg_outlier_options *o, const mg_server_group *g, const mg_server_hold *h,
                     uint64_t now_ms) {
    size_t out = 0, others = 0;
    for (size_t i = 0; i < g->n; i++) {
        const mg_server_hold *s = g->servers[i];
        bool ejected = mg_server_is_ejected(s, now_ms);
        out += ejected;
        others += s->cell != h->cell && !ejected && mg_verdict_of(s) != MG_VERDICT_DOWN;
    }
    // One at least, however few there are.
    size_t most = (size_t)(o->most * (double)g->n);
    return others > 0 && out < (most > 0 ? most : 1);
}

static bool eject(const mg_outlier_options *o, const mg_server_hold *h, uint64_t now_ms) {
    uint64_t seen = read_word(h);
    mg_ejection e = unpack(seen, now_ms);
    if (e.until_ms > now_ms || e.failures < o->failures) {
        return false; // another worker was faster, or has seen it well
    }
    e.times += e.times < TIMES_MOST;
    e.failures = 0;
    e.until_ms = now_ms + length_ms(o, e.times);
    if (!atomic_compare_exchange_strong(&h->cell->ejection, &seen, pack(e))) {
        return false; // the next failure decides
    }
    atomic_store(&h->cell->slow_since_ms, e.until_ms);
    return true;
}

bool mg_outlier_tell(const mg_outlier_options *o, const mg_server_group *g, const mg_server_hold *h,
                     mg_result result, uint64_t now_ms) {
    if (!o->on || result == MG_RESULT_NONE) {
        return false;
    }
    if (result == MG_RESULT_GOOD) {
        if (read_word(h) != 0) {
            be_well(o, h, now_ms);
        }
        return false;
    }
    // Whoever decides looks at all servers, so that two workers together do not take too many.
    mg_lock *deciding = &g->upstream->cell->deciding;
    if (fail(h, now_ms) < o->failures || mg_lock_take(deciding) == MG_LOCK_BUSY) {
        return false;
    }
    bool done = has_room(o, g, h, now_ms) && eject(o, h, now_ms);
    mg_lock_drop(deciding);
    return done;
}
