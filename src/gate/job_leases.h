// gate/job_leases.h: which node of a fleet runs a job (app:every): the one that holds its lease in
// Redis, a key with a token of its own that is renewed while it lives, and given back when it
// stops. Of the workers of a node that one asks which has the lease in the shared memory.
//
// While Redis cannot be asked a lease lasts until its time is over, and then nobody has it: whether
// another node runs the job is not known, so it does not run.
#pragma once

#include "base/error.h"
#include "event/timer.h"
#include "store/redis.h"

typedef struct mg_job_leases {
    mg_loop *loop; // NULL: none has been wanted
    mg_link list, leaving;
    mg_timer timer;
    char token[40];
    bool retired; // no more
    // Whether this worker is the one of its node.
    bool (*is_ours)(void *arg, mg_str name);
    void *arg;
} mg_job_leases;

void mg_job_leases_init(mg_job_leases *l, bool (*is_ours)(void *arg, mg_str name), void *arg);

// `owner` (an address that is compared) wants the lease of that job from now on: it is asked for.
void mg_job_leases_claim(mg_job_leases *l, mg_loop *loop, mg_redis *redis, mg_str name,
                         const void *owner);

// Whether the job may run now. One that is not claimed may.
bool mg_job_leases_has(mg_job_leases *l, mg_str name);

// What that owner claimed last is given back, or that job.
void mg_job_leases_forget(mg_job_leases *l, const void *owner);
void mg_job_leases_give_back(mg_job_leases *l, mg_str name);

// None is taken any more; all are given back, but for those of jobs that run: each when it ends.
void mg_job_leases_retire(mg_job_leases *l, bool (*is_running)(void *arg, mg_str name));

// Behind the end of every mg_redis: nothing is said any more.
void mg_job_leases_deinit(mg_job_leases *l);

// Tells of jobs that have not run since Redis could not be asked, once each time.
void mg_job_leases_tell(mg_job_leases *l, void (*on_news)(void *arg, const char *text), void *arg);
