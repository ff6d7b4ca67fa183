// A reload, in steps; any fault ends it and nothing has changed anywhere:
//
//   collect   a child reads files, evaluates the configuration, writes the snapshot
//   plan      new addresses are bound, not yet listened on
//   trial     another child loads the snapshot as a worker would: what ends or hangs it is not
//   loaded
//             anywhere else
//   specs     if wanted, in another child, on the snapshot
//   prepare   every worker loads the snapshot and runs on_start
//   commit    all are ready: each swaps; sockets and workers become what the configuration says
//
// The start is the same with generation 1, its workers started at `prepare`.

#include "gate/master_inside.h"

#include "base/mem.h"
#include "gate/collect.h"
#include "gate/control.h"
#include "gate/helper.h"
#include "gate/notify.h"
#include "gate/privileges.h"
#include "gate/trial.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    COLLECT_MS = 20000,
    SPECS_MS = 120000,
    TRIAL_GRACE_MS = 5000, // it knows timeouts.reload itself
    SHOWN_CHANGES = 40,
};

typedef enum step { COLLECT, TRIAL, SPECS, PREPARE } step;

struct mg_reload {
    mg_master *master;
    mg_reload_request request;
    step step;
    uint32_t number;
    uint64_t start_us;
    mg_helper *helper; // what it waits for
    int memfd;
    mg_snapshot *snapshot;
    mg_config config;
    uint32_t wanted;
    mg_timer limit;
    mg_buf fault; // dev: of the trial; what workers serve
    mg_buf changes;
    size_t change_count;
};

static void prepare(mg_reload *r);

// --- ends ---

static void release(mg_reload *r) {
    mg_master *m = r->master;
    m->reload = NULL;
    mg_timer_stop(&r->limit);
    mg_helper_drop(r->helper);
    if (r->memfd >= 0) {
        close(r->memfd);
    }
    mg_snapshot_unref(r->snapshot);
    mg_config_deinit(&r->config);
    mg_buf_deinit(&r->fault);
    mg_buf_deinit(&r->changes);
    mg_free(r);
}

static void begin(mg_master *m, const mg_reload_request *request);

static void next_request(mg_master *m) {
    if (m->waiting_count > 0 && m->reload == NULL && !m->stopping) {
        mg_reload_request request = m->waiting[0];
        m->waiting_count--;
        memmove(m->waiting, m->waiting + 1, m->waiting_count * sizeof *m->waiting);
        begin(m, &request);
    }
}

static void answer(const mg_reload_request *request, bool ok, mg_str text) {
    if (request->reply != NULL) {
        request->reply(request->arg, ok, text);
    }
}

static void abandon_places(mg_reload *r) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = r->master->places[slot];
        if (p != NULL && p->asked == r->number) {
            p->asked = 0;
            mg_channel_tell(p->channel, MG_MESSAGE_ABANDON, r->number, 0);
        }
    }
}

static void fail(mg_reload *r, mg_str why) {
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
    abandon_places(r);
    mg_sockets_abandon(m);
    release(r);
    if (first) {
        mg_master_stop(m, true);
    } else {
        next_request(m);
    }
}

