// The places of workers: starting, watching, replacing them.

#include "gate/master_inside.h"

#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
    YOUNG_MS = 2000, // a worker that dies earlier is part of a crash loop
    FIRST_BACKOFF_MS = 100,
    MOST_BACKOFF_MS = 10000,
};

static void on_message(void *arg, mg_message *msg);
static void on_channel_end(void *arg);
static const mg_channel_events events = {on_message, on_channel_end};

mg_place *mg_place_at(mg_master *m, uint32_t slot) {
    if (m->places[slot] == NULL) {
        mg_place *p = mg_calloc(1, sizeof *p);
        p->master = m;
        p->slot = slot;
        p->lent_to = MG_NO_PLACE;
        m->places[slot] = p;
    }
    return m->places[slot];
}

// --- the death of a worker ---

static void close_channel(mg_place *p) {
    mg_channel_close(p->channel);
    p->channel = NULL;
}

static void on_restart(mg_timer *t) {
    mg_place *p = MG_OF(t, mg_place, restart);
    mg_master *m = p->master;
    p->restarts++;
    mg_place_start(p, m->snapshot, m->generation, (mg_str){0});
}

static void restart_later(mg_place *p, uint64_t lived_ms) {
    bool young = lived_ms < YOUNG_MS;
    if (!young) {
        p->backoff_ms = 0;
    } else {
        p->backoff_ms = p->backoff_ms == 0 ? FIRST_BACKOFF_MS : p->backoff_ms * 2;
        p->backoff_ms = p->backoff_ms < MOST_BACKOFF_MS ? p->backoff_ms : MOST_BACKOFF_MS;
    }
    p->state = MG_PLACE_WAITING;
    mg_timer_start(p->master->loop, &p->restart, p->backoff_ms, 0, on_restart);
}

static void on_death(mg_place *p, const char *how) {
    mg_master *m = p->master;
    mg_place_state before = p->state;
    uint64_t lived_ms = before == MG_PLACE_SERVING ? mg_loop_now_ms(m->loop) - p->since_ms : 0;
    close_channel(p);
    mg_lease_drop_all(m->shm, p->slot + 1);
    mg_cache_forget_worker(m->shm, mg_shm_cell(m->shm, p->slot)->pid);
    mg_shm_reset_cell(m->shm, p->slot);
    p->state = MG_PLACE_EMPTY;
    p->stuck = false;
    p->ready = 0;
    if (before == MG_PLACE_STOPPING || m->stopping) {
        mg_master_stop(m, false); // perhaps it was the last
        mg_places_lend(m);
        return;
    }
    if (m->generation > 0 && p->slot < m->wanted) {
        restart_later(p, lived_ms);
        mg_master_log(m, MG_LOG_ERROR, "worker %u %s%s%s; it is replaced in %.1f s", p->slot + 1,
                      how, p->fault != NULL ? ": " : "", p->fault != NULL ? p->fault : "",
                      (double)p->backoff_ms / 1000);
    }
    mg_free(p->fault);
    p->fault = NULL;
    mg_reload_on_death(m, p, how);
    mg_places_lend(m);
}

static void on_exit(void *arg, mg_process *process, int status) {
    mg_place *p = arg;
    char how[96];
    (void)process;
    p->process = NULL;
    mg_process_describe(status, how, sizeof how);
    if (p->killed) {
        snprintf(how, sizeof how, "was stuck for %.1f s and has been killed",
                 (double)p->stuck_ms / 1000);
    }
    on_death(p, how);
}

// The worker of this process has stopped: it is freed behind the loop.
static void on_inside_end(void *arg) {
    mg_place *p = arg;
    close_channel(p);
    p->state = MG_PLACE_EMPTY;
    mg_master_stop(p->master, false);
}

// The process ends soon, and is reaped then.
static void on_channel_end(void *arg) {
    close_channel(arg);
}

// --- starting ---

