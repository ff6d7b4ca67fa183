#include "gate/acme_process.h"

#include "base/log.h"
#include "client/client.h"
#include "event/signal.h"
#include "gate/acme_wishes.h"
#include "gate/channel.h"
#include "gate/generation.h"
#include "gate/logs.h"
#include "lua/state.h"

#include <stdio.h>
#include <sys/prctl.h>

enum { CONNECTIONS = 4, IDLE_MS = 30000, HEAD_BYTES = 32768, HEAD_LINES = 128 };

typedef struct process {
    mg_loop *loop;
    mg_channel *master;
    mg_snapshot *snapshot;
    mg_config config;
    mg_logs logs;
    mg_buf wishes;
    uint32_t shown, told; // challenges: how many there were, and of how many all workers know
    mg_acme_seam seam;
    mg_services services;
    mg_lua_app *app;
    int status;
} process;

// --- the scripts' side ---

static void say(process *p, mg_message_type type, uint32_t a, mg_str text) {
    mg_channel_send(p->master, &(mg_message){.type = type, .a = a, .fd = -1, .text = text});
}

static void show(void *arg, mg_str challenge) {
    process *p = arg;
    say(p, MG_MESSAGE_CHALLENGE, ++p->shown, challenge);
}

static bool is_shown(void *arg) {
    const process *p = arg;
    return p->told == p->shown;
}

static void issued(void *arg) {
    say(arg, MG_MESSAGE_ISSUED, 0, (mg_str){0});
}

// Name and state on two lines.
static void tell(void *arg, mg_str name, mg_str state) {
    mg_buf text = {0};
    mg_buf_append_str(&text, name);
    mg_buf_append_char(&text, '\n');
    mg_buf_append_str(&text, state);
    say(arg, MG_MESSAGE_CERTIFICATE, 0, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

static void on_log(void *arg, const mg_log_event *event) {
    mg_log_event_write(((process *)arg)->logs.error, event);
}

static void on_warning(void *arg, const char *text) {
    mg_log_printf(((process *)arg)->logs.error, MG_LOG_WARN, "%s", text);
}

// --- the master's side ---

static void on_message(void *arg, mg_message *m) {
    process *p = arg;
    if (m->type == MG_MESSAGE_CHALLENGE) {
        p->told = m->a;
    } else if (m->type == MG_MESSAGE_REOPEN) {
        mg_logs_reopen(&p->logs);
    }
}

static void on_master_gone(void *arg) {
    process *p = arg;
    mg_channel_close(p->master);
    p->master = NULL;
    mg_loop_stop(p->loop);
}

static const mg_channel_events events = {on_message, on_master_gone};

// --- life ---

static void on_ready(void *arg, const char *fault) {
    process *p = arg;
    if (fault != NULL) {
        mg_log_printf(p->logs.error, MG_LOG_ERROR, "certificates cannot be asked for: %s", fault);
        p->status = 1;
        mg_loop_stop(p->loop);
    }
}

// Of its own: what scripts may call is no concern of it.
static int open_client(process *p, mg_error *err) {
    const mg_client_options o = {
        .connections = CONNECTIONS,
        .waiting = CONNECTIONS,
        .idle_connections = 1,
        .idle_ms = IDLE_MS,
        .nameservers = p->config.http.nameservers,
        .head = {.first_line_bytes = HEAD_BYTES, .bytes = HEAD_BYTES, .lines = HEAD_LINES},
        .on_warning = on_warning,
        .log_arg = p,
    };
    return mg_client_new(&p->services.client, p->loop, &o, err);
}

static int open_app(process *p, mg_error *err) {
    mg_str framework = {0};
    mg_buf path = {0};
    mg_snapshot_find(p->snapshot, MG_STR(MG_SNAPSHOT_FRAMEWORK), &framework);
    mg_buf_append_str(&path, framework);
    mg_buf_append_str(&path, MG_STR("/moongate/core/acme/process.lua"));
    mg_buf_append_char(&path, '\0');
    const mg_lua_app_options o = {
        .root = "/",
        .path = path.p,
        .snapshot = p->snapshot,
        .services = &p->services,
        .on_log = on_log,
        .log_arg = p,
    };
    int rc = mg_lua_app_new(&p->app, p->loop, &o, err);
    mg_buf_deinit(&path);
    if (rc == MG_OK) {
        mg_lua_app_attach(p->app);
        mg_lua_app_start(p->app, on_ready, p);
    }
    return rc;
}

static int open_all(process *p, const mg_cli *cli, mg_error *err) {
    int rc = mg_snapshot_open(&p->snapshot, MG_ACME_SNAPSHOT, err);
    if (rc == MG_OK) {
        rc = mg_config_of_snapshot(&p->config, p->snapshot, cli->conf, &cli->overrides, err);
    }
    mg_config_log own = p->config.log;
    own.access = NULL;
    rc = rc == MG_OK ? mg_logs_open(&p->logs, &own, err) : rc;
    rc = rc == MG_OK ? open_client(p, err) : rc;
    if (rc == MG_OK) {
        mg_acme_wishes(&p->config, &p->wishes);
        p->seam = (mg_acme_seam){p, mg_buf_str(&p->wishes), show, is_shown, issued, tell};
        p->services.acme = &p->seam;
        rc = open_app(p, err);
    }
    return rc;
}

static void release(process *p) {
    mg_lua_app_free(p->app);
    mg_client_free(p->services.client);
    mg_channel_close(p->master);
    mg_loop_free(p->loop);
    mg_config_deinit(&p->config);
    mg_snapshot_unref(p->snapshot);
    mg_buf_deinit(&p->wishes);
    mg_logs_close(&p->logs);
}

int mg_acme_main(const mg_cli *cli) {
    process p = {.status = 0};
    mg_error err;
    mg_signal_ignore_shared();
    prctl(PR_SET_NAME, "moongate-acme");
    if (mg_loop_new(&p.loop, &(mg_loop_options){0}) != MG_OK ||
        mg_channel_open(&p.master, p.loop, MG_ACME_CHANNEL, &events, &p) != MG_OK) {
        fprintf(stderr,
                "moongate: this process is started by its master: see moongate run --help\n");
        return 2;
    }
    if (open_all(&p, cli, &err) == MG_OK) {
        mg_loop_run(p.loop);
    } else {
        fprintf(stderr, "moongate: certificates cannot be asked for: %s\n", err.text);
        p.status = 1;
    }
    release(&p);
    return p.status;
}
