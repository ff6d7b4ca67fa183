// event/signal.h: process signals as events of the loop.
#pragma once

#include "event/loop.h"

typedef struct mg_signal mg_signal;

// Calls `on_signal(arg, signum)` on the loop. An open signal does not keep the loop running.
int mg_signal_open(mg_signal **out, mg_loop *loop, int signum,
                   void (*on_signal)(void *arg, int signum), void *arg);
void mg_signal_close(mg_signal *s); // accepts NULL

// For a process below a master: the terminal's signals are the master's business, and a peer that
// has left is an error of write.
void mg_signal_ignore_shared(void);
