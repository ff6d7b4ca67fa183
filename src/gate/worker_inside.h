// gate/worker_inside.h: what the files of the worker know of each other. For gate/worker*.c alone.
#pragma once

#include "gate/accepting.h"
#include "gate/channel.h"
#include "gate/generation.h"
#include "gate/jobs.h"
#include "gate/logs.h"
#include "gate/topics_remote.h"
#include "gate/worker.h"
#include "live/events.h"
#include "live/guest.h"
#include "live/ring.h"

//   NEW --begin--> BEGUN --commit--> SERVING --stop--> DRAINING --drained--> LEAVING --> ENDED
//    |               |                                                                     ^
//    +---------------+--- stop ------------------------------------------------------------+
typedef enum mg_worker_state {
    MG_WORKER_NEW,   // it does not know its place
    MG_WORKER_BEGUN, // no generation has been committed
    MG_WORKER_SERVING,
    MG_WORKER_DRAINING, // requests in progress end
    MG_WORKER_LEAVING,  // on_stop runs
    MG_WORKER_ENDED,    // it has been told
} mg_worker_state;

struct mg_worker {
    mg_worker_state state;
    const mg_worker_options *options;
    mg_loop *loop;
    mg_channel *master;
    mg_shm *shm;
    mg_cell *cell;
    uint32_t slot;
    mg_server *server;
    mg_accepting accepting;
    mg_jobs jobs;
    mg_ring *ring; // NULL: there is no other worker
    mg_topics *topics;
    mg_topics_redis *other_nodes; // NULL: there are none
    mg_redis *fleet;              // by which they are reached
    mg_event_streams *event_streams;
    mg_guests *guests; // WebSockets that scripts serve
    mg_logs logs;
    mg_logs next_logs; // of `next`, if they differ
    mg_generation *current;
    mg_generation *next;
    char *fault;      // dev: what `next` serves, because its scripts cannot be loaded
    mg_orders orders; // of scripts, for upstreams
    mg_link retired;  // generations that requests still hold, oldest first
    mg_stall *stall;
    mg_timer cell_timer;
    uint64_t started_wall_ms;
    uint64_t ticked_ms, cpu_ms; // at the last tick, and computed by then
    uint32_t busy_ticks;        // one after the other
    mg_timer drain_timer;
    uint64_t drain_until_ms; // requests, then background work
    uint64_t descriptors;    // RLIMIT_NOFILE
    uint64_t requests_seen;
    uint32_t calm_ticks;
    void (*on_end)(void *arg);
    void *end_arg;
};

// --- worker.c ---

bool mg_worker_may_become(mg_worker_state from, mg_worker_state to);
void mg_worker_become(mg_worker *w, mg_worker_state next);

// It takes no more requests.
static inline bool mg_worker_is_stopping(const mg_worker *w) {
    return w->state > MG_WORKER_SERVING;
}

// Gracefully. `idle_ms`: how long connections without a request are kept.
void mg_worker_stop(mg_worker *w, uint64_t idle_ms);
enum { MG_WORKER_IDLE_GRACE_MS = 20 }; // for a request that is on its way

// --- worker_scripts.c ---

void mg_worker_prepare(mg_worker *w, mg_message *m); // answers with READY or FAILED
void mg_worker_abandon(mg_worker *w);                // what has been prepared
void mg_worker_commit(mg_worker *w, uint32_t number);
void mg_worker_free_generations(mg_worker *w);

// What a script, here or in another worker, says of an upstream.
int mg_worker_order(void *worker, mg_str upstream, mg_str verb, mg_str what, mg_error *err);
void mg_worker_take_order(mg_worker *w, mg_str order);

// --- worker_server.c ---

uint64_t mg_worker_raise_descriptors(void); // as many as the system allows; returns the limit

// Makes the server if there is none yet, and lets it serve `g`.
void mg_worker_serve(mg_worker *w, mg_generation *g);

// --- worker_live.c: what outlives scripts ---

void mg_worker_begin_live(mg_worker *w);
void mg_worker_limit_live(mg_worker *w, const mg_config_limits *l);
void mg_worker_take_waker(mg_worker *w, mg_message *m);
// Topics reach the nodes that have that Redis (NULL: this one alone), which lives until this is
// said again.
void mg_worker_join_fleet(mg_worker *w, mg_redis *fleet);
void mg_worker_show_live(const mg_worker *w, mg_cell_topics *out);
void mg_worker_end_live(mg_worker *w); // the server has no connection any more, and no scripts

// --- worker_sockets.c ---

void mg_worker_begin_sockets(mg_worker *w); // behind mg_worker_begin_live
void mg_worker_limit_sockets(mg_worker *w, const mg_config_limits *l);
void mg_worker_show_sockets(const mg_worker *w, mg_cell_sockets out[MG_CELL_SOCKETS]);

// --- worker_logs.c ---

int mg_worker_open_logs(mg_worker *w, const mg_config_log *c, mg_error *err);
int mg_worker_open_stall(mg_worker *w, const mg_config_timeouts *c);
void mg_worker_take_logs(mg_worker *w); // those of the generation that serves now
void mg_worker_on_log(void *arg, const mg_log_event *event);
void mg_worker_on_warning(void *arg, const char *text);
void mg_worker_on_news(void *arg, const char *text);

// --- worker_cell.c ---

void mg_worker_begin_cell(mg_worker *w);
void mg_worker_fill_cell(mg_worker *w);
void mg_worker_show_traffic(mg_worker *w); // of its server, which is new
