#include "proxy/admission.h"

#include "base/error.h"
#include "proxy/budget.h"
#include "proxy/circuit.h"
#include "proxy/verdict.h"

enum { BUSY_S = 1, FAILED = 500 };

static int refuse(mg_no_server *why, const char *text, uint64_t wait_ms) {
    if (why != NULL) {
        *why = (mg_no_server){.why = text, .retry_after = (uint32_t)((wait_ms + 999) / 1000)};
        why->retry_after += why->retry_after == 0;
    }
    return MG_EAGAIN;
}

static void count_kind(const mg_upstream_options *o, const mg_upstream_hold *h,
                       mg_choice_kind kind) {
    switch (kind) {
    case MG_CHOICE_FIRST:
        mg_budget_pay(h, o->retries.budget);
        mg_count_total(&h->own->requests);
        break;
    case MG_CHOICE_RETRY:
    case MG_CHOICE_FAILOVER:
        mg_count_total(&h->own->retries);
        break;
    case MG_CHOICE_HEDGE:
        mg_count_total(&h->own->hedges);
        break;
    default:
        break;
    }
}

int mg_admit(mg_admission *out, const mg_upstream_options *o, const mg_upstream_hold *h,
             mg_choice_kind kind, uint64_t now_ms, mg_no_server *why) {
    *out = (mg_admission){.extra = kind == MG_CHOICE_RETRY || kind == MG_CHOICE_HEDGE};
    bool none = kind == MG_CHOICE_FAILOVER && o->retries.budget <= 0;
    if (none || (out->extra && !mg_budget_begin(h, o->retries.budget))) {
        return refuse(why, "the budget for retries is used up", 0);
    }
    uint64_t probe;
    if (!mg_circuit_enter(&o->circuit, h, now_ms, &probe)) {
        mg_count_total(&h->own->refused);
        if (out->extra) {
            mg_budget_end(h, false);
        }
        return refuse(why, "the circuit is open: too many requests failed", probe);
    }
    out->probe = probe;
    if (!mg_circuit_begin(&o->circuit, h)) {
        mg_circuit_tell(&o->circuit, h, probe, MG_RESULT_NONE, now_ms);
        if (out->extra) {
            mg_budget_end(h, false);
        }
        (void)refuse(why, "circuit.in_flight requests are under way", BUSY_S * 1000);
        return MG_ELIMIT;
    }
    count_kind(o, h, kind);
    return MG_OK;
}

// The parts that count what is under way.
static void leave(const mg_admission *a, const mg_upstream_hold *h, bool failed) {
    mg_circuit_end(h);
    if (a->extra) {
        mg_budget_end(h, failed);
    }
}

void mg_admission_undo(const mg_admission *a, const mg_upstream_options *o,
                       const mg_upstream_hold *h, uint64_t now_ms) {
    leave(a, h, false);
    mg_circuit_tell(&o->circuit, h, a->probe, MG_RESULT_NONE, now_ms);
}

mg_result mg_result_of(const mg_outcome *outcome) {
    if (outcome->status != 0) {
        return outcome->status >= FAILED ? MG_RESULT_BAD : MG_RESULT_GOOD;
    }
    return outcome->cancelled ? MG_RESULT_NONE : MG_RESULT_BAD;
}

static void tell_ejected(const mg_outlier_options *o, const mg_server_hold *s, uint64_t now_ms,
                         const mg_changes *to) {
    uint64_t until_ms = mg_ejection_of(s, now_ms).until_ms;
    mg_changes_tell(to, MG_LOG_WARN, &s->cell->logged, now_ms,
                    "upstream %s: %s is left out for %.1f s: it failed %llu times in a row",
                    s->cell->upstream, s->cell->address,
                    until_ms > now_ms ? (double)(until_ms - now_ms) / 1000 : 0,
                    (unsigned long long)o->failures);
}

static void tell_circuit(const mg_circuit_options *o, const mg_upstream_hold *h, uint64_t now_ms,
                         const mg_changes *to) {
    mg_upstream_cell *c = h->cell;
    if (mg_circuit_of(c, now_ms) == MG_CIRCUIT_CLOSED) {
        mg_changes_tell(to, MG_LOG_INFO, &c->logged, now_ms,
                        "upstream %s: the circuit is closed again", c->name);
    } else {
        mg_changes_tell(to, MG_LOG_WARN, &c->logged, now_ms,
                        "upstream %s: the circuit is open for %.1f s: too many requests failed",
                        c->name, (double)o->open_ms / 1000);
    }
}

void mg_admission_end(const mg_admission *a, const mg_upstream_options *o, const mg_server_group *g,
                      const mg_server_hold *server, mg_result result, uint64_t now_ms,
                      const mg_changes *to) {
    leave(a, g->upstream, result == MG_RESULT_BAD);
    if (mg_outlier_tell(&o->outlier, g, server, result, now_ms)) {
        tell_ejected(&o->outlier, server, now_ms, to);
    }
    if (mg_circuit_tell(&o->circuit, g->upstream, a->probe, result, now_ms)) {
        tell_circuit(&o->circuit, g->upstream, now_ms, to);
    }
}

bool mg_server_is_usable(const mg_upstream_options *o, const mg_server_hold *h, uint64_t now_ms) {
    return !(o->health.on && mg_verdict_of(h) == MG_VERDICT_DOWN) &&
           !(o->outlier.on && mg_server_is_ejected(h, now_ms));
}
