// The generations of a worker: one serves, one may be in preparation, older ones end with what
// holds them.

#include "gate/worker_inside.h"

#include "base/mem.h"
#include "gate/privileges.h"
#include "proxy/passage.h"

#include <unistd.h>

static void tell_failed(mg_worker *w, uint32_t number, const char *text) {
    mg_channel_send(
        w->master,
        &(mg_message){.type = MG_MESSAGE_FAILED, .a = number, .fd = -1, .text = mg_str_of(text)});
}

void mg_worker_abandon(mg_worker *w) {
    mg_generation_free(w->next);
    w->next = NULL;
    mg_free(w->fault);
    w->fault = NULL;
    mg_logs_close(&w->next_logs);
}

static int load(mg_worker *w, uint32_t number, mg_snapshot *s, mg_error *err);

static void take_fault(mg_worker *w, mg_str fault) {
    if (fault.n > 0 && w->options->dev) {
        w->fault = mg_strndup(fault.p, fault.n);
    }
}

// Development: the fault itself is what is served.
static bool serve_fault(mg_worker *w, mg_generation *g, const char *fault) {
    mg_error err;
    if (!w->options->dev || w->fault != NULL) {
        return false;
    }
    take_fault(w, mg_str_of(fault));
    uint32_t number = g->number;
    mg_snapshot *s = mg_snapshot_ref(g->snapshot);
    mg_generation_free(g);
    w->next = NULL;
    bool ok = load(w, number, s, &err) == MG_OK;
    mg_snapshot_unref(s);
    return ok;
}

static void on_ready(void *arg, mg_generation *g, const char *fault) {
    mg_worker *w = arg;
    if (fault == NULL) {
        mg_channel_tell(w->master, MG_MESSAGE_READY, g->number, 0);
    } else if (!serve_fault(w, g, fault)) {
        tell_failed(w, g->number, fault);
        mg_worker_abandon(w);
    }
}

// The first configuration says who this process is to be.
static int begin_process(mg_worker *w, const mg_snapshot *s, mg_error *err) {
    mg_config c;
    int rc = mg_config_of_snapshot(&c, s, w->options->conf, w->options->overrides, err);
    if (rc == MG_OK && !w->options->alone) {
        rc = mg_privileges_become(c.user, err);
    }
    if (rc == MG_OK) {
        rc = mg_worker_open_logs(w, &c.log, err);
    }
    if (rc == MG_OK) {
        rc = mg_worker_open_stall(w, &c.timeouts);
    }
    mg_config_deinit(&c);
    return rc;
}

// What the scripts of a snapshot are lent: that of the current ones, but for what they want
// otherwise.
static int services_for(mg_worker *w, const mg_snapshot *s, mg_service_set **out, mg_error *err) {
    mg_config c;
    int rc = mg_config_of_snapshot(&c, s, w->options->conf, w->options->overrides, err);
    if (rc == MG_OK) {
        if (w->current == NULL) { // on_start may publish
            mg_worker_limit_live(w, &c.limits);
        }
        const mg_service_options o = {
            .config = &c,
            .before = w->current != NULL ? w->current->services : NULL,
            .shm = w->shm,
            .holder = (uint64_t)getpid(),
            .worker = w->slot,
            .topics = w->topics,
            .event_streams = w->event_streams,
            .guests = w->guests,
            .orders = &w->orders,
            .order_upstream = mg_worker_order,
            .on_warning = mg_worker_on_warning,
            .on_news = mg_worker_on_news,
            .log_arg = w,
        };
        rc = mg_service_set_new(out, w->loop, &o, err);
    }
    mg_config_deinit(&c);
    return rc;
}

// --- what scripts say of upstreams ---

// The sets of all generations share what they are told of.
static mg_upstreams *upstreams_of(const mg_worker *w) {
    mg_generation *g = w->current != NULL ? w->current : w->next;
    return g != NULL && g->services != NULL ? mg_service_set_lent(g->services)->upstreams : NULL;
}

static const char *root_of(const mg_worker *w) {
    return w->current != NULL ? w->current->config.root : w->next->config.root;
}

void mg_worker_take_order(mg_worker *w, mg_str order) {
    (void)mg_orders_keep(&w->orders, order); // the master has kept it
    mg_upstreams *us = upstreams_of(w);
    if (us != NULL) {
        mg_order_follow(order, root_of(w), us);
    }
}

// Here it holds at once. The master tells it to all, this worker too: what two say at the same time
// comes to all in the same order.
int mg_worker_order(void *worker, mg_str upstream, mg_str verb, mg_str what, mg_error *err) {
    mg_worker *w = worker;
    mg_buf text = {0};
    mg_order_write(&text, upstream, verb, what);
    int rc = mg_order_check(mg_buf_str(&text), root_of(w), err);
    if (rc == MG_OK) {
        mg_worker_take_order(w, mg_buf_str(&text));
        mg_channel_send(
            w->master,
            &(mg_message){.type = MG_MESSAGE_ORDER, .fd = -1, .text = mg_buf_str(&text)});
    }
    mg_buf_deinit(&text);
    return rc;
}

