// gate/master_inside.h: what gate/master*.c and gate/reload*.c know of each other.
#pragma once

#include "base/shm.h"
#include "base/snapshot.h"
#include "event/process.h"
#include "event/signal.h"
#include "event/tls_store.h"
#include "gate/channel.h"
#include "gate/cli.h"
#include "gate/control.h"
#include "gate/dev.h"
#include "gate/generation.h"
#include "gate/lending.h"
#include "gate/logs.h"
#include "gate/master_acme.h"
#include "gate/master_keys.h"
#include "gate/orders.h"
#include "gate/place_life.h"
#include "gate/reload_queue.h"
#include "gate/worker.h"

typedef struct mg_master mg_master;
typedef struct mg_reload mg_reload;

// A place that a worker fills. Never moves.
typedef struct mg_place {
    mg_master *master;
    uint32_t slot;
    mg_place_life life;
    mg_process *process; // NULL: none, or the worker lives in this process
    mg_worker *inside;   // likewise
    mg_channel *channel;
    uint32_t asked; // the generation that it is to prepare for a reload
    uint32_t ready; // the generation that it has prepared
    mg_timer restart;
    char *fault; // why its last start failed
    int waker;   // an eventfd for all workers (live/ring.h); -1: there is none
} mg_place;

typedef struct mg_master_socket {
    uint32_t id;
    uint32_t slot; // or MG_SLOT_ALL
    int fd;
    char *address;  // as the configuration says it: by this it is known
    char *endpoint; // all that the configuration says of it (config/endpoint.h)
    char *shown;    // the address as bound
    bool is_unix, listening, leaving;
} mg_master_socket;

struct mg_master {
    const mg_cli *cli;
    char *self; // path of the program
    char **argv;
    int argc;
    mg_loop *loop;
    mg_processes *processes;
    mg_shm *shm;
    mg_logs logs; // without an access log
    mg_signal *signals[8];
    mg_timer tick;
    uint64_t ticked_ms;

    mg_config config; // of the generation that serves
    bool has_config;
    mg_snapshot *snapshot;
    mg_tls_store *keys; // NULL: no endpoint speaks TLS
    mg_master_acme acme;
    mg_buf throwaway; // dev --tls: a certificate and its key
    uint64_t rotated_ms;
    uint32_t generation; // 0: none yet
    uint32_t last_number;
    uint64_t started_ms;

    mg_place *places[MG_SHM_CELLS];
    mg_lending lending;
    uint32_t wanted; // workers: places 0 to wanted - 1
    bool alone;      // the worker lives in this process
    mg_master_socket *sockets;
    size_t socket_count;
    uint32_t next_socket;

    mg_reload *reload; // under way
    mg_reload_queue waiting;
    uint64_t ring_seed[2]; // of its workers (live/ring.h)
    mg_orders orders;      // of scripts, for upstreams: workers to come are told
    mg_control *control;
    bool control_waits; // another server has its place
    uint64_t control_asked_ms;
    mg_dev *dev;

    bool stopping, had_terminal, hup_ignored;
    mg_timer stop_timer;
    int exit_status;
};

void mg_master_log(mg_master *m, mg_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void mg_master_log_lines(mg_master *m, mg_log_level level, mg_str lines);

// The command line again, as another command and with one more word unless that is NULL; to be
// freed as an array.
char **mg_master_argv(const mg_master *m, mg_command command, const char *more);

// Gracefully; a second time, or `now`: at once.
void mg_master_ask_stop(mg_master *m, bool now);

// A worker has gone, perhaps the last one; `now`: it ends anyway.
void mg_master_stop(mg_master *m, bool now);

// --- master_control.c ---

void mg_master_open_control(mg_master *m, const char *configured);
void mg_master_await_control(mg_master *m); // again if it was taken; from time to time
void mg_master_watch_scripts(mg_master *m); // dev

// --- master_places.c ---

mg_place *mg_place_at(mg_master *m, uint32_t slot); // made if need be
// `fault`: dev: what it serves, since the scripts cannot be loaded; else empty.
void mg_place_start(mg_place *p, mg_snapshot *snapshot, uint32_t number, mg_str fault);
void mg_place_serve(mg_place *p, uint32_t number); // it has prepared it: go
void mg_place_stop(mg_place *p, bool gently);      // for good
void mg_places_watch(mg_master *m, uint64_t gap_ms);
void mg_places_lend(mg_master *m); // sees to it that every socket has somebody who accepts
bool mg_places_alive(const mg_master *m);
void mg_places_kill(mg_master *m);
void mg_places_free(mg_master *m);

// --- master_sockets.c ---

// Binds what `c` asks for and is not there yet, for `workers` slots. On a fault what is new is
// closed again.
int mg_sockets_plan(mg_master *m, const mg_config *c, uint32_t workers, mg_error *err);
void mg_sockets_abandon(mg_master *m);

// The plan comes true, as `m->config` has it: what is new listens and is told to all places; what
// has left is forgotten; what stays and is to be otherwise keeps its socket.
void mg_sockets_commit(mg_master *m, mg_buf *changes);
void mg_sockets_tell(mg_master *m, const mg_place *p); // all, to a new worker
void mg_sockets_close(mg_master *m, bool unlink_paths);

// --- reload.c, reload_prepare.c ---

void mg_reload_ask(mg_master *m, const mg_reload_request *r);
void mg_reload_on_serving(mg_master *m, mg_place *p); // it came too late to be asked
void mg_reload_on_ready(mg_master *m, mg_place *p, uint32_t number);
void mg_reload_on_failed(mg_master *m, mg_place *p, uint32_t number, mg_str why);
void mg_reload_on_death(mg_master *m, mg_place *p, const char *how);
void mg_reload_end(mg_master *m); // the master stops
