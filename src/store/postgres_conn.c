// One connection to a PostgreSQL server.
//
//   RESOLVING --names have addresses--> CONNECTING --libpq is content--> OPEN
//      (hosts that are addresses or sockets need no names)
//   CONNECTING --an address does not answer--> RESOLVING, for those behind it
//   any --fault, end, deadline, too old--> CLOSED --next delivery--> freed
//
// Names are resolved here, since libpq would block.

#include "store/postgres_inside.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

enum { KEYS_MAX = MG_PG_OPTIONS + 8, PASSWORD_BYTES = 4096 };

static void on_ready(void *arg, int events);
static void look_up_next(mg_pg_conn *c);
static void connect_to_targets(mg_pg_conn *c);

static void set_state(mg_pg_conn *c, mg_pg_conn_state next) {
    static const uint8_t moves[] = {
        [MG_PG_RESOLVING] = 1 << MG_PG_CONNECTING | 1 << MG_PG_CLOSED,
        [MG_PG_CONNECTING] = 1 << MG_PG_OPEN | 1 << MG_PG_RESOLVING | 1 << MG_PG_CLOSED,
        [MG_PG_OPEN] = 1 << MG_PG_CLOSED,
        [MG_PG_CLOSED] = 0,
    };
    assert(moves[c->state] & (1 << next));
    c->state = next;
}

// --- closing ---

static void leave_libpq(mg_pg_conn *c) {
    mg_poll_close(c->poll); // before libpq closes the descriptor
    c->poll = NULL;
    c->fd = -1;
    PQfinish(c->pg);
    c->pg = NULL;
}

void mg_pg_conn_close(mg_pg_conn *c) {
    mg_pg *p = c->pool;
    assert(mg_link_alone(&c->calls));
    bool opening = c->state == MG_PG_RESOLVING || c->state == MG_PG_CONNECTING;
    p->opening_count -= opening && !c->listens;
    set_state(c, MG_PG_CLOSED);
    mg_deadline_stop(&c->idle);
    mg_timer_stop(&c->timer);
    if (c->lookup != NULL) {
        mg_dns_cancel(c->lookup);
        c->lookup = NULL;
    }
    mg_pg_cancel_forget(p->canceller, c);
    leave_libpq(c);
    mg_pg_forget_prepared(c);
    c->copy = NULL;
    mg_buf_deinit(&c->gathered);
    mg_buf_deinit(&c->hosts);
    mg_buf_deinit(&c->addresses);
    mg_buf_deinit(&c->ports);
    p->conn_count -= !c->listens;
    if (c->listens) {
        mg_pg_listen_lost(p);
    }
    mg_link_remove(&c->link);
    mg_link_append(&p->dead, &c->link);
}

// libpq's messages end in a line's end, and may have several lines.
static void keep_fault(mg_pg_conn *c, const char *text) {
    size_t n = 0;
    for (; *text != '\0' && n < sizeof c->fault - 1; text++) {
        bool blank = *text == '\n' || *text == '\t' || *text == ' ';
        if (!blank) {
            c->fault[n++] = *text;
        } else if (n > 0 && c->fault[n - 1] != ' ') {
            c->fault[n++] = ' ';
        }
    }
    while (n > 0 && c->fault[n - 1] == ' ') {
        n--;
    }
    c->fault[n] = '\0';
}

static void fail_call(const mg_pg_conn *c, mg_pg_call *call) {
    char text[640];
    snprintf(text, sizeof text,
             "%.200s: the connection was lost while the statement was under way, whose outcome is "
             "not known: %s",
             c->pool->settings.name, c->fault);
    mg_pg_result_fail(&call->result, "closed", text);
    mg_pg_release_prepared(call);
    mg_pg_ready(call);
}

static void lose_session(mg_pg_conn *c) {
    mg_pg_session *s = c->session;
    c->session = NULL;
    if (s == NULL) {
        return;
    }
    c->pool->session_count--;
    s->conn = NULL;
    s->lost = true;
    char text[480];
    snprintf(text, sizeof text, "%.200s: %s", c->pool->settings.name, c->fault);
    mg_link *l;
    while ((l = mg_link_shift(&s->queue)) != NULL) {
        mg_pg_call *call = MG_OF(l, mg_pg_call, link);
        mg_pg_result_fail(&call->result, "closed", text);
        mg_pg_ready(call);
    }
    if (s->finished) {
        mg_pg_session_free(s);
    }
}