static void fail_with(mg_reload *r, const char *why) {
    mg_buf text = {0};
    mg_buf_append_str(&text, mg_str_of(why));
    fail(r, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

void mg_reload_end(mg_master *m) {
    while (m->waiting_count > 0) {
        answer(&m->waiting[--m->waiting_count], false, MG_STR("the server is stopping"));
    }
    if (m->reload != NULL) {
        answer(&m->reload->request, false, MG_STR("the server is stopping"));
        release(m->reload);
    }
}

// --- what changes ---

static void note_change(void *arg, mg_str name, char what) {
    mg_reload *r = arg;
    mg_str root = mg_str_of(r->config.root);
    if (name.n > 0 && name.p[0] == ':') {
        return; // the configuration's file is told for itself
    }
    if (++r->change_count > SHOWN_CHANGES) {
        return;
    }
    if (mg_str_starts(name, root) && name.n > root.n && name.p[root.n] == '/') {
        name = (mg_str){name.p + root.n + 1, name.n - root.n - 1};
    }
    mg_buf_printf(&r->changes, "  %c %.*s\n", what, (int)name.n, name.p);
}

static void note_changes(mg_reload *r) {
    const mg_master *m = r->master;
    if (m->snapshot == NULL) {
        return;
    }
    mg_snapshot_compare(m->snapshot, r->snapshot, note_change, r);
    if (r->change_count > SHOWN_CHANGES) {
        mg_buf_printf(&r->changes, "  and %zu more\n", r->change_count - SHOWN_CHANGES);
    }
    mg_str before = {0};
    mg_str after = {0};
    mg_snapshot_find(m->snapshot, MG_STR(MG_SNAPSHOT_CONFIG), &before);
    mg_snapshot_find(r->snapshot, MG_STR(MG_SNAPSHOT_CONFIG), &after);
    if (!mg_str_eq(before, after)) {
        mg_buf_printf(&r->changes, "  ~ settings\n");
    }
    if (r->wanted != m->wanted) {
        mg_buf_printf(&r->changes, "  ~ workers %u -> %u\n", m->wanted, r->wanted);
    }
    const char *user = r->config.user != NULL ? r->config.user : "";
    if (strcmp(user, m->config.user != NULL ? m->config.user : "") != 0) {
        mg_buf_printf(&r->changes, "  ! user: holds for workers that start from now on\n");
    }
}

// --- commit ---

static double milliseconds(const mg_reload *r) {
    return (double)(mg_loop_now_us(r->master->loop) - r->start_us) / 1000;
}

static void fit_workers(mg_master *m, uint32_t before) {
    for (uint32_t slot = m->wanted; slot < before; slot++) {
        mg_place_stop(mg_place_at(m, slot), true);
    }
    for (uint32_t slot = before; slot < m->wanted; slot++) {
        mg_place *p = mg_place_at(m, slot);
        if (p->state == MG_PLACE_EMPTY) {
            mg_place_start(p, m->snapshot, m->generation, (mg_str){0});
        }
    }
}

static void take_logs(mg_master *m, const mg_config *before) {
    mg_logs logs;
    mg_error err;
    mg_config_log own = m->config.log;
    own.access = NULL;
    if (before != NULL && mg_logs_same(&before->log, &m->config.log)) {
        return;
    }
    if (mg_logs_open(&logs, &own, &err) == MG_OK) {
        mg_logs_close(&m->logs);
        m->logs = logs;
    } else {
        mg_master_log(m, MG_LOG_ERROR, "%s", err.text);
    }
}

static void announce(mg_master *m) {
    for (size_t i = 0; i < m->socket_count; i++) {
        const mg_master_socket *s = &m->sockets[i];
        if (s->slot == 0 || s->slot == MG_SLOT_ALL) {
            mg_master_log(m, MG_LOG_INFO, "listening on %s%s (pid %ld)",
                          s->is_unix ? "" : "http://", s->shown, (long)getpid());
        }
    }
}

static void swap(mg_reload *r) {
    mg_master *m = r->master;
    mg_config before = m->config;
    uint32_t wanted = m->wanted;
    mg_snapshot_unref(m->snapshot);
    m->snapshot = r->snapshot;
    r->snapshot = NULL;
    m->config = r->config;
    r->config = (mg_config){0};
    m->generation = r->number;
    m->wanted = r->wanted;
    if (m->has_config) {
        take_logs(m, &before);
        mg_config_deinit(&before);
        mg_sockets_commit(m, &r->changes);
    } else {
        m->has_config = true;
        mg_sockets_commit(m, NULL);
        wanted = m->wanted; // they are there already
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        if (p != NULL && p->asked == r->number) {
            p->asked = 0;
            mg_place_serve(p, r->number);
        }
    }
    fit_workers(m, wanted);
    mg_places_lend(m);
}

static void commit(mg_reload *r) {
    mg_master *m = r->master;
    mg_reload_request request = r->request;
    bool first = m->generation == 0;
    note_changes(r);
    swap(r);
    mg_buf text = {0};
    mg_buf_printf(&text, "generation %u in %.0f ms\n", r->number, milliseconds(r));
    if (r->changes.n > 0) {
        mg_buf_append_str(&text, mg_buf_str(&r->changes));
    } else {
        mg_buf_append_str(&text, MG_STR("  no file has changed\n"));
    }
    if (first) {
        announce(m);
    } else {
        mg_master_log(m, MG_LOG_INFO, "reloaded: generation %u in %.0f ms, %zu files changed",
                      r->number, milliseconds(r), r->change_count);
    }
    mg_notify("READY=1");
    answer(&request, true, mg_buf_str(&text));
    mg_buf_deinit(&text);
    release(r);
    next_request(m);
}

static void finish_dry(mg_reload *r) {
    mg_master *m = r->master;
    mg_reload_request request = r->request;
    note_changes(r);
    mg_buf text = {0};
    mg_buf_printf(&text, "good: all workers could load it (%.0f ms); nothing has been swapped\n",
                  milliseconds(r));
    mg_buf_append_str(&text, mg_buf_str(&r->changes));
    answer(&request, true, mg_buf_str(&text));
    mg_buf_deinit(&text);
    abandon_places(r);
    mg_sockets_abandon(m);
    mg_notify("READY=1");
    release(r);
    next_request(m);
}

// --- prepare ---

// It cannot be asked now, but soon: it starts, or is stuck and recovers or is replaced. One that
// fails again and again is not waited for.
static bool will_serve(const mg_place *p) {
    return p->state == MG_PLACE_STARTING || (p->state == MG_PLACE_SERVING && p->stuck) ||
           (p->state == MG_PLACE_WAITING && p->backoff_ms == 0);
}

static void go_if_ready(mg_reload *r) {
    const mg_master *m = r->master;
    bool any = false;
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        bool late = p != NULL && p->asked != r->number && will_serve(p);
        if (late || (p != NULL && p->asked == r->number && p->ready != r->number)) {
            return;
        }
        any = any || (p != NULL && p->asked == r->number);
    }
    if (!any && m->generation == 0) {
        return;
    }
    if (r->request.dry_run) {
        finish_dry(r);
    } else {
        commit(r);
    }
}

static void ask(mg_reload *r, mg_place *p) {
    p->asked = r->number;
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_PREPARE,
                                              .a = r->number,
                                              .fd = mg_snapshot_fd(r->snapshot),
                                              .text = mg_buf_str(&r->fault)});
}

