#include "proxy/verdict.h"

#include <stdio.h>

enum { AGAINST_MOST = 0xffff };

// status | last | against | verdict
static uint64_t pack(mg_health h) {
    return (uint64_t)(uint32_t)h.status << 32 | (uint64_t)h.last << 24 | (uint64_t)h.against << 8 |
           h.verdict;
}

static mg_health unpack(uint64_t word) {
    uint64_t verdict = word & 0xff;
    return (mg_health){.verdict =
                           verdict <= MG_VERDICT_DOWN ? (mg_verdict)verdict : MG_VERDICT_UNKNOWN,
                       .against = (uint32_t)(word >> 8) & AGAINST_MOST,
                       .last = (mg_finding)(word >> 24 & 0xff),
                       .status = (int)(word >> 32)};
}

mg_health mg_health_of(const mg_server_cell *c) {
    return unpack(atomic_load_explicit(&c->health, memory_order_acquire));
}

mg_verdict mg_verdict_of(const mg_server_hold *h) {
    return mg_health_of(h->cell).verdict;
}

// The first good check is enough for a server of which nothing is known.
static uint32_t needed(const mg_health_options *o, mg_verdict from, bool good) {
    if (!good) {
        return (uint32_t)o->down;
    }
    return from == MG_VERDICT_UNKNOWN ? 1 : (uint32_t)o->up;
}

static mg_health follow(const mg_health_options *o, mg_health h, mg_finding found, int status) {
    bool good = found == MG_FOUND_GOOD;
    mg_verdict says = good ? MG_VERDICT_UP : MG_VERDICT_DOWN;
    h.last = found;
    h.status = status;
    if (says == h.verdict || (good && h.verdict == MG_VERDICT_UNKNOWN)) {
        h.against = 0;
    }
    if (says != h.verdict) {
        h.against += h.against < AGAINST_MOST;
        if (h.against >= needed(o, h.verdict, good)) {
            h.verdict = says;
            h.against = 0;
        }
    }
    return h;
}

bool mg_health_tell(const mg_health_options *o, const mg_server_hold *h, mg_finding found,
                    int status, uint64_t now_ms) {
    uint64_t seen = atomic_load(&h->cell->health);
    mg_health next;
    do {
        next = follow(o, unpack(seen), found, status);
    } while (!atomic_compare_exchange_weak(&h->cell->health, &seen, pack(next)));
    mg_verdict before = unpack(seen).verdict;
    if (next.verdict == before) {
        return false;
    }
    if (before == MG_VERDICT_DOWN) {
        atomic_store(&h->cell->slow_since_ms, now_ms);
    }
    return true;
}

void mg_health_forget(const mg_server_hold *h) {
    atomic_store(&h->cell->health, 0);
}

const char *mg_health_text(const mg_health *h, char *out, size_t bytes) {
    static const char *const texts[] = {
        [MG_FOUND_GOOD] = "the check succeeded",
        [MG_FOUND_REFUSED] = "no connection",
        [MG_FOUND_TIMEOUT] = "no answer in time",
        [MG_FOUND_CLOSED] = "the connection was closed without an answer",
        [MG_FOUND_UNFIT] = "it does not serve, or does not know",
        [MG_FOUND_BROKEN] = "what came was no answer",
    };
    size_t known = sizeof texts / sizeof *texts;
    if (h->last == MG_FOUND_STATUS) {
        snprintf(out, bytes, "the status was %d", h->status);
    } else {
        snprintf(out, bytes, "%s", h->last < known ? texts[h->last] : "");
    }
    return out;
}
