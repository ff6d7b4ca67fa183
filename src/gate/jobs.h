// gate/jobs.h: which jobs (app:every) run in this worker, so that none runs twice: a lease in the
// shared memory for those that run once a service, a list of runs in progress over all generations,
// and when each ticks next, which a reload does not change. Where the cache is a Redis, once a
// service is once a fleet (gate/job_leases.h).
#pragma once

#include "base/shm.h"
#include "gate/job_leases.h"
#include "lua/vm.h"

typedef struct mg_jobs {
    mg_shm *shm;     // borrowed
    uint32_t holder; // slot + 1
    mg_link running;
    mg_link ticks;
    mg_job_leases leases;
} mg_jobs;

void mg_jobs_init(mg_jobs *j, mg_shm *shm, uint32_t slot);

// Runs of a generation that has gone are over, however they ended.
void mg_jobs_forget(mg_jobs *j, const mg_vm *vm);
void mg_jobs_deinit(mg_jobs *j);

// The worker stops: what runs may end, and other nodes may run the rest at once.
void mg_jobs_retire(mg_jobs *j);

// Tells what runs to `cells`, as far as there is room.
void mg_jobs_show(const mg_jobs *j, mg_cell_job cells[MG_CELL_JOBS]);

// Calls `on_late` for each run that has lasted for several of its periods, and again whenever that
// has doubled; and for each job that does not run since nobody knows whether another node does. To
// be called from time to time.
void mg_jobs_look(mg_jobs *j, uint64_t now_ms, void (*on_late)(void *arg, const char *text),
                  void *arg);

// With an mg_jobs as the argument.
extern const mg_vm_jobs mg_jobs_seam;
