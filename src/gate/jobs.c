#include "gate/jobs.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdio.h>

enum {
    LATE_PERIODS = 3,
    LEAST_LATE_MS = 1000, // a job of every few milliseconds is not worth a line each
};

typedef struct running_job {
    mg_link link;
    const mg_vm *vm;
    char *name;
    char *where;
    double seconds;
    uint64_t since_ms;
    uint64_t late_ms; // it is told when it has run for so long
} running_job;

typedef struct tick {
    mg_link link;
    const mg_vm *vm; // whose scripts wait for it
    char *name;
    uint64_t due_ms;
} tick;

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
    mg_free(r->where);
    mg_free(r);
}

static bool is_ours(void *arg, mg_str name) {
    const mg_jobs *j = arg;
    return mg_lease_take(j->shm, name, j->holder);
}

static bool is_running(void *arg, mg_str name) {
    return find(arg, name) != NULL;
}

static void claim(void *arg, const mg_vm *vm, mg_str name) {
    mg_jobs *j = arg;
    if (vm->services->fleet != NULL) {
        mg_job_leases_claim(&j->leases, vm->loop, vm->services->fleet, name, vm);
    }
}

static bool begin(void *arg, const mg_vm *vm, const mg_vm_job *job) {
    mg_jobs *j = arg;
    if (find(j, job->name) != NULL || (!job->each_worker && !is_ours(j, job->name)) ||
        (!job->each_worker && !mg_job_leases_has(&j->leases, job->name))) {
        return false;
    }
    running_job *r = mg_calloc(1, sizeof *r);
    double late_ms = job->seconds * 1000 * LATE_PERIODS;
    r->vm = vm;
    r->name = mg_strndup(job->name.p, job->name.n);
    r->where = mg_strndup(job->where.p, job->where.n);
    r->seconds = job->seconds;
    r->since_ms = mg_loop_now_ms(vm->loop);
    r->late_ms = late_ms > LEAST_LATE_MS ? (uint64_t)late_ms : LEAST_LATE_MS;
    mg_link_init(&r->link);
    mg_link_append(&j->running, &r->link);
    return true;
}

static void end(void *arg, const mg_vm *vm, mg_str name) {
    mg_jobs *j = arg;
    running_job *r = find(j, name);
    if (r != NULL && r->vm == vm) {
        drop(r);
        if (j->leases.retired) {
            mg_job_leases_give_back(&j->leases, name);
        }
    }
}

// --- ticks ---

static void drop_tick(tick *t) {
    mg_link_remove(&t->link);
    mg_free(t->name);
    mg_free(t);
}

static tick *tick_of(mg_jobs *j, mg_str name) {
    for (mg_link *l = j->ticks.next; l != &j->ticks; l = l->next) {
        tick *t = MG_OF(l, tick, link);
        if (mg_str_eq(mg_str_of(t->name), name)) {
            return t;
        }
    }
    tick *t = mg_calloc(1, sizeof *t);
    t->name = mg_strndup(name.p, name.n);
    mg_link_init(&t->link);
    mg_link_append(&j->ticks, &t->link);
    return t;
}

// What the scripts of before waited for comes at its time, or at once if that has passed meanwhile.
static double wait(void *arg, const mg_vm *vm, mg_str name, double seconds) {
    tick *t = tick_of(arg, name);
    uint64_t now = mg_loop_now_ms(vm->loop);
    double period_ms = seconds * 1000;
    double wait_ms = period_ms;
    if (t->vm != NULL && t->vm != vm) {
        wait_ms = t->due_ms > now ? (double)(t->due_ms - now) : 0;
        wait_ms = wait_ms < period_ms ? wait_ms : period_ms;
    }
    t->vm = vm;
    t->due_ms = now + (uint64_t)wait_ms;
    return wait_ms / 1000;
}

const mg_vm_jobs mg_jobs_seam = {begin, end, wait, claim};

// --- those that do not end ---

void mg_jobs_show(const mg_jobs *j, mg_cell_job cells[MG_CELL_JOBS]) {
    mg_cell_job *at = cells;
    mg_cell_job *stop = cells + MG_CELL_JOBS;
    for (mg_link *l = j->running.next; l != &j->running && at < stop; l = l->next) {
        const running_job *r = MG_OF(l, running_job, link);
        snprintf(at->name, sizeof at->name, "%s", r->name);
        at->since_ms = r->since_ms;
        at++;
    }
    while (at < stop) {
        *at++ = (mg_cell_job){.since_ms = 0};
    }
}

void mg_jobs_look(mg_jobs *j, uint64_t now_ms, void (*on_late)(void *arg, const char *text),
                  void *arg) {
    for (mg_link *l = j->running.next; l != &j->running; l = l->next) {
        running_job *r = MG_OF(l, running_job, link);
        uint64_t ran_ms = now_ms - r->since_ms;
        if (ran_ms >= r->late_ms) {
            mg_error text;
            mg_error_set(&text, MG_OK,
                         "job %s (%s) has run for %.1f s and does not tick meanwhile: its period "
                         "is %g s",
                         r->name, r->where, (double)ran_ms / 1000, r->seconds);
            r->late_ms = 2 * ran_ms;
            on_late(arg, text.text);
        }
    }
    mg_job_leases_tell(&j->leases, on_late, arg);
}

// --- life ---

void mg_jobs_init(mg_jobs *j, mg_shm *shm, uint32_t slot) {
    *j = (mg_jobs){.shm = shm, .holder = slot + 1};
    mg_link_init(&j->running);
    mg_link_init(&j->ticks);
    mg_job_leases_init(&j->leases, is_ours, j);
}

void mg_jobs_retire(mg_jobs *j) {
    mg_job_leases_retire(&j->leases, is_running);
}

void mg_jobs_forget(mg_jobs *j, const mg_vm *vm) {
    mg_link *next;
    if (vm != NULL) {
        mg_job_leases_forget(&j->leases, vm);
    }
    for (mg_link *l = j->running.next; l != &j->running; l = next) {
        next = l->next;
        running_job *r = MG_OF(l, running_job, link);
        if (vm == NULL || r->vm == vm) {
            drop(r);
        }
    }
    for (mg_link *l = j->ticks.next; l != &j->ticks; l = next) {
        next = l->next;
        tick *t = MG_OF(l, tick, link);
        if (vm == NULL || t->vm == vm) {
            drop_tick(t); // no newer scripts declare it
        }
    }
}

void mg_jobs_deinit(mg_jobs *j) {
    mg_jobs_forget(j, NULL);
    mg_job_leases_deinit(&j->leases);
}
