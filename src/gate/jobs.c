#include "gate/jobs.h"

#include "base/mem.h"

typedef struct running_job {
    mg_link link;
    const mg_vm *vm;
    char *name;
} running_job;

static running_job *find(const mg_jobs *j, mg_str name) {
    for (mg_link *l = j->running.next; l != &j->running; l = l->next) {
        running_job *r = MG_OF(l, running_job, link);
        if (mg_str_eq(mg_str_of(r->name), name)) {
            return r;
        }
    }
    return NULL;
}

static void drop(running_job *r) {
    mg_link_remove(&r->link);
    mg_free(r->name);
    mg_free(r);
}

static bool begin(void *arg, const mg_vm *vm, mg_str name, bool each_worker) {
    mg_jobs *j = arg;
    if (find(j, name) != NULL || (!each_worker && !mg_lease_take(j->shm, name, j->holder))) {
        return false;
    }
    running_job *r = mg_calloc(1, sizeof *r);
    r->vm = vm;
    r->name = mg_strndup(name.p, name.n);
    mg_link_init(&r->link);
    mg_link_append(&j->running, &r->link);
    return true;
}

static void end(void *arg, const mg_vm *vm, mg_str name) {
    running_job *r = find(arg, name);
    if (r != NULL && r->vm == vm) {
        drop(r);
    }
}

const mg_vm_jobs mg_jobs_seam = {begin, end};

void mg_jobs_init(mg_jobs *j, mg_shm *shm, uint32_t slot) {
    *j = (mg_jobs){.shm = shm, .holder = slot + 1};
    mg_link_init(&j->running);
}

void mg_jobs_forget(mg_jobs *j, const mg_vm *vm) {
    mg_link *next;
    for (mg_link *l = j->running.next; l != &j->running; l = next) {
        next = l->next;
        running_job *r = MG_OF(l, running_job, link);
        if (vm == NULL || r->vm == vm) {
            drop(r);
        }
    }
}

void mg_jobs_deinit(mg_jobs *j) {
    mg_jobs_forget(j, NULL);
}
