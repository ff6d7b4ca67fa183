#include "gate/master_acme.h"

#include "base/mem.h"
#include "gate/acme_wishes.h"
#include "gate/master_inside.h"

#include <signal.h>
#include <unistd.h>

enum { RESTART_MS = 1000, RESTART_MOST_MS = 60000, READ_MS = 60000 };

static void start(mg_master *m);

// --- what workers show ---

void mg_acme_tell(const mg_master *m, mg_channel *worker) {
    mg_channel_send(worker, &(mg_message){.type = MG_MESSAGE_CHALLENGE,
                                          .fd = -1,
                                          .text = mg_buf_str(&m->acme.challenge)});
}

static void show(mg_master *m, mg_str challenge) {
    mg_buf_clear(&m->acme.challenge);
    mg_buf_append_str(&m->acme.challenge, challenge);
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL && m->places[slot]->channel != NULL) {
            mg_acme_tell(m, m->places[slot]->channel);
        }
    }
}

// --- how certificates stand ---

static mg_acme_state *state_of(mg_master_acme *a, mg_str name) {
    for (size_t i = 0; i < a->state_count; i++) {
        if (mg_str_eq(mg_str_of(a->states[i].name), name)) {
            return &a->states[i];
        }
    }
    a->states = mg_realloc(a->states, (a->state_count + 1) * sizeof *a->states);
    a->states[a->state_count] = (mg_acme_state){mg_strndup(name.p, name.n), NULL};
    return &a->states[a->state_count++];
}

static void note(mg_master_acme *a, mg_str text) {
    const char *end = memchr(text.p, '\n', text.n);
    if (end != NULL) {
        size_t n = (size_t)(end - text.p);
        mg_acme_state *s = state_of(a, (mg_str){text.p, n});
        mg_free(s->json);
        s->json = mg_strndup(end + 1, text.n - n - 1);
    }
}

static void forget_states(mg_master_acme *a) {
    for (size_t i = 0; i < a->state_count; i++) {
        mg_free(a->states[i].name);
        mg_free(a->states[i].json);
    }
    mg_free(a->states);
    a->states = NULL;
    a->state_count = 0;
}

// --- the process ---

static void on_message(void *arg, mg_message *msg) {
    mg_master *m = arg;
    if (msg->type == MG_MESSAGE_CHALLENGE) {
        show(m, msg->text);
        mg_channel_tell(m->acme.channel, MG_MESSAGE_CHALLENGE, msg->a, 0);
    } else if (msg->type == MG_MESSAGE_ISSUED) {
        m->acme.due = true;
        m->acme.backoff_ms = 0;
    } else if (msg->type == MG_MESSAGE_CERTIFICATE) {
        note(&m->acme, msg->text);
    }
}

// It ends, and is reaped then.
static void on_channel_end(void *arg) {
    mg_master *m = arg;
    mg_channel_close(m->acme.channel);
    m->acme.channel = NULL;
}

static const mg_channel_events events = {on_message, on_channel_end};

static void on_restart(mg_timer *t) {
    start(MG_OF(t, mg_master, acme.restart));
}

static void restart_later(mg_master *m, const char *how) {
    mg_master_acme *a = &m->acme;
    uint64_t next_ms = a->backoff_ms * 2;
    a->backoff_ms = next_ms < RESTART_MS        ? RESTART_MS
                    : next_ms > RESTART_MOST_MS ? RESTART_MOST_MS
                                                : next_ms;
    mg_master_log(m, MG_LOG_ERROR,
                  "the process that asks for certificates %s; it is started again in %.1f s", how,
                  (double)a->backoff_ms / 1000);
    mg_timer_start(m->loop, &a->restart, a->backoff_ms, 0, on_restart);
}

static void on_exit(void *arg, mg_process *process, int status) {
    mg_master *m = arg;
    char how[96];
    bool asked_to = m->acme.channel == NULL && m->acme.wishes.n == 0;
    (void)process;
    m->acme.process = NULL;
    on_channel_end(m);
    show(m, (mg_str){0});
    if (m->stopping) {
        return;
    }
    if (asked_to) {
        mg_acme_fit(m); // perhaps for other wishes
        return;
    }
    mg_process_describe(status, how, sizeof how);
    restart_later(m, how);
}

static int start_process(mg_master *m, int fd) {
    char **argv = mg_master_argv(m, MG_COMMAND_ACME, NULL);
    static char name[] = "moongate: certificates";
    const int fds[] = {fd, mg_snapshot_fd(m->snapshot)};
    argv[0] = name;
    mg_process_options o = {
        .file = m->self, .argv = argv, .fds = fds, .fd_count = 2, .in = -1, .out = -1, .err = -1};
    int rc = mg_process_start(&m->acme.process, m->processes, &o, on_exit, m);
    mg_free(argv);
    close(fd);
    return rc;
}

