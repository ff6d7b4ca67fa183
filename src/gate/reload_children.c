// What a reload lets children do, one after the other: read, try, test.

#include "gate/reload_inside.h"

#include "base/mem.h"
#include "config/check.h"

#include <stdio.h>

enum {
    COLLECT_MS = 60000, // ten thousand new certificates take some ten seconds
    SPECS_MS = 120000,
    TRIAL_GRACE_MS = 5000, // it knows timeouts.reload itself
};

static void on_collected(void *arg, int status, mg_str said);
static void on_tried(void *arg, int status, mg_str said);
static void on_specs_run(void *arg, int status, mg_str said);

static bool is_dev(const mg_master *m) {
    return m->cli->command == MG_COMMAND_DEV;
}

const char *mg_reload_specs(const mg_reload *r) {
    return r->config.specs != NULL ? r->config.specs : (r->request.specs ? "spec" : NULL);
}

static int start_helper(mg_reload *r, char *const *argv, const int *fds, size_t fd_count,
                        uint64_t limit_ms, void (*on_end)(void *arg, int status, mg_str said)) {
    const mg_master *m = r->master;
    mg_helper_options o = {.loop = m->loop,
                           .processes = m->processes,
                           .file = m->self,
                           .argv = argv,
                           .fds = fds,
                           .fd_count = fd_count,
                           .limit_ms = limit_ms};
    return mg_helper_start(&r->helper, &o, on_end, r);
}

int mg_reload_try(mg_reload *r) {
    char **argv = mg_master_argv(r->master, MG_COMMAND_TRIAL, NULL);
    r->streams_fd = mg_snapshot_memfd();
    const int fds[] = {mg_snapshot_fd(r->snapshot), r->streams_fd}; // of MG_TRIAL_IN and so on
    int rc = r->streams_fd;
    if (rc >= 0) {
        rc = start_helper(r, argv, fds, 2, r->config.timeouts.reload_ms + TRIAL_GRACE_MS, on_tried);
    }
    mg_free(argv);
    return rc;
}

int mg_reload_run_specs(mg_reload *r) {
    const mg_master *m = r->master;
    char *argv[] = {m->self, (char *)(uintptr_t)mg_cli_command_name(MG_COMMAND_SPEC),
                    (char *)(uintptr_t)r->config.root, (char *)(uintptr_t)mg_reload_specs(r), NULL};
    int fd = mg_snapshot_fd(r->snapshot);
    return start_helper(r, argv, &fd, 1, SPECS_MS, on_specs_run);
}

// A helper that did not say what was wrong.
static void fail_silent(mg_reload *r, const char *what, int status) {
    char how[96] = "took too long";
    char why[160];
    if (status != MG_HELPER_LATE) {
        mg_process_describe(status, how, sizeof how);
    }
    snprintf(why, sizeof why, "%s %s", what, how);
    mg_reload_refuse_with(r, why);
}

// What did not hinder it.
static void tell_warnings(const mg_reload *r, mg_str said) {
    mg_master *m = r->master;
    const char *doubt = mg_config_doubt(&r->config, r->wanted);
    mg_master_log_lines(m, MG_LOG_WARN, said);
    if (doubt != NULL) {
        mg_master_log(m, MG_LOG_WARN, "%s: %s", m->cli->conf, doubt);
    }
}

static void on_collected(void *arg, int status, mg_str said) {
    mg_reload *r = arg;
    mg_error err;
    r->helper = NULL;
    if (status != 0 && (said.n == 0 || status == MG_HELPER_LATE)) {
        fail_silent(r, "the configuration cannot be read: its reader", status);
    } else if (status != 0) {
        mg_reload_refuse(r, said);
    } else if (mg_reload_plan(r, &err) != MG_OK) {
        mg_reload_refuse_with(r, err.text);
    } else {
        tell_warnings(r, said);
        mg_reload_go_on(r);
    }
}

// Addresses are bound before workers load what is to speak there.
static void plan_streams(mg_reload *r, bool faulty) {
    mg_error err;
    if (mg_reload_plan_streams(r, faulty, &err) == MG_OK) {
        mg_reload_go_on(r);
    } else {
        mg_reload_refuse_with(r, err.text);
    }
}

static void on_tried(void *arg, int status, mg_str said) {
    mg_reload *r = arg;
    r->helper = NULL;
    if (status != 0 && (said.n == 0 || status == MG_HELPER_LATE)) {
        fail_silent(r, "the scripts cannot be loaded: their trial", status);
    } else if (status != 0 && is_dev(r->master)) {
        mg_buf_append_str(&r->fault, said); // a page shows it
        plan_streams(r, true);
    } else if (status != 0) {
        mg_reload_refuse(r, said);
    } else {
        plan_streams(r, false);
    }
}

static void on_specs_run(void *arg, int status, mg_str said) {
    mg_reload *r = arg;
    r->helper = NULL;
    if (status == 0) {
        mg_reload_go_on(r);
        return;
    }
    if (status == MG_HELPER_LATE) {
        fail_silent(r, "the specs", status);
        return;
    }
    mg_buf text = {0};
    mg_buf_append_str(&text, MG_STR("specs failed on the new scripts:\n"));
    mg_buf_append_str(&text, said);
    mg_reload_refuse(r, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

int mg_reload_collect(mg_reload *r) {
    mg_master *m = r->master;
    mg_error err;
    r->memfd = mg_snapshot_memfd();
    r->keys_fd = mg_keys_begin(m, &err);
    if (r->memfd < 0 || r->keys_fd < 0) {
        return r->memfd < 0 ? r->memfd : r->keys_fd;
    }
    // In the order of MG_COLLECT_OUT and so on.
    const int fds[] = {r->memfd, r->keys_fd, m->keys != NULL ? mg_tls_store_fd(m->keys) : -1};
    char **argv = mg_master_argv(m, MG_COMMAND_COLLECT, is_dev(m) ? "--dev" : NULL);
    int rc = start_helper(r, argv, fds, m->keys != NULL ? 3 : 2, COLLECT_MS, on_collected);
    mg_free(argv);
    return rc;
}
