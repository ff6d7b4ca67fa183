#include "gate/worker.h"

#include "base/mem.h"
#include "event/descriptors.h"
#include "event/signal.h"
#include "event/task.h"
#include "gate/accepting.h"
#include "gate/channel.h"
#include "gate/generation.h"
#include "gate/jobs.h"
#include "gate/logs.h"
#include "gate/privileges.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    // Of the process's limit: what threads open for a moment, scripts of generations, logs.
    UNCOUNTED_DESCRIPTORS = 32,
    MOST_SPARE = 64,    // descriptors
    IDLE_GRACE_MS = 20, // for a request that is on its way when its connection is to be closed
    CELL_MS = 500,
    CALM_REQUESTS = 100, // of a tick, at most
    TICKS_TO_TEND = 4,
};

struct mg_worker {
    const mg_worker_options *options;
    mg_loop *loop;
    mg_channel *master;
    mg_shm *shm;
    mg_cell *cell;
    uint32_t slot;
    mg_server *server;
    mg_accepting accepting;
    mg_jobs jobs;
    mg_logs logs;
    mg_logs next_logs; // of `next`, if they differ
    mg_generation *current;
    mg_generation *next;
    char *fault;     // dev: what `next` serves, because its scripts cannot be loaded
    mg_link retired; // generations that requests still hold, oldest first
    mg_stall *stall;
    mg_timer cell_timer;
    mg_timer drain_timer;
    uint64_t descriptors; // RLIMIT_NOFILE
    uint64_t requests_seen;
    uint32_t calm_ticks;
    bool stopping;
    bool ended;
    void (*on_end)(void *arg);
    void *end_arg;
};

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

static uint32_t descriptors_in_use(void) {
    uint32_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL) {
        n++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return n > 3 ? n - 3 : 0; // ".", ".." and the folder itself
}

// What nobody counts is there before the first connection: the loop's own, logs, memory.
static void count_what_is_open(const mg_worker *w) {
    uint32_t open = descriptors_in_use();
    uint32_t counted = mg_descriptors_open(w->loop);
    mg_descriptors_hold(w->loop, open > counted ? open - counted : 0);
}

static void server_options(const mg_worker *w, const mg_generation *g, mg_server_options *out) {
    uint32_t most = mg_config_descriptors(&g->config, w->descriptors);
    uint64_t bound =
        w->descriptors > UNCOUNTED_DESCRIPTORS ? w->descriptors - UNCOUNTED_DESCRIPTORS : 1;
    most = most < bound ? most : (uint32_t)bound;
    mg_descriptors_set_limit(w->loop, most);
    mg_config_server_options(&g->config, out);
    out->spare_descriptors = most / 16 < MOST_SPARE ? most / 16 : MOST_SPARE;
    out->trust = g->trust;
}

// --- logs ---

static void on_log(void *arg, const mg_log_event *event) {
    mg_log_event_write(((mg_worker *)arg)->logs.error, event);
}

static void on_access(void *arg, const mg_access_record *r) {
    mg_logs_access(&((mg_worker *)arg)->logs, r);
}

typedef struct log_closing {
    mg_task task;
    mg_logs logs;
} log_closing;

static void run_log_closing(mg_task *t) {
    mg_logs_close(&MG_OF(t, log_closing, task)->logs);
}

static void on_logs_closed(mg_task *t, int status) {
    (void)status;
    mg_free(MG_OF(t, log_closing, task));
}

static const mg_task_ops log_closing_ops = {run_log_closing, on_logs_closed};

// A destination may hang: off the loop.
static void close_logs_later(mg_worker *w, mg_logs *logs) {
    log_closing *c = mg_calloc(1, sizeof *c);
    c->logs = *logs;
    *logs = (mg_logs){0};
    if (mg_task_start(w->loop, &c->task, &log_closing_ops) != MG_OK) {
        run_log_closing(&c->task);
        mg_free(c);
    }
}

static void on_stall(void *arg, const mg_stall_report *r) {
    const mg_worker *w = arg;
    mg_log_printf(w->logs.error, r->aborted ? MG_LOG_ERROR : MG_LOG_WARN,
                  "%s: worker %u waits for %s (request %s) since %.2f s, at %s%s",
                  r->aborted ? "stall, made to fail" : "stall", w->slot + 1, r->route,
                  r->request_id, (double)r->stuck_ms / 1000, r->where,
                  r->in_c ? ", in a function of C that cannot be interrupted" : "");
}

// --- what the master and `moongate status` see ---

static void fill_cell_generation(mg_cell_generation *out, mg_generation *g) {
    mg_lua_pins pins = mg_lua_app_pins(g->app);
    *out = (mg_cell_generation){g->number, pins.requests, pins.streams, pins.background};
}

