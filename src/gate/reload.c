// A reload, in steps; any fault ends it and nothing has changed anywhere:
//
//   collect   a child reads files, evaluates the configuration, writes the snapshot
//   plan      new addresses are bound, not yet listened on
//   trial     another child loads the snapshot as a worker would: what ends or hangs it is loaded
//             nowhere else. It tells where the app speaks other protocols: bound likewise
//   specs     if wanted, in another child, on the snapshot
//   prepare   every worker loads the snapshot and runs on_start
//   commit    all are ready: each swaps; sockets and workers become what the configuration says
//
// The start is the same with generation 1, its workers started at `prepare`.

#include "gate/reload_inside.h"

#include "base/mem.h"
#include "gate/notify.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

// --- phases ---

static void become(mg_reload *r, mg_reload_phase next) {
    assert(mg_reload_may_become(r->phase, next));
    r->phase = next;
}

static mg_reload_wish wish_of(const mg_reload *r) {
    return (mg_reload_wish){
        .first = r->master->generation == 0,
        .specs = mg_reload_specs(r) != NULL,
        .faulty = r->fault.n > 0,
        .dry_run = r->request.dry_run,
    };
}

static int enter(mg_reload *r) {
    switch (r->phase) {
    case MG_RELOAD_COLLECT:
        return mg_reload_collect(r);
    case MG_RELOAD_TRIAL:
        return mg_reload_try(r);
    case MG_RELOAD_SPECS:
        return mg_reload_run_specs(r);
    case MG_RELOAD_PREPARE:
        mg_reload_prepare(r);
        return MG_OK;
    default:
        mg_reload_commit(r);
        return MG_OK;
    }
}

static void enter_or_refuse(mg_reload *r) {
    int rc = enter(r);
    if (rc != MG_OK) {
        mg_reload_refuse_with(r, mg_strerror(rc));
    }
}

void mg_reload_go_on(mg_reload *r) {
    mg_reload_wish wish = wish_of(r);
    mg_reload_phase next = mg_reload_phase_after(r->phase, &wish);
    if (next == MG_RELOAD_ENDED) {
        mg_reload_end_dry(r);
        return;
    }
    become(r, next);
    enter_or_refuse(r);
}

// --- ends ---

static void release(mg_reload *r) {
    mg_master *m = r->master;
    m->reload = NULL;
    become(r, MG_RELOAD_ENDED);
    mg_timer_stop(&r->limit);
    mg_helper_drop(r->helper);
    if (r->memfd >= 0) {
        close(r->memfd);
    }
    mg_snapshot_unref(r->snapshot);
    if (r->keys_fd >= 0) {
        close(r->keys_fd);
    }
    if (r->streams_fd >= 0) {
        close(r->streams_fd);
    }
    mg_tls_store_unref(r->keys);
    mg_config_deinit(&r->config);
    mg_buf_deinit(&r->fault);
    mg_changes_deinit(&r->changes);
    mg_free(r);
}

static void begin(mg_master *m, const mg_reload_request *request);

static void next_request(mg_master *m) {
    mg_reload_request request;
    if (m->reload == NULL && !m->stopping && mg_reload_queue_take(&m->waiting, &request)) {
        begin(m, &request);
    }
}

static void answer(const mg_reload_request *request, bool ok, mg_str text) {
    if (request->reply != NULL) {
        request->reply(request->arg, ok, text);
    }
}

void mg_reload_refuse(mg_reload *r, mg_str why) {
    mg_master *m = r->master;
    mg_reload_request request = r->request;
    while (why.n > 0 && why.p[why.n - 1] == '\n') {
        why.n--;
    }
    bool first = m->generation == 0;
    if (first) {
        fprintf(stderr, "%.*s\n", (int)why.n, why.p);
        m->exit_status = 1;
    } else {
        mg_master_log(m, MG_LOG_ERROR, "reload refused, nothing has changed: %.*s", (int)why.n,
                      why.p);
        mg_notify("READY=1");
    }
    answer(&request, false, why);
    mg_reload_abandon_places(r);
    mg_sockets_abandon(m);
    release(r);
    if (first) {
        mg_master_stop(m, true);
    } else {
        next_request(m);
    }
}

void mg_reload_refuse_with(mg_reload *r, const char *why) {
    mg_buf text = {0};
    mg_buf_append_str(&text, mg_str_of(why));
    mg_reload_refuse(r, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

void mg_reload_end(mg_master *m) {
    mg_reload_request request;
    while (mg_reload_queue_take(&m->waiting, &request)) {
        answer(&request, false, MG_STR("the server is stopping"));
    }
    if (m->reload != NULL) {
        answer(&m->reload->request, false, MG_STR("the server is stopping"));
        release(m->reload);
    }
}

void mg_reload_succeed(mg_reload *r, mg_str text) {
    mg_master *m = r->master;
    mg_notify("READY=1");
    answer(&r->request, true, text);
    release(r);
    next_request(m);
}

// --- the beginning ---

static void tell_reloading(const mg_master *m) {
    char text[80];
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
    if (m->generation > 0) {
        mg_notify(text);
    }
}

static void begin(mg_master *m, const mg_reload_request *request) {
    mg_reload *r = mg_calloc(1, sizeof *r);
    r->master = m;
    r->memfd = -1;
    r->keys_fd = -1;
    r->streams_fd = -1;
    r->request = *request;
    r->number = ++m->last_number;
    r->start_us = mg_loop_now_us(m->loop);
    m->reload = r;
    tell_reloading(m);
    enter_or_refuse(r);
}

void mg_reload_ask(mg_master *m, const mg_reload_request *request) {
    if (m->stopping) {
        answer(request, false, MG_STR("the server is stopping"));
    } else if (m->reload == NULL) {
        begin(m, request);
    } else if (!mg_reload_queue_add(&m->waiting, request)) {
        answer(request, false, MG_STR("too many reloads are waiting"));
    }
}
