#include "gate/worker.h"

#include "base/log.h"
#include "base/mem.h"
#include "event/signal.h"
#include "gate/access_log.h"
#include "gate/app.h"
#include "http/forwarded.h"
#include "server/server.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { LOG_CLOSE_MS = 2000, SIGNALS = 5, SPARE_DESCRIPTORS = 16 };

typedef struct worker {
    const mg_config *config;
    mg_loop *loop;
    mg_lua_app *app;
    mg_server *server;
    mg_log *log;
    mg_log *access_log; // NULL: none is kept
    mg_access_log access;
    mg_trust *trust;
    mg_signal *signals[SIGNALS];
    mg_timer drain_timer;
    int *sockets; // opened, not yet listened on
    size_t socket_count;
    bool stopping;
    bool stopped;
    int exit_status;
} worker;

static int fail(const mg_error *err) {
    fprintf(stderr, "moongate: %s\n", err->text);
    return 1;
}

// --- limits of the process ---

// As many descriptors as the system allows; returns the limit.
static uint64_t raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static uint64_t descriptors_in_use(void) {
    uint64_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) {
        n++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return n;
}

// Connections share the limit with what is open already, and with files yet to be opened.
static uint32_t connections_within(uint32_t limit) {
    uint64_t other = descriptors_in_use() + SPARE_DESCRIPTORS;
    return limit > other + 1 ? (uint32_t)(limit - other) : 1;
}

// --- logs ---

static void on_log(void *arg, const mg_log_event *event) {
    mg_log_event_write(((worker *)arg)->log, event);
}

static void on_access(void *arg, const mg_access_record *r) {
    mg_access_log_write(&((worker *)arg)->access, r);
}

static int open_logs(worker *w, mg_error *err) {
    const mg_config_log *c = &w->config->log;
    mg_log_options options = {
        .target = c->file,
        .level = c->level,
        .json = c->error_format == MG_CONFIG_JSON,
    };
    int rc = mg_log_open(&w->log, &options, err);
    if (rc != MG_OK || c->access == NULL) {
        return rc;
    }
    mg_log_options access = {.target = c->access, .report = w->log};
    rc = mg_log_open(&w->access_log, &access, err);
    if (rc == MG_OK) {
        mg_access_log_init(&w->access, w->access_log, c->access_format == MG_CONFIG_JSON);
    }
    return rc;
}

static void close_logs(worker *w) {
    if (w->access_log != NULL) {
        mg_access_log_deinit(&w->access);
    }
    mg_log_close(w->access_log, LOG_CLOSE_MS);
    mg_log_close(w->log, LOG_CLOSE_MS);
}

// --- stopping ---

static void finish(worker *w) {
    w->stopped = true;
    mg_loop_stop(w->loop);
}

static void on_app_stopped(void *arg) {
    finish(arg);
}

static void on_drained(void *arg) {
    worker *w = arg;
    mg_timer_stop(&w->drain_timer);
    mg_lua_app_stop(w->app, on_app_stopped, w);
}

static void on_drain_late(mg_timer *t) {
    worker *w = MG_OF(t, worker, drain_timer);
    mg_log_printf(w->log, MG_LOG_WARN, "drain: %llu connections are closed after %.1f s",
                  (unsigned long long)w->server->stats.connections,
                  (double)w->config->timeouts.drain_ms / 1000);
    mg_server_close(w->server);
}

static void stop(worker *w, int signum) {
    if (w->stopping || signum == SIGQUIT) {
        finish(w);
        return;
    }
    w->stopping = true;
    mg_log_printf(w->log, MG_LOG_INFO, "stopping: requests under way finish within %.1f s",
                  (double)w->config->timeouts.drain_ms / 1000);
    mg_timer_start(w->loop, &w->drain_timer, w->config->timeouts.drain_ms, 0, on_drain_late);
    mg_server_drain(w->server, on_drained, w);
}

static void on_signal(void *arg, int signum) {
    worker *w = arg;
    if (signum == SIGUSR1) {
        mg_log_reopen(w->log);
        if (w->access_log != NULL) {
            mg_log_reopen(w->access_log);
        }
    } else if (signum == SIGHUP) {
        mg_log_printf(w->log, MG_LOG_WARN,
                      "reload is not in this version: restart to load changed scripts");
    } else {
        stop(w, signum);
    }
}

static void open_signals(worker *w) {
    static const int wanted[SIGNALS] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};
    for (size_t i = 0; i < SIGNALS; i++) {
        mg_signal_open(&w->signals[i], w->loop, wanted[i], on_signal, w);
    }
}

