// The places of workers: starting, watching, replacing them.

#include "gate/master_inside.h"

#include "base/mem.h"
#include "live/ring.h"
#include "proxy/shared.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_message(void *arg, mg_message *msg);
static void on_channel_end(void *arg);
static const mg_channel_events events = {on_message, on_channel_end};

// --- places ---

static void tell_waker(const mg_place *to, const mg_place *of) {
    if (to->channel != NULL && of->waker >= 0) {
        mg_channel_send(to->channel,
                        &(mg_message){.type = MG_MESSAGE_WAKER, .a = of->slot, .fd = of->waker});
    }
}

static void tell_wakers(const mg_master *m, const mg_place *to) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL) {
            tell_waker(to, m->places[slot]);
        }
    }
}

// It stays with the place, whoever works there. Without one its worker is told nothing of what
// others publish.
static void make_waker(mg_master *m, mg_place *p) {
    p->waker = m->alone ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!m->alone && p->waker < 0) {
        mg_master_log(m, MG_LOG_ERROR, "worker %u hears of no topics: %s", p->slot + 1,
                      mg_strerror(-errno));
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL) {
            tell_waker(m->places[slot], p);
        }
    }
}

mg_place *mg_place_at(mg_master *m, uint32_t slot) {
    if (m->places[slot] == NULL) {
        mg_place *p = mg_calloc(1, sizeof *p);
        p->master = m;
        p->slot = slot;
        m->places[slot] = p;
        make_waker(m, p);
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
    mg_place_start(p, p->master->snapshot, p->master->generation, (mg_str){0});
}

// Nothing of it is left for the next worker of the place.
static void clear(mg_place *p) {
    mg_shm *shm = p->master->shm;
    close_channel(p);
    mg_lease_drop_all(shm, p->slot + 1);
    mg_cache_forget_worker(shm, mg_shm_cell(shm, p->slot)->pid);
    mg_shared_forget_worker(mg_shm_proxy(shm), p->slot);
    mg_ring_forget_worker(shm, p->slot);
    mg_shm_reset_cell(shm, p->slot);
    p->ready = 0;
}

static void restart_later(mg_place *p, const char *how) {
    mg_master *m = p->master;
    mg_timer_start(m->loop, &p->restart, p->life.backoff_ms, 0, on_restart);
    mg_master_log(m, MG_LOG_ERROR, "worker %u %s%s%s; it is replaced in %.1f s", p->slot + 1, how,
                  p->fault != NULL ? ": " : "", p->fault != NULL ? p->fault : "",
                  (double)p->life.backoff_ms / 1000);
}

static void on_death(mg_place *p, const char *how) {
    mg_master *m = p->master;
    bool wanted = m->generation > 0 && p->slot < m->wanted && !m->stopping;
    bool told_to = p->life.state == MG_PLACE_STOPPING || m->stopping;
    clear(p);
    mg_place_life_die(&p->life, wanted, mg_loop_now_ms(m->loop));
    if (told_to) {
        if (wanted) { // again, by a reload since
            mg_place_start(p, m->snapshot, m->generation, (mg_str){0});
        }
        mg_master_stop(m, false); // perhaps it was the last
        mg_places_lend(m);
        return;
    }
    if (p->life.state == MG_PLACE_WAITING) {
        restart_later(p, how);
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
    if (p->life.killed) {
        snprintf(how, sizeof how, "was stuck for %.1f s and has been killed",
                 (double)p->life.stuck_ms / 1000);
    }
    on_death(p, how);
}

// The worker of this process has stopped: it is freed behind the loop.
static void on_inside_end(void *arg) {
    mg_place *p = arg;
    close_channel(p);
    mg_place_life_die(&p->life, false, 0);
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
    char **argv = mg_master_argv(m, MG_COMMAND_WORKER, NULL);
    argv[0] = name;
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

static void send_order(mg_place *p, mg_str order) {
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_ORDER, .fd = -1, .text = order});
}

static void tell_orders(mg_place *p) {
    const mg_orders *o = &p->master->orders;
    for (size_t i = 0; i < o->n; i++) {
        send_order(p, mg_buf_str(&o->texts[i]));
    }
}

void mg_place_start(mg_place *p, mg_snapshot *snapshot, uint32_t number, mg_str fault) {
    mg_master *m = p->master;
    int fds[2];
    mg_place_life_start(&p->life);
    int rc = mg_channel_pair(fds);
    if (rc == MG_OK) {
        rc = mg_channel_open(&p->channel, m->loop, fds[0], &events, p);
        if (rc == MG_OK) {
            rc = m->alone ? start_inside(p, fds[1]) : start_process(p, fds[1]);
        } else {
            close(fds[1]);
        }
    }
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "worker %u cannot be started: %s", p->slot + 1,
                      mg_strerror(rc));
        on_death(p, "could not be started");
        return;
    }
    mg_shm_mend(m->shm);
    mg_ring_prepare(m->shm, m->ring_seed);
    mg_channel_send(p->channel,
                    &(mg_message){.type = MG_MESSAGE_BEGIN, .a = p->slot, .fd = mg_shm_fd(m->shm)});
    tell_wakers(m, p);
    mg_keys_tell(m, p);
    mg_sockets_tell(m, p);
    mg_acme_tell(m, p->channel);
    tell_orders(p);
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_PREPARE,
                                              .a = number,
                                              .fd = mg_snapshot_fd(snapshot),
                                              .text = fault});
}

