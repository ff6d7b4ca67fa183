// event/poll.h: watches a descriptor that belongs to a library.
//
// Law: mg_poll_close first, then let the library close its descriptor; the other way round aborts
// libuv.
#pragma once

#include "event/loop.h"

typedef struct mg_poll mg_poll;

enum { MG_POLL_READ = 1, MG_POLL_WRITE = 2 };

// Calls `on_ready(arg, events)`; a failed descriptor is reported as both events.
int mg_poll_open(mg_poll **out, mg_loop *loop, int fd, void (*on_ready)(void *arg, int events),
                 void *arg);
int mg_poll_want(mg_poll *p, int events); // 0 stops watching

// `idle`: nothing is awaited of it that the loop must go on for. Said not to be: a virtual clock
// stands still meanwhile. At first neither was said.
void mg_poll_idle(mg_poll *p, bool idle);
void mg_poll_close(mg_poll *p); // accepts NULL
