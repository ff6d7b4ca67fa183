// gate/master_acme.h: the master's side of the process that asks for certificates: it is there
// while any is wanted, what it shows is shown by all workers, and what has been issued is served.
#pragma once

#include "base/buf.h"
#include "event/process.h"
#include "event/timer.h"
#include "gate/channel.h"
#include "gate/helper.h"

typedef struct mg_master mg_master;

// How a certificate stands, as the process told it.
typedef struct mg_acme_state {
    char *name;
    char *json;
} mg_acme_state;

typedef struct mg_master_acme {
    mg_buf wishes; // gate/acme_wishes.h: what the process was started for; empty: none is
    mg_process *process;
    mg_channel *channel; // NULL: it is not there, or ends
    mg_timer restart;
    uint64_t backoff_ms;
    mg_buf challenge; // what workers show; empty: nothing
    mg_acme_state *states;
    size_t state_count;
    bool due; // other certificates than those that are served
    mg_helper *reader;
    int read_fd; // of what it reads; -1: none
} mg_master_acme;

void mg_acme_init(mg_master *m);

// A generation serves: the process is there as that wants it. One that is wanted as before stays.
void mg_acme_fit(mg_master *m);

void mg_acme_tell(const mg_master *m, mg_channel *worker); // to a new one
void mg_acme_look(mg_master *m);                           // once a tick: serves what was issued
void mg_acme_reopen(const mg_master *m);                   // log files
void mg_acme_end(mg_master *m);
