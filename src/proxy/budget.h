// proxy/budget.h: how many retries and hedges an upstream may see: at once, and, as long as they
// come to nothing, in all. Pure functions of cells (proxy/shared.h); they own nothing.
//
// At once: a share of the tries in flight, at least 3. That alone does not hold a dead upstream to
// its bar where tries end at once and few requests are in flight; so a retry that fails is a debt,
// which first tries pay off by that share each. Retries that succeed cost nothing.
#pragma once

#include "proxy/shared.h"

// At once; and so many may fail before first tries have to pay for them.
enum { MG_BUDGET_LEAST = 3 };

// A first try begins.
void mg_budget_pay(const mg_upstream_hold *h, double share);

// A retry or hedge wants to begin. True: it may, and is counted as under way until mg_budget_end.
bool mg_budget_begin(const mg_upstream_hold *h, double share);

// It has ended. One that failed is owed.
void mg_budget_end(const mg_upstream_hold *h, bool failed);
