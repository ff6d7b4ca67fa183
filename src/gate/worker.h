// gate/worker.h: what serves: one loop, one server, the generations of its scripts, the logs. It
// obeys a master at the other end of a channel, in another process or in this one.
//
//     begin -> (socket, accept)* -> prepare -> ready | failed -> commit | abandon -> ... -> stop
#pragma once

#include "config/config.h"
#include "lua/stall.h"

typedef struct mg_worker mg_worker;

typedef struct mg_worker_options {
    const char *conf;                     // the configuration's name
    const mg_config_overrides *overrides; // of the command line
    bool alone;                           // in the master's own process
    bool dev;
} mg_worker_options;

// Obeys the channel `fd`, which is taken. `on_end(arg)` comes once, when it has stopped or its
// master is gone and all is drained. Options are borrowed and outlive it.
int mg_worker_open(mg_worker **out, mg_loop *loop, int fd, const mg_worker_options *o,
                   void (*on_end)(void *arg), void *arg);

// Development: as mg_lua_app_evaluate, by the scripts that serve now.
void mg_worker_evaluate(mg_worker *w, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                        void *arg);

// Closes all that is open, at once. Accepts NULL.
void mg_worker_free(mg_worker *w);

// As a process of its own, the channel being descriptor MG_WORKER_CHANNEL. Returns its exit status.
enum { MG_WORKER_CHANNEL = 3 };
int mg_worker_main(const mg_worker_options *o);