static void start(mg_master *m) {
    int fds[2];
    int rc = mg_channel_pair(fds);
    if (rc == MG_OK) {
        rc = mg_channel_open(&m->acme.channel, m->loop, fds[0], &events, m);
        if (rc == MG_OK) {
            rc = start_process(m, fds[1]);
        } else {
            close(fds[1]);
        }
    }
    if (rc != MG_OK) {
        on_channel_end(m);
        restart_later(m, mg_strerror(rc));
    }
}

// Whatever it does is gone on with by its successor.
static void stop(mg_master *m) {
    mg_timer_stop(&m->acme.restart);
    mg_buf_clear(&m->acme.wishes);
    if (m->acme.process != NULL) {
        mg_process_kill(m->acme.process, SIGTERM);
    }
    on_channel_end(m);
}

void mg_acme_init(mg_master *m) {
    m->acme.read_fd = -1;
}

void mg_acme_fit(mg_master *m) {
    mg_master_acme *a = &m->acme;
    mg_buf wishes = {0};
    mg_acme_wishes(&m->config, &wishes);
    // Whoever develops has no such names, and a directory counts what fails.
    bool none = m->cli->command == MG_COMMAND_DEV || mg_str_eq(mg_buf_str(&wishes), MG_STR("[]"));
    if (mg_str_eq(mg_buf_str(&wishes), mg_buf_str(&a->wishes)) || (none && a->wishes.n == 0)) {
        mg_buf_deinit(&wishes);
        return;
    }
    stop(m);
    forget_states(a);
    if (!none && a->process == NULL) { // else when it has been reaped
        mg_buf_append_str(&a->wishes, mg_buf_str(&wishes));
        a->backoff_ms = 0;
        start(m);
    }
    mg_buf_deinit(&wishes);
}

void mg_acme_reopen(const mg_master *m) {
    if (m->acme.channel != NULL) {
        mg_channel_tell(m->acme.channel, MG_MESSAGE_REOPEN, 0, 0);
    }
}

// --- what was issued is served ---

static void serve(mg_master *m, int fd) {
    mg_tls_store *fresh = NULL;
    mg_error err;
    int rc = mg_tls_store_open(&fresh, fd, &err);
    rc = rc == MG_OK ? mg_keys_judge(m, fresh, &m->config, &err) : rc;
    if (rc == MG_OK) {
        mg_keys_take(m, fresh, NULL);
    } else {
        mg_tls_store_unref(fresh);
        mg_master_log(m, MG_LOG_ERROR, "the new certificates are not served: %s", err.text);
    }
}

static void on_read(void *arg, int status, mg_str said) {
    mg_master *m = arg;
    mg_master_acme *a = &m->acme;
    int fd = a->read_fd;
    a->reader = NULL;
    a->read_fd = -1;
    if (m->reload != NULL) { // it has another configuration, and perhaps other certificates
        a->due = true;
        close(fd);
    } else if (status != 0) {
        close(fd);
        mg_master_log(m, MG_LOG_ERROR, "the new certificates are not served: %.*s",
                      said.n > 0 ? (int)said.n : 22, said.n > 0 ? said.p : "they cannot be read");
    } else {
        serve(m, fd);
    }
}

static int start_reader(mg_master *m) {
    mg_master_acme *a = &m->acme;
    mg_error err;
    a->read_fd = mg_keys_begin(m, &err);
    if (a->read_fd < 0) {
        return a->read_fd;
    }
    char **argv = mg_master_argv(m, MG_COMMAND_KEYS, NULL);
    // In the order of MG_KEYS_SNAPSHOT and so on.
    const int fds[] = {mg_snapshot_fd(m->snapshot), a->read_fd,
                       m->keys != NULL ? mg_tls_store_fd(m->keys) : -1};
    const mg_helper_options o = {.loop = m->loop,
                                 .processes = m->processes,
                                 .file = m->self,
                                 .argv = argv,
                                 .fds = fds,
                                 .fd_count = m->keys != NULL ? 3 : 2,
                                 .limit_ms = READ_MS};
    int rc = mg_helper_start(&a->reader, &o, on_read, m);
    mg_free(argv);
    if (rc != MG_OK) {
        close(a->read_fd);
        a->read_fd = -1;
    }
    return rc;
}

void mg_acme_look(mg_master *m) {
    mg_master_acme *a = &m->acme;
    if (!a->due || m->reload != NULL || a->reader != NULL || m->stopping) {
        return;
    }
    a->due = false;
    int rc = start_reader(m);
    if (rc != MG_OK) {
        mg_master_log(m, MG_LOG_ERROR, "the new certificates are not served: %s", mg_strerror(rc));
    }
}

void mg_acme_end(mg_master *m) {
    mg_master_acme *a = &m->acme;
    stop(m);
    mg_helper_drop(a->reader);
    a->reader = NULL;
    if (a->read_fd >= 0) {
        close(a->read_fd);
        a->read_fd = -1;
    }
    forget_states(a);
    mg_buf_deinit(&a->wishes);
    mg_buf_deinit(&a->challenge);
}