static int load(mg_worker *w, uint32_t number, mg_snapshot *s, mg_error *err) {
    int rc = w->logs.error == NULL ? begin_process(w, s, err) : MG_OK;
    if (rc != MG_OK) {
        return rc;
    }
    mg_service_set *services = NULL;
    rc = services_for(w, s, &services, err);
    if (rc != MG_OK) {
        return rc;
    }
    if (w->fault != NULL) {
        mg_log_printf(w->logs.error, MG_LOG_ERROR, "%s", w->fault);
    }
    mg_generation_options o = {
        .services = services,
        .number = number,
        .snapshot = s,
        .conf = w->options->conf,
        .overrides = w->options->overrides,
        .app =
            {
                .worker = w->options->alone ? 0 : w->slot + 1,
                .dev = w->options->dev,
                .record = w->options->overrides->record,
                .fault = w->fault,
                .jobs = &mg_jobs_seam,
                .jobs_arg = &w->jobs,
                .on_log = mg_worker_on_log,
                .log_arg = w,
            },
    };
    rc = mg_generation_load(&w->next, w->loop, &o, on_ready, w);
    mg_service_set_unref(services);
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "the scripts cannot be loaded: %s", mg_strerror(rc));
    }
    if (w->current != NULL && w->next_logs.error == NULL &&
        !mg_logs_same(&w->current->config.log, &w->next->config.log)) {
        rc = mg_logs_open(&w->next_logs, &w->next->config.log, err);
    }
    return rc;
}

void mg_worker_prepare(mg_worker *w, mg_message *m) {
    mg_error err = {""};
    mg_snapshot *s = NULL;
    int fd = m->fd;
    m->fd = -1;
    mg_worker_abandon(w);
    int rc = mg_worker_is_stopping(w) ? mg_error_set(&err, MG_ECLOSED, "the worker is stopping")
                                      : mg_snapshot_open(&s, fd, &err);
    if (rc == MG_OK) {
        take_fault(w, m->text);
        rc = load(w, m->a, s, &err);
    } else if (mg_worker_is_stopping(w) && fd >= 0) {
        close(fd);
    }
    mg_snapshot_unref(s);
    if (rc != MG_OK) {
        tell_failed(w, m->a, err.text);
        mg_worker_abandon(w);
    }
}

static void on_gone(void *arg, mg_generation *g) {
    mg_worker *w = arg;
    mg_log_printf(w->logs.error, MG_LOG_INFO, "worker %u: generation %u is over", w->slot + 1,
                  g->number);
    mg_jobs_forget(&w->jobs, mg_lua_app_vm(g->app));
    mg_stall_forget(w->stall, mg_lua_app_vm(g->app));
    mg_generation_free(g);
    mg_worker_fill_cell(w);
}

// Too many are held: the oldest ones end.
static void evict_oldest(mg_worker *w) {
    uint64_t count = 0;
    for (mg_link *l = w->retired.prev; l != &w->retired; l = l->prev) {
        mg_generation *g = MG_OF(l, mg_generation, link);
        mg_lua_pins pins = mg_lua_app_pins(g->app);
        bool held = pins.requests + pins.streams + pins.background > 0; // else it is ending
        count += held;
        if (held && count > w->current->config.limits.generations && !g->evicted) {
            g->evicted = true;
            mg_log_printf(w->logs.error, MG_LOG_WARN,
                          "worker %u: generation %u ends for lack of room (limits.generations): "
                          "%u requests, %u streams and %u background tasks held it",
                          w->slot + 1, g->number, pins.requests, pins.streams, pins.background);
            mg_lua_app_evict(g->app);
        }
    }
}

void mg_worker_evaluate(mg_worker *w, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                        void *arg) {
    if (w->current == NULL) {
        reply(arg, false, MG_STR("no scripts serve yet"));
    } else {
        mg_lua_app_evaluate(w->current->app, code, reply, arg);
    }
}

void mg_worker_commit(mg_worker *w, uint32_t number) {
    mg_generation *g = w->next;
    if (g == NULL || g->number != number || g->state != MG_GENERATION_READY ||
        mg_worker_is_stopping(w)) {
        return;
    }
    mg_generation *old = w->current;
    w->next = NULL;
    mg_upstreams *before = upstreams_of(w);
    w->current = g;
    mg_passages_follow(before, upstreams_of(w), (uint32_t)g->config.timeouts.drain_ms);
    mg_orders_prune(&w->orders, &g->config.upstreams);
    mg_free(w->fault);
    w->fault = NULL;
    mg_worker_serve(w, g);
    w->cell->generation = number;
    if (old != NULL) {
        mg_link_append(&w->retired, &old->link);
        mg_generation_retire(old, on_gone, w);
        evict_oldest(w);
    } else {
        mg_worker_become(w, MG_WORKER_SERVING);
        mg_accepting_begin(&w->accepting, w->server);
    }
    mg_worker_fill_cell(w);
}

void mg_worker_free_generations(mg_worker *w) {
    mg_worker_abandon(w);
    mg_link *l;
    while ((l = mg_link_shift(&w->retired)) != NULL) {
        mg_generation *g = MG_OF(l, mg_generation, link);
        mg_stall_forget(w->stall, mg_lua_app_vm(g->app));
        mg_generation_free(g);
    }
    if (w->current != NULL) {
        mg_stall_forget(w->stall, mg_lua_app_vm(w->current->app));
        mg_generation_free(w->current);
        w->current = NULL;
    }
    // A thread that still loads scripts is lent this worker's logs and services.
    while (mg_loop_has_tasks(w->loop)) {
        mg_loop_turn(w->loop, true, false, 0);
    }
}
