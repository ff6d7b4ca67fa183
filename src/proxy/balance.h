// proxy/balance.h: what balancing remembers and how it makes a number of a key. For proxy/ alone.
#pragma once

#include "proxy/shared.h"
#include "server/exchange.h"

// A try took so long from the connection until its head came. All workers learn of it.
void mg_balance_learn(mg_server_cell *c, uint64_t us, uint64_t now_ms);

// A try was answered, or failed.
void mg_balance_tell(mg_server_cell *c, bool failed, uint64_t now_ms);

// It failed of late: it has nothing in flight, answers quickest of all, and would draw the load.
// After a while one request tries it, each time a longer one.
bool mg_balance_avoids(const mg_server_hold *h, uint64_t now_ms);

// What was learned, a moving average; 0: nothing.
double mg_balance_latency_us(const mg_server_cell *c);

uint64_t mg_balance_hash(mg_str key);

// The value of that cookie of the request; {NULL, 0}: it has none.
mg_str mg_balance_cookie(const mg_exchange *x, const char *name);
