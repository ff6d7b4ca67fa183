// proxy/shared.h: what all workers know of upstreams and their servers: cells in the mapping that
// master and workers share. It outlives reloads and workers, and a new worker finds it there.
//
// A cell is found by the name of its upstream and, of a server, by its address. Whoever uses one
// holds it; a cell that no worker holds keeps what it knows until its place is needed for another.
// A process may die at any instruction: each word is changed by compare-and-swap, or written by one
// worker alone, and what takes more words is done under a lock that outlives its holder. What a
// worker counts lies in rows of its own, which the master wipes when that worker has died.
//
// An mg_shared is one process's view and owns nothing of the room. If no place is left, what is
// held is a cell of this process alone: all works, but is not shared.
#pragma once

#include "base/lock.h"
#include "base/str.h"
#include "proxy/shared_count.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MG_SHARED_WORKERS = 256, // as many as base/shm.h has cells
    MG_SHARED_SERVERS = 2048,
    MG_SHARED_UPSTREAMS = 256,
    MG_SHARED_NAME = 56,
    MG_SHARED_ADDRESS = 104,
};

// Of a server, in all workers. Packed words are for the files that they name. Times:
// mg_loop_now_ms.
typedef struct mg_server_cell {
    char upstream[MG_SHARED_NAME];   // cut to fit; does not change while anybody holds the cell
    char address[MG_SHARED_ADDRESS]; // so does this
    _Atomic uint64_t health;         // proxy/verdict.h
    _Atomic uint64_t check_ms;       // proxy/health.h: the next check is due
    _Atomic uint64_t ejection;       // proxy/outlier.h
    _Atomic uint64_t slow_since_ms;  // its slow start began; 0: it never had one
    _Atomic uint64_t latency;        // proxy/balance.h: its moving average
    _Atomic uint64_t last_us;        // proxy/balance.h: how long its last answer took
    _Atomic uint64_t failing;        // proxy/balance.h: since when, and how often; 0: it is well
    _Atomic uint64_t draining;       // proxy/state.h: why it takes nothing new; 0: it does
    _Atomic uint64_t logged;         // proxy/changes.h: which log lines were written lately
} mg_server_cell;

typedef struct mg_upstream_cell {
    char name[MG_SHARED_NAME];
    mg_lock deciding;         // for decisions that look at all servers: ejection
    _Atomic uint64_t circuit; // proxy/circuit.h: state and until when
    _Atomic uint64_t results; // proxy/circuit.h: how the last requests ended
    _Atomic uint64_t budget;  // proxy/budget.h: what failed retries cost
    _Atomic uint64_t logged;  // proxy/changes.h
} mg_upstream_cell;

// What one worker counts of a server. Written by that worker alone; `in_flight` and `members` end
// with it, the others only grow while the worker lives.
typedef struct mg_server_counts {
    _Atomic uint32_t in_flight; // tries
    _Atomic uint32_t members;   // of sets that it is a server of
    _Atomic uint64_t tries, failed;
    _Atomic uint64_t reused; // tries that needed no new connection
} mg_server_counts;

typedef struct mg_upstream_counts {
    _Atomic uint32_t in_flight; // tries
    _Atomic uint32_t waiting;   // requests that no server could take yet
    _Atomic uint32_t extra;     // of those in flight, retries and hedges
    _Atomic uint64_t requests, retries, hedges, mirrored, mirror_dropped, refused;
} mg_upstream_counts;

typedef struct mg_shared mg_shared;

// A hold on a cell, in the caller's memory; it may not be moved. `own` are this worker's counts.
typedef struct mg_server_hold {
    mg_shared *shared;
    mg_server_cell *cell;
    mg_server_counts *own;
    uint32_t place; // MG_SHARED_SERVERS: a cell of this process alone
} mg_server_hold;

typedef struct mg_upstream_hold {
    mg_shared *shared;
    mg_upstream_cell *cell;
    mg_upstream_counts *own;
    uint32_t place;
} mg_upstream_hold;

size_t mg_shared_bytes(void); // that the room takes

// A view for worker number `worker` (< MG_SHARED_WORKERS) of a room that was zero at first, begins
// at a multiple of 64 and is borrowed. `room` NULL: one of this process alone, which the view owns.
mg_shared *mg_shared_new(void *room, uint32_t worker);

// Nothing of it may be held any more. Accepts NULL.
void mg_shared_free(mg_shared *s);

// Holds a cell, which is made if there is none: then `*h` is true of nothing yet. Texts are
// borrowed for the call. False: it is a cell of this process alone (no place is left, or a process
// that was stopped while it looked for one is in the way), as it always is of hold_private.
bool mg_shared_hold_server(mg_shared *s, mg_str upstream, mg_str address, mg_server_hold *h);
void mg_shared_hold_private(mg_shared *s, mg_str upstream, mg_str address, mg_server_hold *h);
bool mg_shared_hold_upstream(mg_shared *s, mg_str name, mg_upstream_hold *h);

// Nothing may be under way on it any more. Its cell is not touched again.
void mg_shared_drop_server(mg_server_hold *h);
void mg_shared_drop_upstream(mg_upstream_hold *h);

uint32_t mg_server_in_flight(const mg_server_hold *h); // this and the next, over all workers
uint32_t mg_server_members(const mg_server_hold *h);
typedef struct mg_upstream_sums {
    uint32_t in_flight, waiting, extra;
} mg_upstream_sums;
mg_upstream_sums mg_upstream_sum(const mg_upstream_hold *h);

// --- the master's part; `room` as above ---

// The worker is dead: what it held and had in flight is forgotten; what it counted in all remains.
void mg_shared_forget_worker(void *room, uint32_t worker);

// What `moongate status` shows: each cell that a worker holds, with its counts over all workers.
typedef struct mg_server_view {
    const mg_server_cell *cell;
    uint32_t in_flight;
    uint64_t tries, failed, reused;
} mg_server_view;
typedef struct mg_upstream_view {
    const mg_upstream_cell *cell;
    mg_upstream_sums now;
    uint64_t requests, retries, hedges, mirrored, mirror_dropped, refused;
} mg_upstream_view;

// The first one that is held at or behind `*place`, which moves on behind it. False: no more.
bool mg_shared_next_server(void *room, uint32_t *place, mg_server_view *out);
bool mg_shared_next_upstream(void *room, uint32_t *place, mg_upstream_view *out);
