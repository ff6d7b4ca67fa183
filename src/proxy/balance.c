// Which of several servers: what `balance` and `hash` of an upstream say.

#include "proxy/balance.h"

#include "http/cookie.h"
#include "proxy/upstream_inside.h"
#include "server/requester.h"

#include <math.h>

enum {
    WHOLE = 256,     // a server's own weight, in parts of which it is counted
    LEAST_PART = 26, // a tenth: what it begins with
    SPREAD = 5, // hash: a server takes 5/4 of its share, and no more; p2c: what costs 5/4 is worse
    SPREAD_OF = 4,
    NOISE_US = 1000, // p2c: what lies within this is no difference between latencies
    HALF_MS = 1000,  // what was found out so long ago counts half
    LONGEST = 5,     // failures that double the wait
    FEW = 8,         // fewer answers tell nothing yet
    STAMP_BITS = 24,
    STAMP_MS = 64, // a unit of the stamp beside a latency
    COUNT_BITS = 4,
};

// --- weight ---

uint32_t mg_member_weight(const mg_member *m, const mg_upstream_options *o, uint64_t now_ms) {
    if (o->slow_start_ms == 0) {
        return m->weight * WHOLE;
    }
    uint64_t since =
        atomic_load_explicit(&m->server->hold.cell->slow_since_ms, memory_order_relaxed);
    uint64_t age = now_ms > since ? now_ms - since : 0;
    if (age >= o->slow_start_ms || mg_shared_is_far(since, now_ms)) {
        return m->weight * WHOLE;
    }
    uint64_t part = age * WHOLE / o->slow_start_ms;
    return m->weight * (uint32_t)(part > LEAST_PART ? part : LEAST_PART);
}

// --- latency: microseconds, of how many answers, and when that was, in one word ---

typedef struct latency {
    double us;    // an average
    unsigned n;   // up to FEW
    double fades; // to how much of it by now
} latency;

static uint64_t stamp_of(uint64_t now_ms) {
    return now_ms / STAMP_MS & (((uint64_t)1 << STAMP_BITS) - 1);
}

static latency latency_of(const mg_server_cell *c, uint64_t now_ms) {
    uint64_t word = atomic_load_explicit(&c->latency, memory_order_relaxed);
    uint64_t age = (stamp_of(now_ms) - word) & (((uint64_t)1 << STAMP_BITS) - 1);
    return (latency){
        .us = (double)(word >> (STAMP_BITS + COUNT_BITS)),
        .n = (unsigned)(word >> STAMP_BITS) & ((1 << COUNT_BITS) - 1),
        .fades = exp2(-(double)age * STAMP_MS / HALF_MS),
    };
}

double mg_balance_latency_us(const mg_server_cell *c) {
    return latency_of(c, 0).us;
}

// One in eight counts, and what is old counts no more. Of the first ones the quickest counts: they
// meet cold caches, and one that is slow by chance would have its server left alone.
static double average(latency before, double sample) {
    if (before.n < FEW) {
        return before.n == 0 || sample < before.us ? sample : before.us;
    }
    double part = 1 - before.fades;
    return before.us + (sample - before.us) * (part > 1.0 / 8 ? part : 1.0 / 8);
}

// One that is slow alone (a pause, a lost packet) says nothing of the next: two in a row do.
static double quicker_of_two(mg_server_cell *c, uint64_t us) {
    uint64_t last = atomic_exchange_explicit(&c->last_us, us, memory_order_relaxed);
    return (double)(last > 0 && last < us ? last : us);
}

void mg_balance_learn(mg_server_cell *c, uint64_t us, uint64_t now_ms) {
    latency before = latency_of(c, now_ms);
    uint64_t n = before.n < FEW ? before.n + 1 : FEW;
    double next = average(before, quicker_of_two(c, us));
    uint64_t whole = next < 1 ? 1 : next < 6e10 ? (uint64_t)next : (uint64_t)6e10;
    uint64_t word = whole << (STAMP_BITS + COUNT_BITS) | n << STAMP_BITS | stamp_of(now_ms);
    atomic_store_explicit(&c->latency, word, memory_order_relaxed);
}

// --- failing: since when, and how often it was tried again in vain ---

enum { TIMES_BITS = 8, TIMES = (1 << TIMES_BITS) - 1, WAIT_MS = 1000 };

static uint64_t wait_ms(uint64_t times) {
    return (uint64_t)WAIT_MS << (times - 1);
}