// Why the reload still waits for this place; false: it does not.
static bool is_late(const mg_reload *r, const mg_place *p, char *why, size_t n) {
    double seconds = (double)r->config.timeouts.reload_ms / 1000;
    bool asked = p->asked == r->number;
    if (asked ? p->ready == r->number : !will_serve(p)) {
        return false;
    }
    if (p->stuck) {
        snprintf(why, n, "worker %u has been stuck for %.1f s, the log names the line", p->slot + 1,
                 (double)p->stuck_ms / 1000);
    } else if (asked) {
        snprintf(why, n,
                 "worker %u was not ready after %.1f s (timeouts.reload): does on_start end?",
                 p->slot + 1, seconds);
    } else {
        snprintf(why, n, "worker %u did not serve again within %.1f s (timeouts.reload)",
                 p->slot + 1, seconds);
    }
    return true;
}

static void on_prepare_late(mg_timer *t) {
    mg_reload *r = MG_OF(t, mg_reload, limit);
    char why[120];
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = r->master->places[slot];
        if (p != NULL && is_late(r, p, why, sizeof why)) {
            fail_with(r, why);
            return;
        }
    }
    fail_with(r, "no worker could be started in time (timeouts.reload)");
}

static void prepare(mg_reload *r) {
    mg_master *m = r->master;
    r->step = PREPARE;
    mg_timer_start(m->loop, &r->limit, r->config.timeouts.reload_ms + 500, 0, on_prepare_late);
    if (m->generation == 0) {
        for (uint32_t slot = 0; slot < r->wanted && m->reload == r; slot++) {
            mg_place *p = mg_place_at(m, slot);
            p->asked = r->number;
            mg_place_start(p, r->snapshot, r->number, mg_buf_str(&r->fault));
        }
        return;
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        // One that is stuck is asked when it has recovered, or been replaced.
        if (p != NULL && p->state == MG_PLACE_SERVING && p->channel != NULL && !p->stuck) {
            ask(r, p);
        }
    }
    go_if_ready(r);
}

void mg_reload_on_serving(mg_master *m, mg_place *p) {
    if (m->reload != NULL && m->reload->step == PREPARE && p->asked != m->reload->number &&
        p->channel != NULL) {
        ask(m->reload, p);
    }
}

void mg_reload_on_ready(mg_master *m, mg_place *p, uint32_t number) {
    mg_reload *r = m->reload;
    if (r != NULL && r->step == PREPARE && number == r->number && p->asked == number) {
        go_if_ready(r);
    }
}

void mg_reload_on_failed(mg_master *m, mg_place *p, uint32_t number, mg_str why) {
    mg_reload *r = m->reload;
    if (r != NULL && r->step == PREPARE && number == r->number && p->asked == number) {
        fail(r, why);
    }
}

