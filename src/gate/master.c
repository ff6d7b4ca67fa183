#include "gate/master.h"

#include "gate/master_inside.h"

#include "base/mem.h"
#include "gate/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    KILL_GRACE_MS = 5000, // behind timeouts.drain, for on_stop and the logs
};

void mg_master_log(mg_master *m, mg_log_level level, const char *fmt, ...) {
    mg_error text;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text.text, sizeof text.text, fmt, ap);
    va_end(ap);
    if (m->logs.error != NULL) {
        mg_log_printf(m->logs.error, level, "%s", text.text);
    } else {
        fprintf(stderr, "moongate: %s\n", text.text);
    }
}

void mg_master_log_lines(mg_master *m, mg_log_level level, mg_str lines) {
    while (lines.n > 0) {
        mg_str line = mg_str_cut(&lines, '\n');
        mg_master_log(m, level, "%.*s", (int)line.n, line.p);
    }
}

char **mg_master_argv(const mg_master *m, mg_command command, const char *more) {
    char **argv = mg_calloc((size_t)m->argc + 2, sizeof *argv);
    memcpy(argv, m->argv, (size_t)m->argc * sizeof *argv);
    argv[1] = (char *)(uintptr_t)mg_cli_command_name(command);
    argv[m->argc] = (char *)(uintptr_t)more;
    return argv;
}

// --- stopping ---

static void leave(mg_master *m) {
    mg_loop_stop(m->loop);
}

static void on_stop_late(mg_timer *t) {
    mg_master *m = MG_OF(t, mg_master, stop_timer);
    mg_master_log(m, MG_LOG_WARN, "workers did not stop in time: killed");
    mg_places_kill(m);
}

static void begin_stop(mg_master *m) {
    uint64_t drain_ms = m->config.timeouts.drain_ms;
    m->stopping = true;
    mg_notify("STOPPING=1");
    mg_master_log(m, MG_LOG_INFO, "stopping: requests under way finish within %.1f s",
                  (double)drain_ms / 1000);
    mg_reload_end(m);
    mg_acme_end(m);
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL) {
            mg_place_stop(m->places[slot], false);
        }
    }
    mg_sockets_close(m, true); // the workers take whoever waits, then close theirs
    mg_timer_start(m->loop, &m->stop_timer, drain_ms * 2 + KILL_GRACE_MS, 0, on_stop_late);
}

// Also called for each worker that has gone.
void mg_master_stop(mg_master *m, bool now) {
    if (now) {
        m->stopping = true;
        mg_reload_end(m);
        mg_places_kill(m);
        leave(m);
    } else if (m->stopping && !mg_places_alive(m)) {
        leave(m);
    }
}

// --- signals ---

// A terminal that has gone is told by the same signal as a wish to reload.
static bool terminal_is_gone(const mg_master *m) {
    if (!m->had_terminal) {
        return false;
    }
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
    }
    return fd < 0;
}

void mg_master_ask_stop(mg_master *m, bool now) {
    if (m->stopping || now || m->generation == 0) {
        mg_master_log(m, MG_LOG_INFO, "stopping at once");
        mg_master_stop(m, true);
    } else {
        begin_stop(m);
        mg_master_stop(m, false);
    }
}

static void reopen(mg_master *m) {
    mg_logs_make_files(&m->config.log, m->config.user);
    mg_logs_reopen(&m->logs);
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL) {
            mg_channel_tell(m->places[slot]->channel, MG_MESSAGE_REOPEN, 0, 0);
        }
    }
    mg_acme_reopen(m);
}

static void on_hup(mg_master *m) {
    if (terminal_is_gone(m)) {
        if (!m->hup_ignored) { // nohup
            mg_master_ask_stop(m, false);
        }
        return;
    }
    mg_reload_ask(m, &(mg_reload_request){.reply = NULL});
}

static void on_signal(void *arg, int signum) {
    mg_master *m = arg;
    if (signum == SIGUSR1) {
        reopen(m);
    } else if (signum == SIGHUP) {
        on_hup(m);
    } else if (signum == SIGUSR2) {
        mg_master_log(m, MG_LOG_WARN, "binary upgrade is not in this version");
    } else {
        mg_master_ask_stop(m, signum == SIGQUIT);
    }
}