static uint64_t failing_of(const mg_server_cell *c, uint64_t now_ms) {
    uint64_t word = atomic_load_explicit(&c->failing, memory_order_relaxed);
    bool known = (word & TIMES) <= LONGEST && !mg_shared_is_far(word >> TIMES_BITS, now_ms);
    return known ? word : 0;
}

void mg_balance_tell(mg_server_cell *c, bool failed, uint64_t now_ms) {
    uint64_t word = failing_of(c, now_ms);
    uint64_t times = word & TIMES;
    uint64_t next = 0;
    if (failed) {
        // All that were under way when it died are one failure.
        bool again = times == 0 || now_ms >= (word >> TIMES_BITS) + wait_ms(times);
        next = again ? now_ms << TIMES_BITS | (times < LONGEST ? times + 1 : LONGEST) : word;
    }
    if (next != word) {
        atomic_store_explicit(&c->failing, next, memory_order_relaxed);
    }
}

bool mg_balance_avoids(const mg_server_hold *h, uint64_t now_ms) {
    uint64_t word = failing_of(h->cell, now_ms);
    uint64_t times = word & TIMES;
    return times > 0 &&
           (now_ms < (word >> TIMES_BITS) + wait_ms(times) || mg_server_in_flight(h) > 0);
}

// --- in turn ---

typedef struct drawing {
    mg_upstream *u;
    mg_member *const *candidates;
    size_t n;
    uint64_t now_ms;
} drawing;

static uint32_t weight_of(const drawing *d, size_t i) {
    return mg_member_weight(d->candidates[i], &d->u->options, d->now_ms);
}

// Smooth weighted round robin (as nginx has it): over a round each gets its weight, and nobody
// gets his share in one run.
static mg_member *next_in_turn(const drawing *d) {
    int64_t all = 0;
    mg_member *best = d->candidates[0];
    for (size_t i = 0; i < d->n; i++) {
        mg_member *m = d->candidates[i];
        uint32_t weight = weight_of(d, i);
        m->current += weight;
        all += weight;
        if (m->current > best->current) {
            best = m;
        }
    }
    best->current -= all;
    return best;
}

// --- drawn ---

static uint64_t weight_of_all(const drawing *d) {
    uint64_t all = 0;
    for (size_t i = 0; i < d->n; i++) {
        all += weight_of(d, i);
    }
    return all;
}

// One by its weight, but not number `but` (n: any may be). `all`: the weights of those.
static size_t draw(const drawing *d, uint64_t all, size_t but) {
    uint64_t at = mg_random_below(&d->u->set->base->random, all);
    size_t last = d->n;
    for (size_t i = 0; i < d->n; i++) {
        if (i != but) {
            last = i;
            uint32_t weight = weight_of(d, i);
            if (at < weight) {
                break;
            }
            at -= weight;
        }
    }
    return last;
}

static double in_flight_of(const mg_member *m) {
    return (double)mg_server_in_flight(&m->server->hold);
}

// While it comes slowly a server is left out of most comparisons, which it would win for being
// idle.
static bool joins(const drawing *d, size_t i) {
    uint32_t whole = d->candidates[i]->weight * WHOLE;
    uint32_t now = weight_of(d, i);
    return now == whole || mg_random_below(&d->u->set->base->random, whole) < now;
}

// What a request would wait for there, measured in latencies. `share`: what the mean of all weights
// is to its own. What fades: who was slow is tried again, without answers to tell.
static double cost_of(const mg_member *m, double share, const latency *l) {
    double load = 1 + in_flight_of(m) * share;
    return l != NULL ? load * (NOISE_US + l->us * l->fades) : load;
}

// Of which little is known yet a latency would be a guess: then the load alone decides. The first
// one stays unless the other is clearly better, so that weights hold among equals.
static size_t better(const drawing *d, size_t first, size_t other, double mean) {
    const mg_member *a = d->candidates[first];
    const mg_member *b = d->candidates[other];
    latency of_a = latency_of(a->server->hold.cell, d->now_ms);
    latency of_b = latency_of(b->server->hold.cell, d->now_ms);
    bool timed = of_a.n >= FEW && of_b.n >= FEW;
    double cost_a = cost_of(a, mean / a->weight, timed ? &of_a : NULL);
    double cost_b = cost_of(b, mean / b->weight, timed ? &of_b : NULL);
    return cost_b * SPREAD < cost_a * SPREAD_OF ? other : first;
}

// The power of two choices (Mitzenmacher): two different ones, drawn by their weights.
static mg_member *of_two(const drawing *d) {
    uint64_t all = weight_of_all(d);
    size_t first = draw(d, all, d->n);
    size_t other = draw(d, all - weight_of(d, first), first);
    double mean = (double)all / WHOLE / (double)d->n;
    return d->candidates[joins(d, other) ? better(d, first, other, mean) : first];
}