// --- starting ---

static int open_sockets(worker *w, mg_error *err) {
    w->sockets = mg_calloc(w->config->listen.n, sizeof *w->sockets);
    for (size_t i = 0; i < w->config->listen.n; i++) {
        mg_address address;
        int rc = mg_address_parse(w->config->listen.items[i], &address, err);
        int fd = rc == MG_OK ? mg_listen_socket(&address, !address.is_unix, err) : rc;
        if (fd < 0) {
            return fd;
        }
        w->sockets[w->socket_count++] = fd;
    }
    return MG_OK;
}

static void announce(worker *w) {
    for (size_t i = 0; i < w->server->listener_count; i++) {
        mg_address address;
        if (mg_listener_address(w->server->listeners[i], &address) == 0) {
            mg_log_printf(w->log, MG_LOG_INFO, "listening on %s%s (pid %ld)",
                          address.is_unix ? "" : "http://", address.text, (long)getpid());
        }
    }
}

static void on_ready(void *arg, const char *message) {
    worker *w = arg;
    if (message != NULL) {
        mg_log_printf(w->log, MG_LOG_ERROR, "on_start failed: %s", message);
        w->exit_status = 1;
        finish(w);
        return;
    }
    if (w->stopping) {
        return;
    }
    for (size_t i = 0; i < w->socket_count; i++) {
        if (mg_server_listen(w->server, w->sockets[i]) != 0) {
            close(w->sockets[i]);
        }
    }
    w->socket_count = 0;
    announce(w);
}

static int start(worker *w, mg_error *err) {
    uint64_t descriptors = raise_descriptors();
    int rc = mg_loop_new(&w->loop, &(mg_loop_options){0});
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "the event loop cannot be made: %s", mg_strerror(rc));
    }
    open_signals(w); // before the sockets: whoever can connect can also tell it to stop
    mg_server_options options;
    mg_config_server_options(w->config, descriptors, &options);
    rc = mg_trust_new(&w->trust, w->config->trusted_proxies.items, w->config->trusted_proxies.n,
                      err);
    if (rc == MG_OK) {
        rc = mg_app_of_config(&w->app, w->loop, w->config, err);
    }
    if (rc == MG_OK) {
        rc = open_sockets(w, err);
    }
    if (rc == MG_OK) {
        rc = open_logs(w, err);
    }
    if (rc != MG_OK) {
        return rc;
    }
    options.trust = w->trust;
    options.connections = connections_within(options.connections);
    w->server = mg_server_new(w->loop, mg_lua_app_seam(w->app), &options);
    mg_vm *vm = mg_lua_app_vm(w->app);
    vm->server = w->server;
    vm->on_log = on_log;
    vm->log_arg = w;
    if (w->access_log != NULL) {
        w->server->on_access = on_access;
        w->server->access_arg = w;
    }
    mg_lua_app_start(w->app, on_ready, w);
    return MG_OK;
}

// --- the end ---

static void unlink_sockets(const worker *w) {
    for (size_t i = 0; i < w->config->listen.n; i++) {
        mg_address address;
        if (mg_address_parse(w->config->listen.items[i], &address, NULL) == MG_OK &&
            address.is_unix) {
            unlink(address.text + strlen("unix:"));
        }
    }
}

static void release(worker *w) {
    for (size_t i = 0; i < w->socket_count; i++) {
        close(w->sockets[i]);
    }
    mg_free(w->sockets);
    for (size_t i = 0; i < SIGNALS; i++) {
        mg_signal_close(w->signals[i]);
    }
    if (w->server != NULL) {
        unlink_sockets(w);
        mg_server_close(w->server);
        while (w->server->stats.connections > 0) {
            mg_loop_turn(w->loop, false, false, 0);
        }
    }
    if (w->loop != NULL) {
        mg_timer_stop(&w->drain_timer);
    }
    mg_server_free(w->server);
    mg_lua_app_free(w->app);
    if (w->loop != NULL) {
        mg_loop_free(w->loop);
    }
    mg_trust_free(w->trust);
    close_logs(w);
}

int mg_worker_run(const mg_config *config) {
    worker w = {.config = config};
    mg_error err;
    if (start(&w, &err) != MG_OK) {
        release(&w);
        return fail(&err);
    }
    mg_loop_run(w.loop);
    if (w.stopping) {
        mg_log_printf(w.log, MG_LOG_INFO, "stopped");
    }
    release(&w);
    return w.exit_status;
}