void mg_reload_on_death(mg_master *m, mg_place *p, const char *how) {
    mg_reload *r = m->reload;
    if (r == NULL || r->step != PREPARE) {
        return;
    }
    bool asked = p->asked == r->number;
    p->asked = 0;
    if (asked && !p->killed) { // a request kept it from being asked at all
        char why[160];
        snprintf(why, sizeof why, "worker %u %s while it loaded the scripts", p->slot + 1, how);
        fail_with(r, why);
    } else {
        go_if_ready(r);
    }
}

// --- children ---

static void on_collected(void *arg, int status, mg_str said);
static void on_tried(void *arg, int status, mg_str said);
static void on_specs_run(void *arg, int status, mg_str said);

// The command line again, as another command.
static char **argv_for(const mg_master *m, mg_command command) {
    char **argv = mg_calloc((size_t)m->argc + 1, sizeof *argv);
    memcpy(argv, m->argv, (size_t)m->argc * sizeof *argv);
    argv[1] = (char *)(uintptr_t)mg_cli_command_name(command);
    return argv;
}

static uint32_t workers_of(const mg_master *m, const mg_config *c) {
    return m->alone ? 1 : mg_config_workers(c);
}

// What can be done only once it is known what the first configuration says.
static int begin_service(mg_reload *r, mg_error *err) {
    mg_master *m = r->master;
    mg_config_log own = r->config.log;
    m->alone = m->cli->command == MG_COMMAND_DEV || r->config.workers == 0;
    r->wanted = workers_of(m, &r->config);
    own.access = NULL;
    int rc = mg_logs_open(&m->logs, &own, err);
    if (rc == MG_OK && m->shm == NULL) {
        rc = mg_shm_new(&m->shm, r->config.cache_bytes, err);
        rc = rc == MG_OK ? mg_cache_prepare(m->shm, err) : rc;
    }
    return rc;
}

// A server without one still obeys signals.
static void open_control(const mg_reload *r) {
    mg_error err;
    if (mg_control_open(&r->master->control, r->master, r->config.control, &err) != MG_OK) {
        mg_master_log(r->master, MG_LOG_WARN, "no control socket: %s", err.text);
    }
}

static int plan(mg_reload *r, mg_error *err) {
    mg_master *m = r->master;
    int fd = r->memfd;
    r->memfd = -1;
    int rc = mg_snapshot_open(&r->snapshot, fd, err);
    if (rc == MG_OK) {
        rc = mg_config_of_snapshot(&r->config, r->snapshot, m->cli->conf, &m->cli->overrides, err);
    }
    if (rc != MG_OK) {
        return rc;
    }
    r->wanted = workers_of(m, &r->config);
    mg_ids ids;
    if (r->config.user != NULL && (rc = mg_privileges_find(r->config.user, &ids, err)) != MG_OK) {
        return rc;
    }
    mg_logs_make_files(&r->config.log, r->config.user);
    if (m->generation == 0) {
        rc = begin_service(r, err);
    } else if (!m->alone && r->config.workers == 0) {
        rc = mg_error_set(err, MG_ECONFIG,
                          "%s: workers: 0 needs a restart: this server has a master", m->cli->conf);
    } else if (r->config.cache_bytes != m->config.cache_bytes) {
        mg_master_log(m, MG_LOG_WARN, "%s: cache: another size needs a restart", m->cli->conf);
    }
    if (rc == MG_OK) {
        rc = mg_sockets_plan(m, &r->config, r->wanted, err);
    }
    if (rc == MG_OK && m->generation == 0) {
        open_control(r); // whoever can connect can also ask for the status
    }
    return rc;
}

static const char *specs_of(const mg_reload *r) {
    return r->config.specs != NULL ? r->config.specs : (r->request.specs ? "spec" : NULL);
}

static int start_helper(mg_reload *r, char *const *argv, int fd, uint64_t limit_ms,
                        void (*on_end)(void *arg, int status, mg_str said)) {
    const mg_master *m = r->master;
    mg_helper_options o = {.loop = m->loop,
                           .processes = m->processes,
                           .file = m->self,
                           .argv = argv,
                           .fd = fd,
                           .limit_ms = limit_ms};
    return mg_helper_start(&r->helper, &o, on_end, r);
}

static void try_scripts(mg_reload *r) {
    char **argv = argv_for(r->master, MG_COMMAND_TRIAL);
    r->step = TRIAL;
    int rc = start_helper(r, argv, mg_snapshot_fd(r->snapshot),
                          r->config.timeouts.reload_ms + TRIAL_GRACE_MS, on_tried);
    mg_free(argv);
    if (rc != MG_OK) {
        fail_with(r, mg_strerror(rc));
    }
}

