// The life of a worker: what its master says, and its end.

#include "gate/worker_inside.h"

#include "base/mem.h"

#include <assert.h>

bool mg_worker_may_become(mg_worker_state from, mg_worker_state to) {
    static const uint8_t moves[] = {
        [MG_WORKER_NEW] = 1 << MG_WORKER_BEGUN | 1 << MG_WORKER_ENDED,
        [MG_WORKER_BEGUN] = 1 << MG_WORKER_SERVING | 1 << MG_WORKER_ENDED,
        [MG_WORKER_SERVING] = 1 << MG_WORKER_DRAINING,
        [MG_WORKER_DRAINING] = 1 << MG_WORKER_LEAVING,
        [MG_WORKER_LEAVING] = 1 << MG_WORKER_ENDED,
        [MG_WORKER_ENDED] = 0,
    };
    return moves[from] >> to & 1;
}

void mg_worker_become(mg_worker *w, mg_worker_state next) {
    assert(mg_worker_may_become(w->state, next));
    w->state = next;
}

// --- stopping ---

static void finish(mg_worker *w) {
    mg_worker_become(w, MG_WORKER_ENDED);
    mg_timer_stop(&w->drain_timer);
    w->on_end(w->end_arg);
}

static void on_app_stopped(void *arg) {
    mg_worker *w = arg;
    if (w->state == MG_WORKER_LEAVING) { // else it was not waited for any longer
        finish(w);
    }
}

static void on_stop_late(mg_timer *t) {
    mg_worker *w = MG_OF(t, mg_worker, drain_timer);
    mg_log_printf(w->logs.error, MG_LOG_WARN, "on_stop did not come to its end");
    finish(w);
}

static void on_drained(void *arg) {
    mg_worker *w = arg;
    uint64_t drain_ms = w->current->config.timeouts.drain_ms;
    uint64_t now = mg_loop_now_ms(w->loop);
    uint64_t left_ms = now < w->drain_until_ms ? w->drain_until_ms - now : 0;
    mg_worker_become(w, MG_WORKER_LEAVING);
    mg_timer_start(w->loop, &w->drain_timer, left_ms + drain_ms, 0, on_stop_late);
    mg_lua_app_stop(w->current->app, left_ms, drain_ms, on_app_stopped, w);
}

static void on_drain_late(mg_timer *t) {
    mg_worker *w = MG_OF(t, mg_worker, drain_timer);
    mg_log_printf(w->logs.error, MG_LOG_WARN, "drain: %llu connections are closed after %.1f s",
                  (unsigned long long)w->server->stats.connections,
                  (double)w->current->config.timeouts.drain_ms / 1000);
    mg_server_close(w->server);
}

void mg_worker_stop(mg_worker *w, uint64_t idle_ms) {
    if (mg_worker_is_stopping(w)) {
        return;
    }
    if (w->state != MG_WORKER_SERVING) {
        finish(w);
        return;
    }
    mg_worker_become(w, MG_WORKER_DRAINING);
    uint64_t drain_ms = w->current->config.timeouts.drain_ms;
    mg_accepting_end(&w->accepting);
    mg_accepting_deinit(&w->accepting); // so that nobody waits at a door that stays shut
    mg_jobs_retire(&w->jobs);
    w->drain_until_ms = mg_loop_now_ms(w->loop) + drain_ms;
    mg_timer_start(w->loop, &w->drain_timer, drain_ms, 0, on_drain_late);
    mg_lua_app_announce_stop(w->current->app);
    mg_event_streams_end(w->event_streams);
    mg_server_drain(w->server, idle_ms < drain_ms ? idle_ms : drain_ms, on_drained, w);
}

// --- what the master says ---

static void begin(mg_worker *w, mg_message *m) {
    mg_error err;
    int fd = m->fd;
    m->fd = -1;
    if (w->state != MG_WORKER_NEW || mg_shm_open(&w->shm, fd, &err) != MG_OK) {
        mg_worker_stop(w, 0);
        return;
    }
    mg_worker_become(w, MG_WORKER_BEGUN);
    w->slot = m->a;
    w->accepting.loop = w->loop;
    w->accepting.own = m->a;
    w->accepting.tickets = mg_shm_tickets(w->shm);
    w->accepting.on_fault = mg_worker_on_warning;
    w->accepting.fault_arg = w;
    mg_jobs_init(&w->jobs, w->shm, m->a);
    mg_worker_begin_cell(w);
    mg_worker_begin_live(w);
    mg_worker_begin_sockets(w);
}