void mg_pg_conn_lost(mg_pg_conn *c, const char *why) {
    keep_fault(c, why != NULL && *why != '\0' ? why : "the server closed the connection");
    mg_link *l;
    while ((l = mg_link_shift(&c->calls)) != NULL) {
        fail_call(c, MG_OF(l, mg_pg_call, link));
    }
    c->in_flight = 0;
    lose_session(c);
    mg_pg_conn_close(c);
}

// --- opening ---

// The server has answered, and its answer is no: waiting does not help. While it starts, stops or
// is full it does.
static bool is_hopeless(const char *fault) {
    return strstr(fault, "FATAL:") != NULL && strstr(fault, "starting up") == NULL &&
           strstr(fault, "shutting down") == NULL && strstr(fault, "too many") == NULL &&
           strstr(fault, "remaining connection slots") == NULL &&
           strstr(fault, "recovery") == NULL && strstr(fault, "terminating") == NULL;
}

static void fail_opening(mg_pg_conn *c, const char *why) {
    mg_pg *p = c->pool;
    keep_fault(c, why);
    mg_pg_conn_close(c);
    mg_pg_not_opened(p, c->fault, is_hopeless(c->fault));
}

static void append_item(mg_buf *list, const char *item) {
    if (list->n > 0) {
        mg_buf_append_char(list, ',');
    }
    mg_buf_append_str(list, mg_str_of(item));
}

static void add_target(mg_pg_conn *c, uint32_t host, const char *address) {
    if (c->target_count++ < c->skip) {
        return;
    }
    bool first = c->hosts.n == 0;
    append_item(&c->hosts, c->pool->settings.hosts[host]);
    if (!first) {
        mg_buf_append_char(&c->addresses, ',');
    }
    mg_buf_append_str(&c->addresses, mg_str_of(address));
    append_item(&c->ports, c->pool->settings.ports[host]);
}

static void on_resolved(void *arg, int status, const struct sockaddr_storage *addresses, size_t n,
                        const char *text) {
    mg_pg_conn *c = arg;
    mg_pg *p = c->pool;
    c->lookup = NULL;
    for (size_t i = 0; status == MG_OK && i < n; i++) {
        char address[INET6_ADDRSTRLEN];
        const void *from =
            addresses[i].ss_family == AF_INET6
                ? (const void *)&((const struct sockaddr_in6 *)&addresses[i])->sin6_addr
                : &((const struct sockaddr_in *)&addresses[i])->sin_addr;
        inet_ntop(addresses[i].ss_family, from, address, sizeof address);
        add_target(c, c->next_host, address);
    }
    if (status != MG_OK) {
        char why[240];
        snprintf(why, sizeof why, "%.100s: %.120s", p->settings.hosts[c->next_host],
                 text != NULL ? text : mg_strerror(status));
        keep_fault(c, why);
    }
    c->next_host++;
    look_up_next(c);
    mg_pg_pump(p);
    mg_pg_deliver(p);
}

static bool needs_no_name(const char *host) {
    unsigned char any[sizeof(struct in6_addr)];
    return *host == '/' || *host == '@' || inet_pton(AF_INET, host, any) == 1 ||
           inet_pton(AF_INET6, host, any) == 1;
}

static void look_up_next(mg_pg_conn *c) {
    mg_pg *p = c->pool;
    const mg_pg_settings *s = &p->settings;
    while (c->next_host < s->host_count) {
        const char *host = s->hosts[c->next_host];
        if (needs_no_name(host)) {
            add_target(c, c->next_host++, *host == '/' || *host == '@' ? "" : host);
            continue;
        }
        int rc = mg_dns_start(&c->lookup, p->dns, host, on_resolved, c);
        if (rc == MG_OK) {
            return;
        }
        c->lookup = NULL;
        keep_fault(c, mg_strerror(rc));
        c->next_host++;
    }
    if (s->host_count > 0 && c->target_count <= c->skip) {
        char why[sizeof c->fault];
        snprintf(why, sizeof why, "%s", c->fault);
        fail_opening(c, *why != '\0' ? why : "no address");
        return;
    }
    set_state(c, MG_PG_CONNECTING);
    connect_to_targets(c);
}

