#include "gate/trial.h"

#include "base/clock.h"
#include "base/io.h"
#include "config/streams.h"
#include "event/process.h"
#include "gate/app.h"
#include "gate/generation.h"
#include "gate/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    GRACE_MS = 1000, // for what ends by itself when load_ms are over, and says where it was
    LOG_BYTES = 8 * 1024,
    WATCHED_FDS = 64,
};

// What parent and child share: it is there however the child ends.
typedef struct board {
    mg_lua_spot spot;
    mg_error fault;
    int rc;
    bool done;
    size_t log_bytes;
    char log[LOG_BYTES]; // what the scripts said, as far as it fits
} board;

typedef struct trial {
    const mg_lua_app_options *options;
    int (*on_loaded)(void *arg, mg_lua_app *app, mg_error *err);
    void *arg;
    board *board;
    sigset_t signals; // as they were
    pid_t child;
} trial;

// --- the child ---

static void on_log(void *arg, const mg_log_event *event) {
    board *b = arg;
    size_t room = sizeof b->log - b->log_bytes;
    int n =
        snprintf(b->log + b->log_bytes, room, "%.*s\n", (int)event->message.n, event->message.p);
    b->log_bytes += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

static void note_open(bool open[WATCHED_FDS]) {
    for (int fd = 0; fd < WATCHED_FDS; fd++) {
        open[fd] = fcntl(fd, F_GETFD) >= 0;
    }
}

static int first_closed(const bool before[WATCHED_FDS]) {
    bool now[WATCHED_FDS];
    note_open(now);
    for (int fd = 0; fd < WATCHED_FDS; fd++) {
        if (before[fd] && !now[fd]) {
            return fd;
        }
    }
    return -1;
}

static int try_loading(const trial *t) {
    bool before[WATCHED_FDS];
    mg_loop *loop = NULL;
    mg_lua_app *app = NULL;
    mg_lua_app_options options = *t->options;
    options.spot = &t->board->spot;
    options.on_log = on_log;
    options.log_arg = t->board;
    int rc = mg_loop_new(&loop, &(mg_loop_options){0});
    if (rc != MG_OK) {
        return mg_error_set(&t->board->fault, rc, "%s", mg_strerror(rc));
    }
    note_open(before);
    rc = mg_lua_app_new(&app, loop, &options, &t->board->fault);
    int closed = first_closed(before);
    if (closed >= 0) { // the rest would trip over it
        return mg_error_set(&t->board->fault, MG_ELUA,
                            "%s: loading closed descriptor %d, which is not the scripts' own",
                            options.path, closed);
    }
    if (rc == MG_OK) {
        rc = t->on_loaded(t->arg, app, &t->board->fault);
    }
    mg_lua_app_free(app);
    mg_loop_free(loop);
    return rc;
}

static _Noreturn void be_child(const trial *t, pid_t parent) {
    setpgid(0, 0); // a signal to its group is no signal to others
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigprocmask(SIG_SETMASK, &t->signals, NULL);
    if (getppid() == parent) {
        t->board->rc = try_loading(t);
        t->board->done = true;
    }
    fflush(stdout);
    _exit(0);
}

// --- the parent ---

// SIGCHLD is blocked: it waits until it is looked for. Another child's may come as well.
static bool wait_for_child(const trial *t, int *status) {
    uint64_t until = mg_monotonic_ms() + t->options->load_ms + GRACE_MS;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        if (waitpid(t->child, status, WNOHANG) == t->child) {
            return true;
        }
        uint64_t now = mg_monotonic_ms();
        if (now >= until) {
            kill(t->child, SIGKILL);
            waitpid(t->child, status, 0);
            return false;
        }
        struct timespec rest = {(time_t)((until - now) / 1000),
                                (long)((until - now) % 1000) * 1000000};
        sigtimedwait(&child, NULL, &rest);
    }
}

static void tell_place(const trial *t, char *out, size_t n) {
    const mg_lua_spot *s = &t->board->spot;
    if (s->line == 0) {
        snprintf(out, n, "%s", t->options->path);
    } else {
        snprintf(out, n, "%s:%d", s->source, s->line);
    }
}