static void run_specs(mg_reload *r) {
    const mg_master *m = r->master;
    char *argv[] = {m->self, (char *)(uintptr_t)mg_cli_command_name(MG_COMMAND_SPEC),
                    (char *)(uintptr_t)r->config.root, (char *)(uintptr_t)specs_of(r), NULL};
    r->step = SPECS;
    int rc = start_helper(r, argv, mg_snapshot_fd(r->snapshot), SPECS_MS, on_specs_run);
    if (rc != MG_OK) {
        fail_with(r, mg_strerror(rc));
    }
}

// A helper that did not say what was wrong.
static void fail_silent(mg_reload *r, const char *what, int status) {
    char how[96] = "took too long";
    char why[160];
    if (status != MG_HELPER_LATE) {
        mg_process_describe(status, how, sizeof how);
    }
    snprintf(why, sizeof why, "%s %s", what, how);
    fail_with(r, why);
}

// What did not hinder it.
static void tell_warnings(const mg_reload *r, mg_str said) {
    mg_master *m = r->master;
    const char *doubt = mg_config_doubt(&r->config, r->wanted);
    while (said.n > 0 && said.p[said.n - 1] == '\n') {
        said.n--;
    }
    if (said.n > 0) {
        mg_master_log(m, MG_LOG_WARN, "%.*s", (int)said.n, said.p);
    }
    if (doubt != NULL) {
        mg_master_log(m, MG_LOG_WARN, "%s: %s", m->cli->conf, doubt);
    }
}

static void on_good(mg_reload *r) {
    if (specs_of(r) != NULL && r->master->generation > 0) {
        run_specs(r);
    } else {
        prepare(r);
    }
}

static void on_collected(void *arg, int status, mg_str said) {
    mg_reload *r = arg;
    mg_error err;
    r->helper = NULL;
    if (status != 0 && (said.n == 0 || status == MG_HELPER_LATE)) {
        fail_silent(r, "the configuration cannot be read: its reader", status);
    } else if (status != 0) {
        fail(r, said);
    } else if (plan(r, &err) != MG_OK) {
        fail_with(r, err.text);
    } else {
        tell_warnings(r, said);
        try_scripts(r);
    }
}

static void on_tried(void *arg, int status, mg_str said) {
    mg_reload *r = arg;
    bool dev = r->master->cli->command == MG_COMMAND_DEV;
    r->helper = NULL;
    if (status != 0 && (said.n == 0 || status == MG_HELPER_LATE)) {
        fail_silent(r, "the scripts cannot be loaded: their trial", status);
    } else if (status != 0 && dev) {
        mg_buf_append_str(&r->fault, said); // a page shows it
        prepare(r);
    } else if (status != 0) {
        fail(r, said);
    } else {
        on_good(r);
    }
}

static void on_specs_run(void *arg, int status, mg_str said) {
    mg_reload *r = arg;
    r->helper = NULL;
    if (status == 0) {
        prepare(r);
        return;
    }
    if (status == MG_HELPER_LATE) {
        fail_silent(r, "the specs", status);
        return;
    }
    mg_buf text = {0};
    mg_buf_append_str(&text, MG_STR("specs failed on the new scripts:\n"));
    mg_buf_append_str(&text, said);
    fail(r, mg_buf_str(&text));
    mg_buf_deinit(&text);
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
    r->request = *request;
    r->number = ++m->last_number;
    r->start_us = mg_loop_now_us(m->loop);
    m->reload = r;
    tell_reloading(m);
    r->memfd = mg_snapshot_memfd();
    char **argv = argv_for(m, MG_COMMAND_COLLECT);
    int rc = r->memfd < 0 ? r->memfd : start_helper(r, argv, r->memfd, COLLECT_MS, on_collected);
    mg_free(argv);
    if (rc != MG_OK) {
        fail_with(r, mg_strerror(rc));
    }
}

// A signal during a reload is remembered once.
static bool is_remembered(const mg_master *m) {
    for (size_t i = 0; i < m->waiting_count; i++) {
        if (m->waiting[i].reply == NULL) {
            return true;
        }
    }
    return false;
}

void mg_reload_ask(mg_master *m, const mg_reload_request *request) {
    if (m->stopping) {
        answer(request, false, MG_STR("the server is stopping"));
    } else if (m->reload == NULL) {
        begin(m, request);
    } else if (request->reply == NULL && is_remembered(m)) {
        return;
    } else if (m->waiting_count == MG_RELOADS_WAITING) {
        answer(request, false, MG_STR("too many reloads are waiting"));
    } else {
        m->waiting[m->waiting_count++] = *request;
    }
}