// Terminates a list; NULL if it is empty.
static const char *text_of(mg_buf *list) {
    if (list->n == 0) {
        return NULL;
    }
    mg_buf_append_char(list, '\0');
    list->n--;
    return list->p;
}

static PGconn *start_libpq(mg_pg_conn *c, const char *password) {
    const mg_pg_settings *s = &c->pool->settings;
    const char *keys[KEYS_MAX];
    const char *values[KEYS_MAX];
    size_t n = 0;
#define SET(key, value)                                                                            \
    do {                                                                                           \
        keys[n] = (key);                                                                           \
        values[n++] = (value);                                                                     \
    } while (0)
    SET("application_name", "moongate");
    SET("gssencmode", "disable"); // it would ask a Kerberos server, blocking
    SET("client_encoding", "UTF8");
    SET("keepalives_idle", "30"); // of a listener, whose server is silent for hours
    SET("keepalives_interval", "10");
    SET("keepalives_count", "3");
    for (uint32_t i = 0; i < s->option_count; i++) {
        SET(s->keys[i], s->values[i]);
    }
    if (!s->resolved) {
        SET("host", text_of(&c->hosts));
        SET("hostaddr", text_of(&c->addresses));
        SET("port", c->hosts.n > 0 ? text_of(&c->ports) : s->ports[0]);
    }
    if (password != NULL) {
        SET("password", password);
    }
    SET(NULL, NULL);
#undef SET
    return PQconnectStartParams(keys, values, 0);
}

static void on_connect_late(mg_timer *t);

// Watches the descriptor that libpq now has: it opens another one for another address, or when TLS
// is refused.
static bool watch_opening(mg_pg_conn *c, int events) {
    c->fd = PQsocket(c->pg);
    if (c->fd < 0 || mg_poll_open(&c->poll, c->pool->loop, c->fd, on_ready, c) != MG_OK) {
        return false;
    }
    mg_poll_idle(c->poll, false);
    return mg_poll_want(c->poll, events) == MG_OK;
}

static void connect_to_targets(mg_pg_conn *c) {
    char password[PASSWORD_BYTES];
    bool wanted = c->pool->settings.password_file != NULL;
    mg_error why;
    if (wanted && mg_pg_password(&c->pool->settings, password, sizeof password, &why) != MG_OK) {
        fail_opening(c, why.text);
        return;
    }
    c->pg = start_libpq(c, wanted ? password : NULL);
    explicit_bzero(password, sizeof password);
    if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
        fail_opening(c, c->pg != NULL ? PQerrorMessage(c->pg) : "no memory");
        return;
    }
    mg_timer_start(c->pool->loop, &c->timer, c->pool->settings.connect_ms, 0, on_connect_late);
    if (!watch_opening(c, MG_POLL_WRITE)) {
        fail_opening(c, "its socket cannot be watched");
    }
}

// The address that libpq is at does not answer: those behind it are left, if there are any.
static void on_connect_late(mg_timer *t) {
    mg_pg_conn *c = MG_OF(t, mg_pg_conn, timer);
    mg_pg *p = c->pool;
    char why[120];
    snprintf(why, sizeof why, "%.60s: no answer within %u s", PQhost(c->pg),
             p->settings.connect_ms / 1000);
    uint32_t left = 0;
    for (size_t i = 0; i < c->hosts.n; i++) {
        left += c->hosts.p[i] == ',';
    }
    leave_libpq(c);
    if (left > 0) {
        c->skip = c->target_count - left;
        c->target_count = 0;
        c->next_host = 0;
        mg_buf_clear(&c->hosts);
        mg_buf_clear(&c->addresses);
        mg_buf_clear(&c->ports);
        keep_fault(c, why);
        set_state(c, MG_PG_RESOLVING);
        look_up_next(c);
    } else {
        fail_opening(c, why);
    }
    mg_pg_pump(p);
    mg_pg_deliver(p);
}

static void ignore_notice(void *arg, const PGresult *r) {
    (void)arg;
    (void)r;
}