static int judge(const trial *t, bool ended, int status, mg_error *err) {
    const board *b = t->board;
    char how[96];
    char place[MG_LUA_PLACE + 12];
    tell_place(t, place, sizeof place);
    if (b->done && b->rc != MG_OK) {
        *err = b->fault;
        return b->rc;
    } else if (!ended) {
        return mg_error_set(
            err, MG_ELUA,
            "%s: loading does not come to an end: stopped after %g s, in a function of C or a "
            "finalizer",
            place, (double)t->options->load_ms / 1000);
    } else if (!b->done) {
        mg_process_describe(status, how, sizeof how);
        return mg_error_set(err, MG_ELUA, "%s: loading ended the process, which %s", place, how);
    }
    return MG_OK;
}

static int run(trial *t, mg_error *err) {
    sigset_t child;
    int status = 0;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &t->signals);
    fflush(stdout);
    pid_t parent = getpid();
    t->child = fork();
    if (t->child == 0) {
        be_child(t, parent);
    }
    int rc = t->child < 0 ? -errno : MG_OK;
    if (rc == MG_OK) {
        bool ended = wait_for_child(t, &status);
        rc = judge(t, ended, status, err);
    } else {
        mg_error_set(err, rc, "no process to load the scripts in: %s", mg_strerror(rc));
    }
    sigprocmask(SIG_SETMASK, &t->signals, NULL);
    return rc;
}

int mg_trial(const mg_lua_app_options *options,
             int (*on_loaded)(void *arg, mg_lua_app *app, mg_error *err), void *arg, mg_buf *said,
             mg_error *err) {
    trial t = {.options = options, .on_loaded = on_loaded, .arg = arg};
    void *shared =
        mmap(NULL, sizeof *t.board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return mg_error_set(err, -errno, "%s", mg_strerror(-errno));
    }
    t.board = shared;
    int rc = run(&t, err);
    mg_buf_append(said, t.board->log, t.board->log_bytes);
    munmap(shared, sizeof *t.board);
    return rc;
}

// --- the process of a master ---

// In the process that loads the app.
static int hand_on_streams(void *arg, mg_lua_app *app, mg_error *err) {
    mg_buf lines = {0};
    mg_lua_app_print_streams(app, &lines);
    int rc = mg_config_join_streams(arg, mg_buf_str(&lines), err);
    if (rc == MG_OK && (rc = mg_io_write(MG_TRIAL_STREAMS, mg_buf_str(&lines))) != MG_OK) {
        mg_error_set(err, rc, "addresses of streams: %s", mg_strerror(rc));
    }
    mg_buf_deinit(&lines);
    return rc;
}

static int try_snapshot(mg_config *c, mg_snapshot *s, mg_buf *said, mg_error *err) {
    mg_lua_app_options options = {.snapshot = s, .worker = c->workers != 0};
    mg_app_options(c, &options);
    return mg_trial(&options, hand_on_streams, c, said, err);
}

int mg_trial_main(const mg_cli *cli) {
    mg_snapshot *s = NULL;
    mg_config c = {0};
    mg_error err = {""};
    mg_buf said = {0};
    setpriority(PRIO_PROCESS, 0, 10); // those who serve come first
    int rc = mg_snapshot_open(&s, MG_TRIAL_IN, &err);
    if (rc == MG_OK) {
        rc = mg_config_of_snapshot(&c, s, cli->conf, &cli->overrides, &err);
    }
    if (rc == MG_OK) {
        rc = mg_privileges_become(c.user, &err);
    }
    if (rc == MG_OK) {
        rc = try_snapshot(&c, s, &said, &err);
    }
    if (rc != MG_OK) {
        fprintf(stderr, "%s\n%s%.*s", err.text, said.n > 0 ? "the scripts said:\n" : "",
                (int)said.n, said.p);
    }
    mg_buf_deinit(&said);
    mg_config_deinit(&c);
    mg_snapshot_unref(s);
    return rc == MG_OK ? 0 : 1;
}