void mg_place_serve(mg_place *p, uint32_t number) {
    mg_master *m = p->master;
    if (mg_place_life_serve(&p->life, mg_loop_now_ms(m->loop)) && p->life.restarts > 0) {
        mg_master_log(m, MG_LOG_INFO, "worker %u serves again (pid %d, generation %u)", p->slot + 1,
                      p->process != NULL ? mg_process_pid(p->process) : getpid(), number);
    }
    mg_channel_tell(p->channel, MG_MESSAGE_COMMIT, number, 0);
}

void mg_place_stop(mg_place *p, bool gently) {
    mg_timer_stop(&p->restart);
    mg_place_life_stop(&p->life);
    mg_channel_tell(p->channel, MG_MESSAGE_STOP, gently ? 1 : 0, 0);
}

// --- what a worker says ---

// All are told, also who said it: what two say at the same time comes to all in one order.
static void on_order(mg_master *m, mg_str order) {
    int rc = mg_orders_keep(&m->orders, order);
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "an order for an upstream is lost: %s", mg_strerror(rc));
        return;
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL && m->places[slot]->channel != NULL) {
            send_order(m->places[slot], order);
        }
    }
}

static void on_message(void *arg, mg_message *msg) {
    mg_place *p = arg;
    mg_master *m = p->master;
    if (msg->type == MG_MESSAGE_READY) {
        p->ready = msg->a;
        if (p->life.state == MG_PLACE_STARTING && msg->a == m->generation) {
            mg_place_serve(p, msg->a);
            mg_reload_on_serving(m, p);
            mg_places_lend(m);
        } else {
            mg_reload_on_ready(m, p, msg->a);
        }
    } else if (msg->type == MG_MESSAGE_FAILED) {
        if (p->life.state == MG_PLACE_STARTING && msg->a == m->generation) {
            mg_free(p->fault);
            p->fault = mg_strndup(msg->text.p, msg->text.n);
            mg_channel_tell(p->channel, MG_MESSAGE_STOP, 0, 0);
        } else {
            mg_reload_on_failed(m, p, msg->a, msg->text);
        }
    } else if (msg->type == MG_MESSAGE_ORDER) {
        on_order(m, msg->text);
    }
}

// --- watching ---

// True: it is stuck, or is so no more.
static bool watch(mg_place *p, uint64_t gap_ms) {
    mg_master *m = p->master;
    mg_pulse *pulse = &mg_shm_cell(m->shm, p->slot)->pulse;
    mg_place_look look = {
        .busy = atomic_load_explicit(&pulse->busy_since_ms, memory_order_relaxed) != 0,
        .progress = atomic_load_explicit(&pulse->progress, memory_order_relaxed),
        .gap_ms = gap_ms,
        .warn_ms = m->config.timeouts.stall_warn_ms,
        .kill_ms = m->config.timeouts.stall_kill_ms,
    };
    unsigned found = mg_place_life_watch(&p->life, &look);
    if (found & MG_PLACE_KILL) {
        mg_master_log(m, MG_LOG_ERROR, "worker %u (pid %d) is stuck for %.1f s: killed",
                      p->slot + 1, mg_process_pid(p->process), (double)p->life.stuck_ms / 1000);
        mg_process_kill(p->process, SIGKILL);
    }
    return found & MG_PLACE_CHANGED;
}

void mg_places_watch(mg_master *m, uint64_t gap_ms) {
    bool changed = false;
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        if (p == NULL || !mg_place_is_watched(&p->life) || m->alone || !watch(p, gap_ms)) {
            continue;
        }
        changed = true;
        if (p->life.state == MG_PLACE_SERVING && !p->life.stuck) {
            mg_reload_on_serving(m, p);
        }
    }
    if (changed) {
        mg_places_lend(m);
    }
}

static void tell_lending(void *arg, uint32_t to, uint32_t slot, bool on) {
    const mg_master *m = arg;
    mg_channel_tell(m->places[to]->channel, MG_MESSAGE_ACCEPT, slot, on);
}

static mg_lending_stand lending_stand(const mg_place *p) {
    if (p == NULL) {
        return MG_LENDING_UNUSED;
    }
    return mg_place_can_accept(&p->life) ? MG_LENDING_CAN : MG_LENDING_CANNOT;
}

void mg_places_lend(mg_master *m) {
    mg_lending_stand stands[MG_SHM_CELLS];
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        stands[slot] = lending_stand(m->places[slot]);
    }
    mg_lending_settle(&m->lending, stands, tell_lending, m);
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
            if (p->waker >= 0) {
                close(p->waker);
            }
            mg_free(p);
            m->places[slot] = NULL;
        }
    }
}