static int start_process(mg_place *p, int fd) {
    mg_master *m = p->master;
    char name[32];
    snprintf(name, sizeof name, "moongate: worker %u", p->slot + 1);
    char **argv = mg_calloc((size_t)m->argc + 1, sizeof *argv);
    memcpy(argv, m->argv, (size_t)m->argc * sizeof *argv);
    argv[0] = name;
    argv[1] = (char *)(uintptr_t)mg_cli_command_name(MG_COMMAND_WORKER);
    mg_process_options o = {
        .file = m->self, .argv = argv, .fds = &fd, .fd_count = 1, .in = -1, .out = -1, .err = -1};
    int rc = mg_process_start(&p->process, m->processes, &o, on_exit, p);
    mg_free(argv);
    close(fd);
    return rc;
}

static int start_inside(mg_place *p, int fd) {
    mg_master *m = p->master;
    static mg_worker_options o; // outlives the worker; there is one
    o = (mg_worker_options){
        .conf = m->cli->conf,
        .overrides = &m->cli->overrides,
        .alone = true,
        .dev = m->cli->command == MG_COMMAND_DEV,
    };
    return mg_worker_open(&p->inside, m->loop, fd, &o, on_inside_end, p);
}

void mg_place_start(mg_place *p, mg_snapshot *snapshot, uint32_t number, mg_str fault) {
    mg_master *m = p->master;
    int fds[2];
    int rc = mg_channel_pair(fds);
    if (rc == MG_OK) {
        rc = mg_channel_open(&p->channel, m->loop, fds[0], &events, p);
        if (rc == MG_OK) {
            rc = m->alone ? start_inside(p, fds[1]) : start_process(p, fds[1]);
        } else {
            close(fds[1]);
        }
    }
    p->state = MG_PLACE_STARTING;
    p->killed = false;
    p->stuck_ms = 0;
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "worker %u cannot be started: %s", p->slot + 1,
                      mg_strerror(rc));
        on_death(p, "could not be started");
        return;
    }
    mg_shm_mend(m->shm);
    mg_channel_send(p->channel,
                    &(mg_message){.type = MG_MESSAGE_BEGIN, .a = p->slot, .fd = mg_shm_fd(m->shm)});
    mg_sockets_tell(m, p);
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_PREPARE,
                                              .a = number,
                                              .fd = mg_snapshot_fd(snapshot),
                                              .text = fault});
}

void mg_place_serve(mg_place *p, uint32_t number) {
    mg_master *m = p->master;
    if (p->state == MG_PLACE_STARTING) {
        p->state = MG_PLACE_SERVING;
        p->since_ms = mg_loop_now_ms(m->loop);
        if (p->restarts > 0) {
            mg_master_log(m, MG_LOG_INFO, "worker %u serves again (pid %d, generation %u)",
                          p->slot + 1, p->process != NULL ? mg_process_pid(p->process) : getpid(),
                          number);
        }
    }
    mg_channel_tell(p->channel, MG_MESSAGE_COMMIT, number, 0);
}

void mg_place_stop(mg_place *p, bool gently) {
    mg_timer_stop(&p->restart);
    if (p->channel == NULL) {
        if (p->process == NULL && p->inside == NULL) {
            p->state = MG_PLACE_EMPTY;
        }
        return;
    }
    p->state = MG_PLACE_STOPPING;
    mg_channel_tell(p->channel, MG_MESSAGE_STOP, gently ? 1 : 0, 0);
}

// --- what a worker says ---

static void on_message(void *arg, mg_message *msg) {
    mg_place *p = arg;
    mg_master *m = p->master;
    if (msg->type == MG_MESSAGE_READY) {
        p->ready = msg->a;
        if (p->state == MG_PLACE_STARTING && msg->a == m->generation) {
            mg_place_serve(p, msg->a);
            mg_reload_on_serving(m, p);
            mg_places_lend(m);
        } else {
            mg_reload_on_ready(m, p, msg->a);
        }
    } else if (msg->type == MG_MESSAGE_FAILED) {
        if (p->state == MG_PLACE_STARTING && msg->a == m->generation) {
            mg_free(p->fault);
            p->fault = mg_strndup(msg->text.p, msg->text.n);
            mg_channel_tell(p->channel, MG_MESSAGE_STOP, 0, 0);
        } else {
            mg_reload_on_failed(m, p, msg->a, msg->text);
        }
    }
}