static void on_message(void *arg, mg_message *m) {
    mg_worker *w = arg;
    if (w->state == MG_WORKER_NEW && m->type != MG_MESSAGE_BEGIN) {
        return;
    }
    switch (m->type) {
    case MG_MESSAGE_BEGIN:
        begin(w, m);
        break;
    case MG_MESSAGE_KEYS:
        mg_accepting_take_keys(&w->accepting, m->fd, w->options->alone);
        m->fd = -1;
        break;
    case MG_MESSAGE_CHALLENGE:
        mg_accepting_take_challenge(&w->accepting, m->text);
        break;
    case MG_MESSAGE_SOCKET:
        mg_accepting_add(&w->accepting, m->a, m->b, m->fd, m->text);
        m->fd = -1;
        break;
    case MG_MESSAGE_ENDPOINT:
        mg_accepting_change(&w->accepting, m->a, m->text);
        break;
    case MG_MESSAGE_FORGET:
        mg_accepting_forget(&w->accepting, m->a);
        break;
    case MG_MESSAGE_ACCEPT:
        mg_accepting_lend(&w->accepting, m->a, m->b != 0);
        break;
    case MG_MESSAGE_PREPARE:
        mg_worker_prepare(w, m);
        break;
    case MG_MESSAGE_COMMIT:
        mg_worker_commit(w, m->a);
        break;
    case MG_MESSAGE_ABANDON:
        mg_worker_abandon(w);
        break;
    case MG_MESSAGE_ORDER:
        mg_worker_take_order(w, m->text);
        break;
    case MG_MESSAGE_REOPEN:
        mg_logs_reopen(&w->logs);
        break;
    case MG_MESSAGE_WAKER:
        mg_worker_take_waker(w, m);
        break;
    case MG_MESSAGE_STOP:
        mg_worker_stop(w, m->a == 0 ? MG_WORKER_IDLE_GRACE_MS : UINT64_MAX);
        break;
    default:
        break;
    }
}

static void on_master_gone(void *arg) {
    mg_worker *w = arg;
    mg_channel_close(w->master);
    w->master = NULL;
    if (!mg_worker_is_stopping(w)) {
        mg_log_printf(w->logs.error, MG_LOG_WARN, "worker %u: the master is gone: draining",
                      w->slot + 1);
        mg_worker_stop(w, MG_WORKER_IDLE_GRACE_MS);
    }
}

static const mg_channel_events events = {on_message, on_master_gone};

// --- life ---

int mg_worker_open(mg_worker **out, mg_loop *loop, int fd, const mg_worker_options *o,
                   void (*on_end)(void *arg), void *arg) {
    mg_worker *w = mg_calloc(1, sizeof *w);
    w->options = o;
    w->loop = loop;
    w->on_end = on_end;
    w->end_arg = arg;
    mg_link_init(&w->retired);
    mg_jobs_init(&w->jobs, NULL, 0);
    w->descriptors = mg_worker_raise_descriptors();
    int rc = mg_channel_open(&w->master, loop, fd, &events, w);
    if (rc != MG_OK) {
        mg_free(w);
        w = NULL;
    }
    *out = w;
    return rc;
}

void mg_worker_free(mg_worker *w) {
    if (w == NULL) {
        return;
    }
    mg_timer_stop(&w->cell_timer);
    mg_timer_stop(&w->drain_timer);
    if (w->server != NULL) {
        mg_accepting_end(&w->accepting);
        mg_server_close(w->server);
        while (w->server->stats.connections > 0) {
            mg_loop_turn(w->loop, false, false, 0);
        }
    }
    mg_server_free(w->server);
    mg_channel_close(w->master); // nothing is said any more
    w->master = NULL;
    mg_worker_join_fleet(w, NULL);
    mg_worker_free_generations(w);
    mg_guests_free(w->guests);
    mg_worker_end_live(w);
    mg_orders_deinit(&w->orders);
    mg_stall_close(w->stall);
    mg_accepting_deinit(&w->accepting);
    mg_jobs_deinit(&w->jobs);
    mg_loop_set_pulse(w->loop, NULL);
    mg_logs_close(&w->logs);
    mg_shm_free(w->shm);
    mg_free(w);
}