static void fill_cell(mg_worker *w) {
    mg_cell_generation *at = w->cell->generations;
    mg_cell_generation *end = at + MG_CELL_GENERATIONS;
    if (w->current != NULL) {
        fill_cell_generation(at++, w->current);
        w->cell->lua_bytes = mg_lua_app_memory(w->current->app);
    }
    for (mg_link *l = w->retired.prev; l != &w->retired && at < end; l = l->prev) {
        mg_generation *g = MG_OF(l, mg_generation, link);
        fill_cell_generation(at++, g);
        w->cell->lua_bytes += mg_lua_app_memory(g->app);
    }
    while (at < end) {
        *at++ = (mg_cell_generation){0};
    }
    mg_jobs_show(&w->jobs, w->cell->jobs);
}

static void on_warning(void *arg, const char *text) {
    mg_log_printf(((mg_worker *)arg)->logs.error, MG_LOG_WARN, "%s", text);
}

// Many slow readers, large bodies, a crowd that left: the memory of a peak is given back after it.
static void tend_memory(mg_worker *w) {
    uint64_t requests = w->cell->traffic.requests;
    bool calm = requests - w->requests_seen < CALM_REQUESTS;
    w->requests_seen = requests;
    if (calm && ++w->calm_ticks % TICKS_TO_TEND == 0) {
        mg_mem_tend();
    }
}

static void on_cell_time(mg_timer *t) {
    mg_worker *w = MG_OF(t, mg_worker, cell_timer);
    fill_cell(w);
    tend_memory(w);
    mg_jobs_look(&w->jobs, mg_loop_now_ms(w->loop), on_warning, w);
}

// --- stopping ---

static void finish(mg_worker *w) {
    if (w->ended) {
        return;
    }
    w->ended = true;
    mg_timer_stop(&w->drain_timer);
    w->on_end(w->end_arg);
}

static void on_app_stopped(void *arg) {
    finish(arg);
}

static void on_stop_late(mg_timer *t) {
    mg_worker *w = MG_OF(t, mg_worker, drain_timer);
    mg_log_printf(w->logs.error, MG_LOG_WARN, "on_stop did not come to its end");
    finish(w);
}

static void on_drained(void *arg) {
    mg_worker *w = arg;
    mg_timer_start(w->loop, &w->drain_timer, w->current->config.timeouts.drain_ms, 0, on_stop_late);
    mg_lua_app_stop(w->current->app, on_app_stopped, w);
}

static void on_drain_late(mg_timer *t) {
    mg_worker *w = MG_OF(t, mg_worker, drain_timer);
    mg_log_printf(w->logs.error, MG_LOG_WARN, "drain: %llu connections are closed after %.1f s",
                  (unsigned long long)w->server->stats->connections,
                  (double)w->current->config.timeouts.drain_ms / 1000);
    mg_server_close(w->server);
}

// `idle_ms`: how long connections without a request are kept.
static void stop(mg_worker *w, uint64_t idle_ms) {
    if (w->stopping) {
        return;
    }
    w->stopping = true;
    if (w->server == NULL) {
        finish(w);
        return;
    }
    uint64_t drain_ms = w->current->config.timeouts.drain_ms;
    mg_accepting_end(&w->accepting);
    mg_accepting_deinit(&w->accepting); // so that nobody waits at a door that stays shut
    mg_timer_start(w->loop, &w->drain_timer, drain_ms, 0, on_drain_late);
    mg_server_drain(w->server, idle_ms < drain_ms ? idle_ms : drain_ms, on_drained, w);
}

// --- generations ---

static void tell_failed(mg_worker *w, uint32_t number, const char *text) {
    mg_channel_send(
        w->master,
        &(mg_message){.type = MG_MESSAGE_FAILED, .a = number, .fd = -1, .text = mg_str_of(text)});
}

static void drop_next(mg_worker *w) {
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
        drop_next(w);
    }
}

// The first configuration says who this process is to be.
static int become_user(const mg_worker *w, const mg_config *c, mg_error *err) {
    mg_ids ids = {0};
    if (w->options->alone || c->user == NULL) {
        return MG_OK;
    }
    int rc = mg_privileges_find(c->user, &ids, err);
    return rc == MG_OK ? mg_privileges_drop(&ids, err) : rc;
}

static int open_first_logs(mg_worker *w, const mg_snapshot *s, mg_error *err) {
    mg_config c;
    int rc = mg_config_of_snapshot(&c, s, w->options->conf, w->options->overrides, err);
    if (rc == MG_OK) {
        rc = become_user(w, &c, err);
    }
    if (rc == MG_OK) {
        rc = mg_logs_open(&w->logs, &c.log, err);
    }
    if (rc == MG_OK) {
        mg_stall_options stall = {
            .pulse = &w->cell->pulse,
            .warn_ms = (uint32_t)c.timeouts.stall_warn_ms,
            .abort_ms = (uint32_t)c.timeouts.stall_abort_ms,
            .on_report = on_stall,
            .arg = w,
        };
        rc = mg_stall_open(&w->stall, &stall);
    }
    mg_config_deinit(&c);
    return rc;
}