// The one with the fewest for its weight; among equals one is drawn by it, else all workers would
// take the same.
static mg_member *least_loaded(const drawing *d) {
    size_t first = draw(d, weight_of_all(d), d->n);
    mg_member *best = d->candidates[first];
    for (size_t i = 1; i < d->n; i++) {
        size_t at = (first + i) % d->n;
        mg_member *m = d->candidates[at];
        if (in_flight_of(m) * best->weight < in_flight_of(best) * m->weight && joins(d, at)) {
            best = m;
        }
    }
    return best;
}

// --- by a key ---

static mg_str cookie_of(const mg_fields *fields, mg_str wanted) {
    mg_str rest = mg_fields_join(fields, MG_STR("Cookie"));
    mg_str name;
    mg_str value;
    while (mg_cookie_next(&rest, &name, &value)) {
        if (mg_str_eq(name, wanted)) {
            return value;
        }
    }
    return (mg_str){NULL, 0};
}

mg_str mg_balance_cookie(const mg_exchange *x, const char *name) {
    return cookie_of(&x->head.fields, mg_str_of(name));
}

static mg_str query_of(mg_str query, mg_str wanted) {
    mg_str key;
    mg_str value;
    while (mg_query_next(&query, &key, &value)) {
        if (mg_str_eq(key, wanted)) {
            return value;
        }
    }
    return (mg_str){NULL, 0};
}

// Empty: the request does not have it.
static mg_str key_of(const mg_upstream_options *o, mg_exchange *x) {
    if (x == NULL) {
        return (mg_str){NULL, 0};
    }
    switch (o->hash_by) {
    case MG_HASH_HEADER:
        return mg_fields_join(&x->head.fields, mg_str_of(o->hash_name));
    case MG_HASH_COOKIE:
        return mg_balance_cookie(x, o->hash_name);
    case MG_HASH_QUERY:
        return query_of(x->head.target.query, mg_str_of(o->hash_name));
    case MG_HASH_IP:
        return mg_exchange_requester(x)->client_ip;
    default:
        return x->head.target.path;
    }
}

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t mg_balance_hash(mg_str key) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < key.n; i++) {
        h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3u;
    }
    return mix(h);
}

// Rendezvous hashing with weights: each server has a score for a key that others have no say in, so
// that only the keys of a server that comes or goes move.
static double score_of(uint64_t key, const mg_member *m) {
    double u = ((double)(mix(key ^ m->server->hash) >> 11) + 0.5) * 0x1p-53;
    return -(double)m->weight / log(u);
}

// The highest score among those that have room: no server has more than 5/4 of its share in flight
// (consistent hashing with bounded loads; Mirrokni, Thorup, Zadimoghaddam).
static mg_member *by_key(const drawing *d, uint64_t key) {
    double all = 1;
    double weights = 0;
    for (size_t i = 0; i < d->n; i++) {
        all += in_flight_of(d->candidates[i]);
        weights += weight_of(d, i);
    }
    mg_member *best = NULL;
    mg_member *first = NULL; // without the bound: there is always one within it, but for rounding
    double best_score = 0;
    double first_score = 0;
    for (size_t i = 0; i < d->n; i++) {
        mg_member *m = d->candidates[i];
        double score = score_of(key, m);
        double room = ceil(all * weight_of(d, i) / weights * SPREAD / SPREAD_OF);
        if (first == NULL || score > first_score) {
            first = m;
            first_score = score;
        }
        if (in_flight_of(m) + 1 <= room && (best == NULL || score > best_score)) {
            best = m;
            best_score = score;
        }
    }
    return best != NULL ? best : first;
}

// --- which ---

mg_member *mg_balance_pick(mg_upstream *u, const mg_choice *choice, mg_member *const *candidates,
                           size_t n) {
    const drawing d = {u, candidates, n, mg_loop_now_ms(u->set->base->loop)};
    if (n == 1) {
        return candidates[0];
    }
    mg_str key;
    switch (u->options.balance) {
    case MG_BALANCE_ROUND_ROBIN:
        return next_in_turn(&d);
    case MG_BALANCE_LEAST_REQUESTS:
        return least_loaded(&d);
    case MG_BALANCE_RANDOM:
        return candidates[draw(&d, weight_of_all(&d), n)];
    case MG_BALANCE_HASH:
        key = key_of(&u->options, choice->exchange);
        return key.n > 0 ? by_key(&d, mg_balance_hash(key)) : of_two(&d);
    default:
        return of_two(&d);
    }
}
