// base/shm.h: memory that a master and its workers share: one cell for each worker, leases, and
// room for a cache, for what is known of upstreams, and for what workers publish to each other.
//
// One memfd mapping, made before the workers. Every word has one writer, or is changed by
// compare-and-swap: a process may die at any instruction.
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdatomic.h>

// A sign of life of a loop.
typedef struct mg_pulse {
    _Atomic uint64_t busy_since_ms; // monotonic; 0: the loop waits in its poll
    _Atomic uint64_t progress;      // changes whenever the loop gets on: a new turn, a new request
} mg_pulse;

typedef struct mg_traffic {
    uint64_t connections; // open now
    uint64_t accepted;
    uint64_t requests;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t failed_handshakes; // of TLS
} mg_traffic;

enum {
    MG_CELL_GENERATIONS = 8,
    MG_CELL_JOBS = 8,
    MG_CELL_REDIS = 4,
    MG_CELL_NAME = 56,
    MG_CELL_SOCKETS = 16,
    MG_SHM_CELLS = 256,
    MG_SHM_LEASES = 256,
    MG_SHM_VERSION = 8,
    MG_SHM_TICKET_BYTES = 512,
    MG_SHM_PROXY_BYTES = 24 << 20, // of addresses; what nobody touches takes no memory
    MG_SHM_LIVE_BYTES = 520 << 20, // likewise
};

typedef struct mg_cell_generation {
    uint32_t number; // 0: none
    uint32_t requests, streams, background;
} mg_cell_generation;

// WebSockets of a route that one generation serves. The last of a full list is all the others.
typedef struct mg_cell_sockets {
    char route[MG_CELL_NAME]; // cut to fit; "": none
    uint32_t generation, count;
} mg_cell_sockets;

typedef struct mg_cell_job {
    char name[MG_CELL_NAME]; // cut to fit; "": none
    uint64_t since_ms;       // monotonic
} mg_cell_job;

typedef struct mg_cell_redis {
    char name[MG_CELL_NAME]; // cut to fit; "": none
    char state[16];
    uint32_t waiting; // commands
} mg_cell_redis;

// What is published in a worker, and by whom it is heard.
typedef struct mg_cell_topics {
    uint64_t event_streams, topics; // now
    uint64_t published, delivered;
    uint64_t lost; // that other workers published faster than this one took them
    uint64_t slow; // event streams that were cut off for being slow
} mg_cell_topics;

// Written by its worker alone, but for the reset.
typedef struct mg_cell {
    _Alignas(64) mg_pulse pulse;
    mg_traffic traffic;
    uint64_t lua_bytes;
    uint64_t started_wall_ms;
    uint32_t pid, generation;
    mg_cell_generation generations[MG_CELL_GENERATIONS]; // that still live, the current one first
    mg_cell_job jobs[MG_CELL_JOBS];                      // that run
    mg_cell_redis redis[MG_CELL_REDIS];                  // how the services stand
    mg_cell_topics topics;
    mg_cell_sockets sockets[MG_CELL_SOCKETS]; // open WebSockets
} mg_cell;

typedef struct mg_shm mg_shm;

// Makes and maps it. A negative errno and a text.
int mg_shm_new(mg_shm **out, size_t cache_bytes, mg_error *err);

// Maps what another process made. `fd` is taken, also if this fails. MG_ESYNTAX and a text if
// magic, version or size are not what this build writes.
int mg_shm_open(mg_shm **out, int fd, mg_error *err);
void mg_shm_free(mg_shm *s); // unmaps; accepts NULL

// Writes again what others check when they open it: one of them may have scribbled on it.
void mg_shm_mend(mg_shm *s);

int mg_shm_fd(const mg_shm *s); // borrowed

// Which node this is, among all that share a store: a number that was drawn when it was made.
uint64_t mg_shm_node(const mg_shm *s);

mg_cell *mg_shm_cell(mg_shm *s, uint32_t index); // index < MG_SHM_CELLS

// A new worker takes the place: all is zero but the counters that only grow.
void mg_shm_reset_cell(mg_shm *s, uint32_t index);

// Room for the keys of session tickets (event/ticket_ring.h), zeroed at first.
void *mg_shm_tickets(mg_shm *s);

// Page-aligned room; NULL if none was asked for.
void *mg_shm_cache(mg_shm *s, size_t *bytes);

// Page-aligned room of MG_SHM_PROXY_BYTES for proxy/shared.h, zero at first.
void *mg_shm_proxy(mg_shm *s);

// The same, of MG_SHM_LIVE_BYTES, for live/ring.c.
void *mg_shm_live(mg_shm *s);

// Leases: a name is held by one worker at a time, until it is dropped. `holder` is 1
// to MG_SHM_CELLS: another number is what somebody scribbled, and holds nothing.
// True: `holder` has it now, or had it. False: someone else has, or there are too many names (a
// name's place is never given back).
bool mg_lease_take(mg_shm *s, mg_str name, uint32_t holder);
void mg_lease_drop(mg_shm *s, mg_str name, uint32_t holder); // nothing if it is not the holder
void mg_lease_drop_all(mg_shm *s, uint32_t holder);          // its worker is dead