// What the scripts of a snapshot are lent: that of the current ones, unless they want something
// else.
static int services_for(mg_worker *w, const mg_snapshot *s, mg_service_set **out, mg_error *err) {
    mg_config c;
    mg_service_set *now = w->current != NULL ? w->current->services : NULL;
    int rc = mg_config_of_snapshot(&c, s, w->options->conf, w->options->overrides, err);
    if (rc == MG_OK && now != NULL && mg_service_set_fits(now, &c)) {
        *out = mg_service_set_ref(now);
    } else if (rc == MG_OK) {
        const mg_service_options o = {
            .config = &c,
            .shm = w->shm,
            .holder = (uint64_t)getpid(),
            .on_warning = on_warning,
            .log_arg = w,
        };
        rc = mg_service_set_new(out, w->loop, &o, err);
    }
    mg_config_deinit(&c);
    return rc;
}

static int load(mg_worker *w, uint32_t number, mg_snapshot *s, mg_error *err) {
    int rc = w->logs.error == NULL ? open_first_logs(w, s, err) : MG_OK;
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
                .fault = w->fault,
                .jobs = &mg_jobs_seam,
                .jobs_arg = &w->jobs,
                .on_log = on_log,
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

static void prepare(mg_worker *w, mg_message *m) {
    mg_error err = {""};
    mg_snapshot *s = NULL;
    int fd = m->fd;
    m->fd = -1;
    drop_next(w);
    int rc = w->stopping ? mg_error_set(&err, MG_ECLOSED, "the worker is stopping")
                         : mg_snapshot_open(&s, fd, &err);
    if (rc == MG_OK) {
        take_fault(w, m->text);
        rc = load(w, m->a, s, &err);
    } else if (w->stopping && fd >= 0) {
        close(fd);
    }
    mg_snapshot_unref(s);
    if (rc != MG_OK) {
        tell_failed(w, m->a, err.text);
        drop_next(w);
    }
}

static void on_gone(void *arg, mg_generation *g) {
    mg_worker *w = arg;
    mg_log_printf(w->logs.error, MG_LOG_INFO, "worker %u: generation %u is over", w->slot + 1,
                  g->number);
    mg_jobs_forget(&w->jobs, mg_lua_app_vm(g->app));
    mg_stall_forget(w->stall, mg_lua_app_vm(g->app));
    mg_generation_free(g);
    fill_cell(w);
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

static void take_logs(mg_worker *w) {
    if (w->next_logs.error != NULL) {
        mg_logs old = w->logs;
        w->logs = w->next_logs;
        w->next_logs = (mg_logs){0};
        close_logs_later(w, &old);
    }
    w->server->on_access = w->logs.access != NULL ? on_access : NULL;
}

static void open_server(mg_worker *w, mg_generation *g) {
    mg_server_options options;
    count_what_is_open(w);
    server_options(w, g, &options);
    w->server = mg_server_new(w->loop, mg_lua_app_seam(g->app), &options);
    w->server->stats = &w->cell->traffic;
    w->server->access_arg = w;
}

static void serve(mg_worker *w, mg_generation *g) {
    mg_server_options options;
    server_options(w, g, &options);
    mg_server_set_options(w->server, &options);
    mg_lua_app_vm(g->app)->server = w->server;
    mg_server_set_app(w->server, mg_lua_app_seam(g->app));
    mg_stall_watch(w->stall, mg_lua_app_vm(g->app));
    mg_stall_set(w->stall, (uint32_t)g->config.timeouts.stall_warn_ms,
                 (uint32_t)g->config.timeouts.stall_abort_ms);
    mg_generation_commit(g);
}

static void commit(mg_worker *w, uint32_t number) {
    mg_generation *g = w->next;
    if (g == NULL || g->number != number || g->state != MG_GENERATION_READY || w->stopping) {
        return;
    }
    mg_generation *old = w->current;
    w->next = NULL;
    w->current = g;
    if (w->server == NULL) {
        open_server(w, g);
    }
    mg_free(w->fault);
    w->fault = NULL;
    take_logs(w);
    serve(w, g);
    w->cell->generation = number;
    if (old != NULL) {
        mg_link_append(&w->retired, &old->link);
        mg_generation_retire(old, on_gone, w);
        evict_oldest(w);
    } else {
        mg_accepting_begin(&w->accepting, w->server);
    }
    fill_cell(w);
}

// --- what the master says ---

static void begin(mg_worker *w, mg_message *m) {
    mg_error err;
    int fd = m->fd;
    m->fd = -1;
    if (w->shm != NULL || mg_shm_open(&w->shm, fd, &err) != MG_OK) {
        stop(w, 0);
        return;
    }
    w->slot = m->a;
    w->accepting.loop = w->loop;
    w->accepting.own = m->a;
    w->cell = mg_shm_cell(w->shm, m->a);
    w->cell->pid = (uint32_t)getpid();
    w->cell->started_wall_ms = mg_loop_wall_ms(w->loop);
    mg_jobs_init(&w->jobs, w->shm, m->a);
    mg_loop_set_pulse(w->loop, &w->cell->pulse);
    mg_timer_start(w->loop, &w->cell_timer, CELL_MS, CELL_MS, on_cell_time);
}

static void on_message(void *arg, mg_message *m) {
    mg_worker *w = arg;
    if (w->shm == NULL && m->type != MG_MESSAGE_BEGIN) {
        return;
    }
    switch (m->type) {
    case MG_MESSAGE_BEGIN:
        begin(w, m);
        break;
    case MG_MESSAGE_SOCKET:
        mg_accepting_add(&w->accepting, m->a, m->b, m->fd);
        m->fd = -1;
        break;
    case MG_MESSAGE_FORGET:
        mg_accepting_forget(&w->accepting, m->a);
        break;
    case MG_MESSAGE_ACCEPT:
        mg_accepting_lend(&w->accepting, m->a, m->b != 0);
        break;
    case MG_MESSAGE_PREPARE:
        prepare(w, m);
        break;
    case MG_MESSAGE_COMMIT:
        commit(w, m->a);
        break;
    case MG_MESSAGE_ABANDON:
        drop_next(w);
        break;
    case MG_MESSAGE_REOPEN:
        mg_logs_reopen(&w->logs);
        break;
    case MG_MESSAGE_STOP:
        stop(w, m->a == 0 ? IDLE_GRACE_MS : UINT64_MAX);
        break;
    default:
        break;
    }
}

static void on_master_gone(void *arg) {
    mg_worker *w = arg;
    mg_channel_close(w->master);
    w->master = NULL;
    if (!w->stopping) {
        mg_log_printf(w->logs.error, MG_LOG_WARN, "worker %u: the master is gone: draining",
                      w->slot + 1);
        stop(w, IDLE_GRACE_MS);
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
    w->descriptors = raise_descriptors();
    int rc = mg_channel_open(&w->master, loop, fd, &events, w);
    if (rc != MG_OK) {
        mg_free(w);
        w = NULL;
    }
    *out = w;
    return rc;
}

static void free_generations(mg_worker *w) {
    drop_next(w);
    mg_link *l;
    while ((l = mg_link_shift(&w->retired)) != NULL) {
        mg_generation *g = MG_OF(l, mg_generation, link);
        mg_stall_forget(w->stall, mg_lua_app_vm(g->app));
        mg_generation_free(g);
    }
    if (w->current != NULL) {
        mg_stall_forget(w->stall, mg_lua_app_vm(w->current->app));
        mg_generation_free(w->current);
    }
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
        while (w->server->stats->connections > 0) {
            mg_loop_turn(w->loop, false, false, 0);
        }
    }
    mg_server_free(w->server);
    free_generations(w);
    mg_stall_close(w->stall);
    mg_accepting_deinit(&w->accepting);
    mg_jobs_deinit(&w->jobs);
    mg_channel_close(w->master);
    mg_loop_set_pulse(w->loop, NULL);
    mg_logs_close(&w->logs);
    mg_shm_free(w->shm);
    mg_free(w);
}

// --- a process of its own ---

typedef struct process {
    mg_loop *loop;
    mg_worker *worker;
    mg_signal *term;
} process;

static void on_process_end(void *arg) {
    mg_loop_stop(((process *)arg)->loop);
}

static void on_term(void *arg, int signum) {
    (void)signum;
    stop(((process *)arg)->worker, IDLE_GRACE_MS);
}

// The terminal's signals are the master's business.
static void ignore_signals(void) {
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        signal(ignored[i], SIG_IGN);
    }
}

int mg_worker_main(const mg_worker_options *o) {
    process p = {0};
    ignore_signals();
    prctl(PR_SET_NAME, "moongate-worker");
    if (mg_loop_new(&p.loop, &(mg_loop_options){0}) != MG_OK ||
        mg_worker_open(&p.worker, p.loop, MG_WORKER_CHANNEL, o, on_process_end, &p) != MG_OK) {
        fprintf(stderr, "moongate: a worker is started by its master: see moongate run --help\n");
        return 2;
    }
    mg_signal_open(&p.term, p.loop, SIGTERM, on_term, &p);
    mg_loop_run(p.loop);
    mg_signal_close(p.term);
    mg_worker_free(p.worker);
    mg_loop_free(p.loop);
    return 0;
}