static void open_signals(mg_master *m) {
    static const int wanted[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGHUP};
    struct sigaction hup;
    m->hup_ignored = sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN;
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    m->had_terminal = fd >= 0;
    if (fd >= 0) {
        close(fd);
    }
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        mg_signal_open(&m->signals[i], m->loop, wanted[i], on_signal, m);
    }
}

// --- the watch ---

// A gap counts at most twice: a master that was late itself, or stopped by its terminal, has seen
// nothing.
static void on_tick(mg_timer *t) {
    mg_master *m = MG_OF(t, mg_master, tick);
    uint64_t now = mg_loop_now_ms(m->loop);
    uint64_t gap = now - m->ticked_ms;
    m->ticked_ms = now;
    mg_places_watch(m, gap < 2 * TICK_MS ? gap : 2 * TICK_MS);
    mg_keys_rotate(m);
    mg_acme_look(m);
    mg_master_await_control(m);
}

// --- life ---

static void on_first(void *arg, bool ok, mg_str text) {
    mg_master *m = arg;
    (void)text;
    if (ok && m->cli->command == MG_COMMAND_DEV) {
        mg_master_watch_scripts(m);
    }
}

static char *own_path(void) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return mg_strndup(path, n > 0 ? (size_t)n : 0);
}

static int start(mg_master *m, mg_error *err) {
    int rc = mg_loop_new(&m->loop, &(mg_loop_options){0});
    if (rc != MG_OK) {
        return mg_error_set(err, rc, "the event loop cannot be made: %s", mg_strerror(rc));
    }
    open_signals(m);
    rc = mg_processes_open(&m->processes, m->loop);
    if (rc == MG_OK) {
        m->started_ms = m->ticked_ms = mg_loop_now_ms(m->loop);
        mg_timer_start(m->loop, &m->tick, TICK_MS, TICK_MS, on_tick);
        mg_reload_ask(m, &(mg_reload_request){.reply = on_first, .arg = m});
    }
    return rc;
}

// It has stopped: whoever asks for that once more must not make it look as if it had failed.
static void ignore_further_stops(void) {
    static const int stops[] = {SIGTERM, SIGINT};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        sigaddset(&set, stops[i]);
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL); // closing their watchers restores what they did before
}

static void release(mg_master *m) {
    if (m->loop == NULL) {
        return;
    }
    ignore_further_stops();
    mg_timer_stop(&m->tick);
    mg_timer_stop(&m->stop_timer);
    mg_dev_close(m->dev);
    mg_control_close(m->control);
    mg_acme_end(m);
    mg_places_free(m);
    mg_sockets_close(m, true);
    mg_processes_close(m->processes);
    for (size_t i = 0; i < sizeof m->signals / sizeof *m->signals; i++) {
        mg_signal_close(m->signals[i]);
    }
    mg_loop_free(m->loop);
    mg_snapshot_unref(m->snapshot);
    mg_tls_store_unref(m->keys);
    mg_buf_deinit(&m->throwaway);
    mg_config_deinit(&m->config);
    mg_orders_deinit(&m->orders);
    mg_shm_free(m->shm);
    mg_logs_close(&m->logs);
    mg_free(m->self);
}

int mg_master_run(const mg_cli *cli, int argc, char *const *argv) {
    mg_master m = {.cli = cli, .argc = argc, .argv = (char **)(uintptr_t)argv};
    mg_error err;
    m.self = own_path();
    mg_lending_init(&m.lending);
    mg_acme_init(&m);
    if (start(&m, &err) != MG_OK) {
        fprintf(stderr, "moongate: %s\n", err.text);
        release(&m);
        return 1;
    }
    mg_loop_run(m.loop);
    if (m.stopping && m.exit_status == 0) {
        mg_master_log(&m, MG_LOG_INFO, "stopped");
    }
    release(&m);
    return m.exit_status;
}