// --- watching ---

static void watch(mg_place *p, uint64_t gap_ms) {
    mg_master *m = p->master;
    mg_pulse *pulse = &mg_shm_cell(m->shm, p->slot)->pulse;
    uint64_t progress = atomic_load_explicit(&pulse->progress, memory_order_relaxed);
    bool busy = atomic_load_explicit(&pulse->busy_since_ms, memory_order_relaxed) != 0;
    bool stuck = busy && progress == p->progress;
    p->progress = progress;
    p->stuck_ms = stuck ? p->stuck_ms + gap_ms : 0;
    uint64_t warn_ms = m->config.timeouts.stall_warn_ms;
    uint64_t kill_ms = m->config.timeouts.stall_kill_ms;
    p->stuck = warn_ms > 0 && p->stuck_ms >= warn_ms;
    if (kill_ms > 0 && p->stuck_ms >= kill_ms && p->process != NULL && !p->killed) {
        mg_master_log(m, MG_LOG_ERROR, "worker %u (pid %d) is stuck for %.1f s: killed",
                      p->slot + 1, mg_process_pid(p->process), (double)p->stuck_ms / 1000);
        p->killed = true;
        mg_process_kill(p->process, SIGKILL);
    }
}

void mg_places_watch(mg_master *m, uint64_t gap_ms) {
    bool changed = false;
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        if (p != NULL && p->state == MG_PLACE_SERVING && !m->alone) {
            bool before = p->stuck;
            watch(p, gap_ms);
            if (before && !p->stuck) {
                mg_reload_on_serving(m, p);
            }
            changed = changed || before != p->stuck;
        }
    }
    if (changed) {
        mg_places_lend(m);
    }
}

// --- lending ---

static bool can_accept(const mg_place *p) {
    return p != NULL && p->state == MG_PLACE_SERVING && !p->stuck;
}

// Somebody who accepts for `slot`, spread over those who can.
static uint32_t substitute(const mg_master *m, uint32_t slot) {
    for (uint32_t i = 1; i < MG_SHM_CELLS; i++) {
        uint32_t other = (slot + i) % MG_SHM_CELLS;
        if (can_accept(m->places[other])) {
            return other;
        }
    }
    return MG_NO_PLACE;
}

static void lend(mg_master *m, mg_place *p) {
    uint32_t to = can_accept(p) ? MG_NO_PLACE : substitute(m, p->slot);
    if (to == MG_NO_PLACE && !can_accept(p)) {
        return; // nobody is better: it stays as it is
    }
    if (to != MG_NO_PLACE) {
        mg_channel_tell(m->places[to]->channel, MG_MESSAGE_ACCEPT, p->slot, 1);
    }
    const mg_place *old = p->lent_to == MG_NO_PLACE ? NULL : m->places[p->lent_to];
    if (old != NULL && p->lent_to != to) {
        mg_channel_tell(old->channel, MG_MESSAGE_ACCEPT, p->slot, 0);
    }
    p->lent_to = to;
}

void mg_places_lend(mg_master *m) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL) {
            lend(m, m->places[slot]);
        }
    }
}

// --- all of them ---

bool mg_places_alive(const mg_master *m) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        if (p != NULL && (p->process != NULL || p->channel != NULL)) {
            return true;
        }
    }
    return false;
}

void mg_places_kill(mg_master *m) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        if (p != NULL && p->process != NULL) {
            mg_process_kill(p->process, SIGKILL);
        }
    }
}

void mg_places_free(mg_master *m) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        if (p != NULL) {
            mg_timer_stop(&p->restart);
            mg_worker_free(p->inside);
            mg_channel_close(p->channel);
            mg_free(p->fault);
            mg_free(p);
            m->places[slot] = NULL;
        }
    }
}
