// proxy/waiting.h: requests that wait while an upstream has as many in flight as its circuit
// allows, in order. How many may wait is counted over all workers.
//
// An mg_waiter lies in its owner's memory. It waits from mg_upstream_wait until
// mg_upstream_wait_no_more; turns come when a try of this worker has ended, and from time to time,
// since those of others end unseen.
#pragma once

#include "base/list.h"
#include "proxy/upstream.h"

typedef struct mg_waiter mg_waiter;

// It is its turn. False: the upstream is still full. True: it waits no more (and may be gone).
typedef bool (*mg_waiter_cb)(mg_waiter *w);

struct mg_waiter {
    mg_link link;
    struct mg_upstream_pool *pool; // NULL: it does not wait
    mg_waiter_cb on_turn;
};

// MG_ELIMIT: too many wait already.
int mg_upstream_wait(mg_upstream *u, mg_waiter *w, mg_waiter_cb on_turn);
void mg_upstream_wait_no_more(mg_waiter *w); // harmless if it does not

// A try has ended.
void mg_waiting_look(struct mg_upstream_pool *pool);
