// The logs of a worker, and who writes them: its server, its scripts, what watches over them.

#include "gate/worker_inside.h"

#include "base/mem.h"
#include "event/task.h"

void mg_worker_on_log(void *arg, const mg_log_event *event) {
    mg_log_event_write(((mg_worker *)arg)->logs.error, event);
}

// What the pages of development ask is no request of the app's.
static bool is_own(const mg_worker *w, mg_str target) {
    return w->options->dev && mg_str_starts(target, MG_STR("/.moongate/"));
}

static void on_access(void *arg, const mg_access_record *r) {
    mg_worker *w = arg;
    if (!is_own(w, r->target)) {
        mg_logs_access(&w->logs, r);
    }
}

static void on_server_log(void *arg, mg_log_level level, const char *text) {
    mg_log_printf(((mg_worker *)arg)->logs.error, level, "%s", text);
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
void mg_worker_on_warning(void *arg, const char *text) {
    mg_log_printf(((mg_worker *)arg)->logs.error, MG_LOG_WARN, "%s", text);
}

void mg_worker_on_news(void *arg, const char *text) {
    mg_log_printf(((mg_worker *)arg)->logs.error, MG_LOG_INFO, "%s", text);
}

int mg_worker_open_logs(mg_worker *w, const mg_config_log *c, mg_error *err) {
    return mg_logs_open(&w->logs, c, err);
}

int mg_worker_open_stall(mg_worker *w, const mg_config_timeouts *c) {
    const mg_stall_options o = {
        .pulse = &w->cell->pulse,
        .warn_ms = (uint32_t)c->stall_warn_ms,
        .abort_ms = (uint32_t)c->stall_abort_ms,
        .on_report = on_stall,
        .arg = w,
    };
    return mg_stall_open(&w->stall, &o);
}

void mg_worker_take_logs(mg_worker *w) {
    if (w->next_logs.error != NULL) {
        mg_logs old = w->logs;
        w->logs = w->next_logs;
        w->next_logs = (mg_logs){0};
        close_logs_later(w, &old);
    }
    w->server->on_log = on_server_log;
    w->server->on_access = w->logs.access != NULL ? on_access : NULL;
}
