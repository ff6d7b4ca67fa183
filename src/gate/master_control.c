// What is asked of the master from outside: over its control socket, and for `moongate dev` by
// saving a file.

#include "gate/master_inside.h"

#include "gate/control_path.h"
#include "gate/status.h"

#include <errno.h>
#include <unistd.h>

enum { CONTROL_APART_MS = 1000 };

// --- status ---

static const char *state_of(const mg_place *p) {
    static const char *const names[] = {
        [MG_PLACE_EMPTY] = "gone",          [MG_PLACE_STARTING] = "starting",
        [MG_PLACE_SERVING] = "serving",     [MG_PLACE_STOPPING] = "stopping",
        [MG_PLACE_WAITING] = "backing off",
    };
    return p->life.stuck ? "stuck" : names[p->life.state];
}

static size_t list_workers(const mg_master *m, mg_status_worker *out) {
    uint64_t now = mg_loop_now_ms(m->loop);
    size_t n = 0;
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        if (p == NULL || p->life.state == MG_PLACE_EMPTY) {
            continue;
        }
        bool serves = p->life.state == MG_PLACE_SERVING;
        out[n++] = (mg_status_worker){
            .number = slot + 1,
            .state = state_of(p),
            .uptime_ms = serves ? now - p->life.since_ms : 0,
            .restarts = p->life.restarts,
            .cell = mg_shm_cell(m->shm, slot),
        };
    }
    return n;
}

static size_t list_addresses(const mg_master *m, const char **out) {
    size_t n = 0;
    for (size_t i = 0; i < m->socket_count; i++) {
        const mg_master_socket *s = &m->sockets[i];
        if (s->slot == 0 || s->slot == MG_SLOT_ALL) {
            out[n++] = s->shown;
        }
    }
    return n;
}

static size_t list_certificates(const mg_master *m, const char **out) {
    for (size_t i = 0; i < m->acme.state_count; i++) {
        out[i] = m->acme.states[i].json;
    }
    return m->acme.state_count;
}

static void append_status(void *arg, mg_buf *out) {
    const mg_master *m = arg;
    mg_arena arena = {0};
    mg_status_worker *workers = mg_arena_alloc(&arena, MG_SHM_CELLS * sizeof *workers);
    const char **addresses = mg_arena_alloc(&arena, (m->socket_count + 1) * sizeof *addresses);
    const char **certificates =
        mg_arena_alloc(&arena, (m->acme.state_count + 1) * sizeof *certificates);
    uint64_t now = mg_loop_now_ms(m->loop);
    mg_status s = {
        .conf = m->cli->conf,
        .pid = getpid(),
        .generation = m->generation,
        .stopping = m->stopping,
        .now_ms = now,
        .uptime_ms = now - m->started_ms,
        .addresses = addresses,
        .address_count = list_addresses(m, addresses),
        .workers = workers,
        .worker_count = list_workers(m, workers),
        .certificates = certificates,
        .certificate_count = list_certificates(m, certificates),
        .wall_s = (int64_t)(mg_loop_wall_ms(m->loop) / 1000),
        .proxy = mg_shm_proxy(m->shm),
    };
    if (m->keys != NULL) {
        s.served_count = mg_tls_store_count(m->keys);
        s.first_expiry_s = mg_tls_first_end(m->keys, &s.first_expiry_file);
    }
    mg_status_append(&s, out);
    mg_arena_deinit(&arena);
}

// --- the control socket ---

static void on_reload(void *arg, const mg_reload_request *r) {
    mg_reload_ask(arg, r);
}

// Only where the scripts run in this process, and nobody depends on them.
static void on_evaluate(void *arg, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                        void *reply_arg) {
    const mg_master *m = arg;
    if (m->cli->command != MG_COMMAND_DEV || m->places[0] == NULL || m->places[0]->inside == NULL) {
        reply(reply_arg, false, MG_STR("moongate repl speaks to moongate dev alone"));
    } else {
        mg_worker_evaluate(m->places[0]->inside, code, reply, reply_arg);
    }
}

static void on_stop(void *arg, bool now) {
    mg_master_ask_stop(arg, now);
}

static const mg_control_events control_events = {append_status, on_reload, on_evaluate, on_stop};

static int open_control(mg_master *m, const char *configured, mg_error *err) {
    char path[MG_CONTROL_PATH];
    int rc = mg_control_path(m->cli->conf, configured, true, path, sizeof path, err);
    m->control_asked_ms = mg_loop_now_ms(m->loop);
    return rc == MG_OK ? mg_control_open(&m->control, m->loop, path, &control_events, m, err) : rc;
}

// A server without one still obeys signals.
void mg_master_open_control(mg_master *m, const char *configured) {
    mg_error err;
    int rc = open_control(m, configured, &err);
    m->control_waits = rc == -EADDRINUSE;
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_WARN, "no control socket%s: %s", m->control_waits ? " yet" : "",
                      err.text);
    }
}

// The one before may still be finishing its requests.
void mg_master_await_control(mg_master *m) {
    mg_error err;
    if (m->control_waits && m->generation > 0 &&
        mg_loop_now_ms(m->loop) - m->control_asked_ms >= CONTROL_APART_MS &&
        open_control(m, m->config.control, &err) == MG_OK) {
        m->control_waits = false;
        mg_master_log(m, MG_LOG_INFO, "the control socket is free now: commands reach this server");
    }
}

// --- scripts that are saved ---

static void on_saved(void *arg) {
    mg_reload_ask(arg, &(mg_reload_request){.reply = NULL});
}

void mg_master_watch_scripts(mg_master *m) {
    int rc = mg_dev_open(&m->dev, m->loop, m->config.root, m->cli->overrides.record, on_saved, m);
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "%s cannot be watched: %s; reload with SIGHUP",
                      m->config.root, mg_strerror(rc));
    } else {
        mg_master_log(m, MG_LOG_INFO, "scripts below %s are loaded again when they are saved",
                      m->config.root);
    }
}
