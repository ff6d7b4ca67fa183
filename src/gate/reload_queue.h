// gate/reload_queue.h: who asked for a reload while another one is under way. Plain data; what
// `arg` leads to is borrowed.
#pragma once

#include "base/str.h"

// `reply` comes once; its text is borrowed.
typedef struct mg_reload_request {
    bool dry_run, specs;
    void (*reply)(void *arg, bool ok, mg_str text); // NULL: a signal
    void *arg;
} mg_reload_request;

enum { MG_RELOADS_WAITING = 8 };

// Zeroed: nobody waits.
typedef struct mg_reload_queue {
    mg_reload_request items[MG_RELOADS_WAITING];
    size_t n;
} mg_reload_queue;

// False: too many wait already. A second signal is remembered once: what it asks for will be done.
bool mg_reload_queue_add(mg_reload_queue *q, const mg_reload_request *r);

// Whoever came first. False: nobody waits.
bool mg_reload_queue_take(mg_reload_queue *q, mg_reload_request *out);