static void be_open(mg_pg_conn *c) {
    mg_timer_stop(&c->timer);
    PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
    if (PQsetnonblocking(c->pg, 1) != 0 || PQenterPipelineMode(c->pg) != 1 ||
        !watch_opening(c, MG_POLL_READ)) {
        fail_opening(c, PQerrorMessage(c->pg));
        return;
    }
    set_state(c, MG_PG_OPEN);
    c->pool->opening_count -= !c->listens;
    mg_poll_idle(c->poll, true);
    c->reading = true;
    c->born_ms = mg_loop_now_ms(c->pool->loop);
    c->tag = (uint32_t)mg_random_u64(&c->pool->random);
    mg_pg_opened(c);
}

static void go_on_opening(mg_pg_conn *c) {
    mg_poll_close(c->poll); // libpq may close the descriptor
    c->poll = NULL;
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_READING:
        if (!watch_opening(c, MG_POLL_READ)) {
            fail_opening(c, "its socket cannot be watched");
        }
        break;
    case PGRES_POLLING_WRITING:
        if (!watch_opening(c, MG_POLL_WRITE)) {
            fail_opening(c, "its socket cannot be watched");
        }
        break;
    case PGRES_POLLING_OK:
        be_open(c);
        break;
    default:
        fail_opening(c, PQerrorMessage(c->pg));
        break;
    }
}

mg_pg_conn *mg_pg_conn_open(mg_pg *p, bool listens) {
    mg_pg_conn *c = mg_calloc(1, sizeof *c);
    c->pool = p;
    c->listens = listens;
    c->fd = -1;
    c->state = MG_PG_RESOLVING;
    mg_link_init(&c->calls);
    mg_link_init(&c->used);
    mg_deadline_init(&c->idle);
    mg_link_append(&p->conns, &c->link);
    p->conn_count += !listens;
    p->opening_count += !listens;
    look_up_next(c); // it may be closed by then, which frees nothing yet
    return c;
}

// --- bytes ---

void mg_pg_conn_flush(mg_pg_conn *c) {
    int rc = PQflush(c->pg);
    if (rc < 0) {
        // The server may have said why; that is read first.
        (void)mg_poll_want(c->poll, MG_POLL_READ);
        return;
    }
    if (rc == 0 && c->copy != NULL) {
        mg_pg_copy_drained(c);
    }
    (void)mg_poll_want(c->poll, (c->reading ? MG_POLL_READ : 0) | (rc > 0 ? MG_POLL_WRITE : 0));
    mg_poll_idle(c->poll, c->in_flight == 0);
}

// Reads the results that are there, and says what it now waits for.
static void go_on(mg_pg_conn *c, bool alive) {
    mg_pg_read_results(c); // also what came before the end
    if (c->state == MG_PG_OPEN && c->listens) {
        mg_pg_listen_read(c);
    }
    if (c->state == MG_PG_OPEN && !alive) {
        mg_pg_conn_lost(c, PQerrorMessage(c->pg));
    }
    if (c->state == MG_PG_OPEN) {
        c->reading = !mg_pg_holds_back(c);
        mg_pg_conn_flush(c);
    }
}

static void on_resumed(mg_timer *t) {
    mg_pg_conn *c = MG_OF(t, mg_pg_conn, timer);
    mg_pg *p = c->pool;
    go_on(c, true);
    mg_pg_pump(p);
    mg_pg_deliver(p);
}

void mg_pg_conn_resume(mg_pg_conn *c) {
    c->reading = true;
    mg_pg_conn_flush(c);
    mg_timer_start(c->pool->loop, &c->timer, 0, 0, on_resumed); // what libpq has read already
}

static void on_ready(void *arg, int events) {
    mg_pg_conn *c = arg;
    mg_pg *p = c->pool;
    if ((events & MG_POLL_READ) != 0) {
        p->heard_ms = mg_loop_now_ms(p->loop);
    }
    if (c->state == MG_PG_OPEN) {
        go_on(c, (events & MG_POLL_READ) == 0 || PQconsumeInput(c->pg) == 1);
    } else {
        go_on_opening(c);
    }
    mg_pg_pump(p);
    mg_pg_deliver(p);
}
