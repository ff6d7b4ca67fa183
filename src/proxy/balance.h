// proxy/balance.h: what balancing remembers and how it makes a number of a key. For proxy/ alone.
#pragma once

#include "proxy/shared.h"
#include "server/exchange.h"

// A try took so long from the connection until its head came (failed: it counts as slow, however
// quickly it failed). All workers learn of it.
void mg_balance_learn(mg_server_cell *c, uint64_t us, bool failed, uint64_t now_ms);

// What was learned, a moving average; 0: nothing.
double mg_balance_latency_us(const mg_server_cell *c);

uint64_t mg_balance_hash(mg_str key);

// The value of that cookie of the request; {NULL, 0}: it has none.
mg_str mg_balance_cookie(const mg_exchange *x, const char *name);
