#include "proxy/circuit.h"

enum {
    STATE_BITS = 2,
    COUNT_BITS = 18,
    COUNT_MOST = (1 << COUNT_BITS) - 1,
    STALE_S = 60, // results that are older say nothing of now
};

// --- state: until_ms | state. 0: closed ---

static uint64_t pack(mg_circuit_state state, uint64_t until_ms) {
    return until_ms << STATE_BITS | state;
}

static uint64_t until_of(uint64_t word) {
    return word >> STATE_BITS;
}

// Whatever a dying worker has written there is a state.
static mg_circuit_state state_of(uint64_t word, uint64_t now_ms) {
    uint64_t state = word & ((1 << STATE_BITS) - 1);
    bool known = state <= MG_CIRCUIT_HALF_OPEN && !mg_shared_is_far(until_of(word), now_ms);
    return known ? (mg_circuit_state)state : MG_CIRCUIT_CLOSED;
}

mg_circuit_state mg_circuit_of(const mg_upstream_cell *c, uint64_t now_ms) {
    uint64_t word = atomic_load_explicit(&c->circuit, memory_order_acquire);
    bool over = until_of(word) <= now_ms;
    mg_circuit_state state = state_of(word, now_ms);
    return state == MG_CIRCUIT_OPEN && over ? MG_CIRCUIT_HALF_OPEN : state;
}

bool mg_circuit_enter(const mg_circuit_options *o, const mg_upstream_hold *h, uint64_t now_ms,
                      uint64_t *probe) {
    *probe = 0;
    uint64_t seen = atomic_load_explicit(&h->cell->circuit, memory_order_acquire);
    if (!o->on || state_of(seen, now_ms) == MG_CIRCUIT_CLOSED) {
        return true;
    }
    // Until when its result is waited for tells one probe from another.
    uint64_t next = pack(MG_CIRCUIT_HALF_OPEN, now_ms + o->open_ms);
    if (until_of(seen) <= now_ms && seen != next &&
        atomic_compare_exchange_strong(&h->cell->circuit, &seen, next)) {
        *probe = next;
        return true;
    }
    if (state_of(seen, now_ms) == MG_CIRCUIT_CLOSED) {
        return true; // just now
    }
    *probe = until_of(seen) > now_ms ? until_of(seen) - now_ms : 0;
    return false;
}

// --- the last results: when the last one came, in s | results | failures ---

typedef struct results {
    uint64_t last_s;
    uint64_t all, bad;
} results;

static results unpack_results(uint64_t word) {
    return (results){.last_s = word >> (2 * COUNT_BITS),
                     .all = word >> COUNT_BITS & COUNT_MOST,
                     .bad = word & COUNT_MOST};
}

static uint64_t pack_results(results r) {
    return r.last_s << (2 * COUNT_BITS) | r.all << COUNT_BITS | r.bad;
}

static uint64_t volume_of(const mg_circuit_options *o) {
    return o->volume < COUNT_MOST / 2 ? o->volume : COUNT_MOST / 2;
}

// Between `volume` and twice as many are remembered: then the older ones count half.
static results add(const mg_circuit_options *o, results r, bool bad, uint64_t now_s) {
    if (now_s > r.last_s + STALE_S || r.last_s > now_s + STALE_S) {
        r = (results){0};
    } else if (r.all >= 2 * volume_of(o)) {
        r.all /= 2;
        r.bad /= 2;
    }
    r.last_s = now_s;
    r.all++;
    r.bad += bad;
    return r;
}

static results remember(const mg_circuit_options *o, const mg_upstream_hold *h, bool bad,
                        uint64_t now_ms) {
    uint64_t seen = atomic_load_explicit(&h->cell->results, memory_order_relaxed);
    results next;
    do {
        next = add(o, unpack_results(seen), bad, now_ms / 1000);
    } while (!atomic_compare_exchange_weak(&h->cell->results, &seen, pack_results(next)));
    return next;
}

static bool too_many(const mg_circuit_options *o, results r) {
    return o->failures > 0 && r.bad > 0 && r.all >= volume_of(o) &&
           (double)r.bad >= o->failures * (double)r.all;
}

// --- results ---

static bool swap(const mg_upstream_hold *h, uint64_t from, uint64_t to) {
    return atomic_compare_exchange_strong(&h->cell->circuit, &from, to);
}

static bool tell_probe(const mg_circuit_options *o, const mg_upstream_hold *h, uint64_t probe,
                       mg_result result, uint64_t now_ms) {
    switch (result) {
    case MG_RESULT_GOOD:
        atomic_store(&h->cell->results, 0);
        return swap(h, probe, 0);
    case MG_RESULT_BAD:
        return swap(h, probe, pack(MG_CIRCUIT_OPEN, now_ms + o->open_ms));
    case MG_RESULT_NONE:
        swap(h, probe, pack(MG_CIRCUIT_OPEN, now_ms)); // the next one is the probe
        return false;
    }
    return false;
}

bool mg_circuit_tell(const mg_circuit_options *o, const mg_upstream_hold *h, uint64_t probe,
                     mg_result result, uint64_t now_ms) {
    if (!o->on) {
        return false;
    }
    if (probe != 0) {
        return tell_probe(o, h, probe, result, now_ms);
    }
    uint64_t seen = atomic_load_explicit(&h->cell->circuit, memory_order_acquire);
    if (result == MG_RESULT_NONE || state_of(seen, now_ms) != MG_CIRCUIT_CLOSED) {
        return false; // it began before the circuit opened
    }
    results r = remember(o, h, result == MG_RESULT_BAD, now_ms);
    return result == MG_RESULT_BAD && too_many(o, r) &&
           swap(h, seen, pack(MG_CIRCUIT_OPEN, now_ms + o->open_ms));
}

// --- how many at once ---

// Counted first, then looked at, so that two workers never both slip through.
static bool up_to(_Atomic uint32_t *own, const mg_upstream_hold *h, bool waiting, uint64_t most) {
    mg_count_up(own);
    atomic_thread_fence(memory_order_seq_cst);
    mg_upstream_sums now = mg_upstream_sum(h);
    if ((waiting ? now.waiting : now.in_flight) <= most) {
        return true;
    }
    mg_count_down(own);
    return false;
}

bool mg_circuit_begin(const mg_circuit_options *o, const mg_upstream_hold *h) {
    if (!o->on || o->in_flight == 0) {
        mg_count_up(&h->own->in_flight);
        return true;
    }
    return up_to(&h->own->in_flight, h, false, o->in_flight);
}

void mg_circuit_end(const mg_upstream_hold *h) {
    mg_count_down(&h->own->in_flight);
}

bool mg_circuit_wait(const mg_circuit_options *o, const mg_upstream_hold *h) {
    return o->on && up_to(&h->own->waiting, h, true, o->waiting);
}

void mg_circuit_wait_no_more(const mg_upstream_hold *h) {
    mg_count_down(&h->own->waiting);
}
