// gate/jobs.h: which jobs (app:every) run in this worker, so that none runs twice: a lease in the
// shared memory for those that run once a service, and a list of runs in progress over all
// generations.
#pragma once

#include "base/shm.h"
#include "lua/vm.h"

typedef struct mg_jobs {
    mg_shm *shm;     // borrowed
    uint32_t holder; // slot + 1
    mg_link running;
} mg_jobs;

void mg_jobs_init(mg_jobs *j, mg_shm *shm, uint32_t slot);

// Runs of a generation that has gone are over, however they ended.
void mg_jobs_forget(mg_jobs *j, const mg_vm *vm);
void mg_jobs_deinit(mg_jobs *j);

// With an mg_jobs as the argument.
extern const mg_vm_jobs mg_jobs_seam;
