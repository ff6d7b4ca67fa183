#include "http/h2_budget.h"

enum { PARTS = 10000 }; // of a token: as many come back each millisecond as the bucket has tokens

static void put(mg_h2 *h, mg_h2_budget kind, uint64_t parts) {
    uint64_t full = (uint64_t)h->limits->budgets[kind] * PARTS;
    uint64_t have = h->budgets[kind].tokens + parts;
    h->budgets[kind].tokens = have < full ? have : full;
}

void mg_h2_budgets_init(mg_h2 *h) {
    for (int kind = 0; kind < MG_H2_BUDGETS; kind++) {
        put(h, (mg_h2_budget)kind, UINT32_MAX * (uint64_t)PARTS);
    }
}

bool mg_h2_spend(mg_h2 *h, mg_h2_budget kind) {
    mg_h2_bucket *b = &h->budgets[kind];
    uint64_t passed_ms = b->at_ms != 0 && h->now_ms > b->at_ms ? h->now_ms - b->at_ms : 0;
    b->at_ms = h->now_ms;
    put(h, kind, passed_ms * h->limits->budgets[kind]);
    if (b->tokens < PARTS) {
        return false;
    }
    b->tokens -= PARTS;
    return true;
}

void mg_h2_earn(mg_h2 *h, mg_h2_budget kind, uint32_t tokens) {
    put(h, kind, (uint64_t)tokens * PARTS);
}

const char *mg_h2_budget_reason(mg_h2_budget kind) {
    static const char *const reasons[MG_H2_BUDGETS] = {
        [MG_H2_BUDGET_RESETS] = "too many streams were reset before they were answered",
        [MG_H2_BUDGET_PROVOKED] = "too many streams had to be reset",
        [MG_H2_BUDGET_SETTINGS] = "too many SETTINGS frames",
        [MG_H2_BUDGET_PINGS] = "too many PING frames",
        [MG_H2_BUDGET_PRIORITIES] = "too many PRIORITY frames",
        [MG_H2_BUDGET_EMPTY] = "too many frames without content",
        [MG_H2_BUDGET_WINDOWS] = "too many WINDOW_UPDATE frames",
    };
    return reasons[kind];
}
