#include "gate/generation.h"

#include "base/mem.h"
#include "config/options.h"
#include "event/task.h"
#include "gate/app.h"

#include <assert.h>

// The job of the helper thread: what is made there belongs to it until the loop takes it over.
typedef struct mg_generation_load {
    mg_task task;
    mg_generation *owner;
    mg_generation_options options;
    char *root;
    mg_lua_app *app;
    mg_error err;
    int rc;
} mg_generation_load_job;

typedef struct closing {
    mg_task task;
    mg_lua_app *app;
    mg_snapshot *snapshot;
} closing;

bool mg_generation_may_become(mg_generation_state from, mg_generation_state to) {
    static const uint8_t moves[] = {
        [MG_GENERATION_LOADING] = 1 << MG_GENERATION_STARTING | 1 << MG_GENERATION_FAILED,
        [MG_GENERATION_STARTING] = 1 << MG_GENERATION_READY | 1 << MG_GENERATION_FAILED,
        [MG_GENERATION_FAILED] = 0,
        [MG_GENERATION_READY] = 1 << MG_GENERATION_SERVING,
        [MG_GENERATION_SERVING] = 1 << MG_GENERATION_RETIRED,
        [MG_GENERATION_RETIRED] = 1 << MG_GENERATION_GONE,
        [MG_GENERATION_GONE] = 0,
    };
    return moves[from] >> to & 1;
}

static void become(mg_generation *g, mg_generation_state next) {
    assert(mg_generation_may_become(g->state, next));
    g->state = next;
}

int mg_config_of_snapshot(mg_config *c, const mg_snapshot *s, const char *conf,
                          const mg_config_overrides *o, mg_error *err) {
    mg_str json = {0};
    mg_str root = {0};
    mg_buf faults = {0};
    mg_snapshot_find(s, MG_STR(MG_SNAPSHOT_CONFIG), &json);
    mg_snapshot_find(s, MG_STR(MG_SNAPSHOT_ROOT), &root);
    int rc = mg_config_init_below(c, conf, root, json, &faults);
    if (rc == MG_OK) {
        rc = mg_config_override(c, o, &faults);
    }
    if (rc == MG_OK && c->http.ca.path != NULL) {
        (void)mg_snapshot_find(s, mg_str_of(c->http.ca.path), &c->http.ca.text);
    }
    if (rc != MG_OK) {
        while (faults.n > 0 && faults.p[faults.n - 1] == '\n') {
            faults.n--;
        }
        mg_error_set(err, rc, "%.*s", (int)faults.n, faults.p);
    }
    mg_buf_deinit(&faults);
    return rc;
}

// --- closing: a large state takes long ---

static void run_closing(mg_task *t) {
    closing *c = MG_OF(t, closing, task);
    mg_lua_app_free(c->app);
    mg_snapshot_unref(c->snapshot);
}

static void on_closed(mg_task *t, int status) {
    (void)status;
    mg_free(MG_OF(t, closing, task));
}

static const mg_task_ops closing_ops = {run_closing, on_closed};

static void close_later(mg_loop *loop, mg_lua_app *app, mg_snapshot *snapshot) {
    if (app == NULL) {
        mg_snapshot_unref(snapshot);
        return;
    }
    mg_lua_app_sever(app);
    closing *c = mg_calloc(1, sizeof *c);
    c->app = app;
    c->snapshot = snapshot;
    if (mg_task_start(loop, &c->task, &closing_ops) != MG_OK) {
        run_closing(&c->task);
        mg_free(c);
    }
}

void mg_generation_free(mg_generation *g) {
    if (g == NULL) {
        return;
    }
    if (g->load != NULL) { // the thread is at work: it finds out when it is back
        g->abandoned = true;
        return;
    }
    mg_link_remove(&g->link);
    mg_timer_stop(&g->tell_timer);
    mg_free(g->fault);
    close_later(g->loop, g->app, g->snapshot);
    mg_service_set_unref(g->services);
    mg_trust_free(g->trust);
    mg_config_deinit(&g->config);
    mg_free(g);
}

// --- loading ---

