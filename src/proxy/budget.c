#include "proxy/budget.h"

enum { WHOLE = 1000 }; // one retry, as debts are counted

// No more than the retries that can fail at a time can be owed.
static uint64_t known(uint64_t debt) {
    return debt <= (uint64_t)MG_SHARED_COUNT_MOST * WHOLE ? debt : 0;
}

void mg_budget_pay(const mg_upstream_hold *h, double share) {
    uint64_t debt = atomic_load_explicit(&h->cell->budget, memory_order_relaxed);
    uint64_t part = (uint64_t)(share * WHOLE);
    while (debt > 0 && !atomic_compare_exchange_weak(&h->cell->budget, &debt,
                                                     known(debt) > part ? known(debt) - part : 0)) {
    }
}

static bool has_credit(const mg_upstream_hold *h) {
    uint64_t debt = atomic_load_explicit(&h->cell->budget, memory_order_relaxed);
    return known(debt) + WHOLE <= MG_BUDGET_LEAST * WHOLE;
}

// Counted first, then looked at, so that two workers never both slip through.
bool mg_budget_begin(const mg_upstream_hold *h, double share) {
    if (share <= 0 || !has_credit(h)) {
        return false;
    }
    mg_count_up(&h->own->extra);
    atomic_thread_fence(memory_order_seq_cst);
    mg_upstream_sums now = mg_upstream_sum(h);
    double most = share * (now.in_flight + 1); // the failed try of this request has ended
    if (now.extra <= MG_BUDGET_LEAST || now.extra <= most) {
        return true;
    }
    mg_count_down(&h->own->extra);
    return false;
}

void mg_budget_end(const mg_upstream_hold *h, bool failed) {
    mg_count_down(&h->own->extra);
    if (failed) {
        atomic_fetch_add(&h->cell->budget, WHOLE);
    }
}
