// event/wake.h: lets another thread (or a signal handler) make the loop call back.
#pragma once

#include "event/loop.h"

typedef struct mg_wake mg_wake;

// `on_wake(arg)` runs on the loop at least once after the last mg_wake_send. An open wake does not
// keep the loop running.
int mg_wake_open(mg_wake **out, mg_loop *loop, void (*on_wake)(void *arg), void *arg);
void mg_wake_send(mg_wake *w); // from any thread

// While a send is expected the loop keeps running, and a virtual clock stands still. Harmless when
// it is so already.
void mg_wake_expect(mg_wake *w, bool expected);
void mg_wake_close(mg_wake *w); // accepts NULL; the memory goes by itself
