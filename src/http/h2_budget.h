// http/h2_budget.h: counts frames that cost their sender next to nothing (see http/h2_limits). For
// http/h2* alone.
#pragma once

#include "http/h2.h"

void mg_h2_budgets_init(mg_h2 *h);

// Takes a token. False: there is none left.
bool mg_h2_spend(mg_h2 *h, mg_h2_budget kind);

// The peer has done honest work, which some nothings go with.
void mg_h2_earn(mg_h2 *h, mg_h2_budget kind, uint32_t tokens);

// What to say of a peer that has emptied it. Static text.
const char *mg_h2_budget_reason(mg_h2_budget kind);
