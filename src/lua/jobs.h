// lua/jobs.h: who may run a job of the scripts: the seam to whoever sees all workers.
#pragma once

#include "base/str.h"

typedef struct mg_vm mg_vm;

typedef struct mg_vm_job {
    mg_str name, where;
    bool each_worker;
    double seconds;
} mg_vm_job;

// Who may run a job by name. `begin` false: someone else has it; `end` for each that has begun.
// `wait`: seconds until the next tick of a job that ticks every `seconds`. `claim`: one that runs
// once a service is declared.
typedef struct mg_vm_jobs {
    bool (*begin)(void *arg, const mg_vm *vm, const mg_vm_job *job);
    void (*end)(void *arg, const mg_vm *vm, mg_str name);
    double (*wait)(void *arg, const mg_vm *vm, mg_str name, double seconds);
    void (*claim)(void *arg, const mg_vm *vm, mg_str name);
} mg_vm_jobs;