static void run_load(mg_task *t) {
    mg_generation_load_job *l = MG_OF(t, mg_generation_load_job, task);
    l->rc = mg_lua_app_new(&l->app, l->owner->loop, &l->options.app, &l->err);
}

static void on_tell(mg_timer *t) {
    mg_generation *g = MG_OF(t, mg_generation, tell_timer);
    if (g->state == MG_GENERATION_GONE) {
        g->on_gone(g->gone_arg, g);
    } else {
        g->on_ready(g->ready_arg, g, g->fault);
    }
}

static void tell_soon(mg_generation *g) {
    mg_timer_start(g->loop, &g->tell_timer, 0, 0, on_tell);
}

static void fail(mg_generation *g, const char *fault) {
    become(g, MG_GENERATION_FAILED);
    g->fault = mg_strdup(fault);
    tell_soon(g);
}

static void on_started(void *arg, const char *fault) {
    mg_generation *g = arg;
    if (fault != NULL) {
        fail(g, fault);
    } else {
        become(g, MG_GENERATION_READY);
        tell_soon(g);
    }
}

static void on_loaded(mg_task *t, int status) {
    mg_generation_load_job *l = MG_OF(t, mg_generation_load_job, task);
    mg_generation *g = l->owner;
    g->load = NULL;
    g->app = l->app;
    if (status != MG_OK || g->abandoned) {
        mg_generation_free(g);
    } else if (l->rc != MG_OK) {
        fail(g, l->err.text);
    } else {
        become(g, MG_GENERATION_STARTING);
        mg_lua_app_attach(g->app);
        mg_lua_app_start(g->app, on_started, g);
    }
    mg_free(l);
}

static const mg_task_ops load_ops = {run_load, on_loaded};

static int start_load(mg_generation *g, const mg_generation_options *o) {
    mg_generation_load_job *l = mg_calloc(1, sizeof *l);
    l->owner = g;
    l->options = *o;
    mg_lua_app_options *app = &l->options.app;
    mg_app_options(&g->config, app);
    app->snapshot = g->snapshot;
    app->services = g->services != NULL ? mg_service_set_lent(g->services) : NULL;
    app->generation = g->number;
    app->give_up = &g->abandoned;
    g->load = l;
    int rc = mg_task_start(g->loop, &l->task, &load_ops);
    if (rc != MG_OK) {
        g->load = NULL;
        mg_free(l);
    }
    return rc;
}

int mg_generation_load(mg_generation **out, mg_loop *loop, const mg_generation_options *o,
                       void (*on_ready)(void *arg, mg_generation *g, const char *fault),
                       void *arg) {
    mg_generation *g = mg_calloc(1, sizeof *g);
    g->number = o->number;
    g->loop = loop;
    g->snapshot = mg_snapshot_ref(o->snapshot);
    g->services = mg_service_set_ref(o->services);
    g->on_ready = on_ready;
    g->ready_arg = arg;
    mg_link_init(&g->link);
    mg_error err;
    int rc = mg_config_of_snapshot(&g->config, o->snapshot, o->conf, o->overrides, &err);
    if (rc == MG_OK) {
        rc = mg_config_trust(&g->config, &g->trust, &err);
    }
    if (rc == MG_OK) {
        rc = start_load(g, o);
    }
    if (rc != MG_OK) {
        mg_generation_free(g);
        g = NULL;
    }
    *out = g;
    return rc;
}

// --- serving, and the end ---

void mg_generation_commit(mg_generation *g) {
    become(g, MG_GENERATION_SERVING);
    mg_lua_app_commit(g->app);
}

static void on_retired(void *arg) {
    mg_generation *g = arg;
    become(g, MG_GENERATION_GONE);
    tell_soon(g);
}

void mg_generation_retire(mg_generation *g, void (*on_gone)(void *arg, mg_generation *g),
                          void *arg) {
    become(g, MG_GENERATION_RETIRED);
    g->on_gone = on_gone;
    g->gone_arg = arg;
    mg_lua_app_retire(g->app, g->config.timeouts.drain_ms, on_retired, g);
}
