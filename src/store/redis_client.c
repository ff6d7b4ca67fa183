// One server: a few connections that all requests share, others for one holder alone (leases), and
// one that listens. Where there are sentinels they say which server it is; a failover renews all
// connections.

#include "store/redis_ops.h"

#include "base/mem.h"
#include "store/redis_pubsub.h"
#include "store/redis_sentinel.h"

#include <stdio.h>

enum {
    HEAD_MS = 20, // a connection whose first reply takes longer is left alone, if others are free
    IDLE_LEASES = 4,  // kept open
    SHARED_MOST = 64, // as the settings allow
};

typedef struct lease {
    mg_link link; // in `idle`, or in `leased`
    mg_redis_conn *conn;
} lease;

typedef struct client {
    mg_redis redis;
    mg_redis_conn *shared[SHARED_MOST]; // NULL: not needed yet
    mg_link idle, leased;
    uint32_t lease_count, idle_count;
    mg_redis_pubsub *pubsub;     // NULL: nobody has listened
    mg_redis_sentinel *sentinel; // NULL: the URL names the server
    char host[256];              // of the master that sentinels name
    uint16_t port;
    const mg_redis_fault *unknown; // why that is not known, while it is told
    bool is_down;                  // it was told
    uint64_t calls, faults, timeouts, reconnects;
} client;

static const mg_redis_ops ops;

static void on_ready(void *arg, mg_redis_conn *c);
static void on_lost(void *arg, mg_redis_conn *c, const mg_redis_fault *f);
static void on_push(void *arg, mg_redis_conn *c, const mg_redis_reply *r);
static void on_where(void *arg, mg_redis_conn *c);
static void on_error(void *arg, mg_redis_conn *c, const mg_redis_reply *r);
static void on_lease_lost(void *arg, mg_redis_conn *c, const mg_redis_fault *f);

static const mg_redis_conn_events shared_events = {
    .on_ready = on_ready, .on_lost = on_lost, .on_push = on_push};
static const mg_redis_conn_events shared_events_where = {on_ready, on_lost, on_push, on_where,
                                                         on_error};
static const mg_redis_conn_events other_events = {.on_lost = on_lease_lost};
static const mg_redis_conn_events other_events_where = {
    .on_lost = on_lease_lost, .on_where = on_where, .on_error = on_error};

mg_redis *mg_redis_client_new(void) {
    client *c = mg_calloc(1, sizeof *c);
    c->redis.ops = &ops;
    mg_link_init(&c->idle);
    mg_link_init(&c->leased);
    return &c->redis;
}

// --- connections ---

static mg_redis_conn_options options_of(client *c, bool shared) {
    const mg_redis_settings *s = &c->redis.settings;
    bool where = s->kind == MG_REDIS_SENTINEL;
    const mg_redis_host *h = &s->hosts[0];
    mg_redis_conn_options o =
        shared ? mg_redis_shared_options_of(&c->redis, h->name, h->port, s->unix_path, s->name)
               : mg_redis_conn_options_of(&c->redis, h->name, h->port, s->unix_path, s->name);
    o.events = shared ? (where ? &shared_events_where : &shared_events)
                      : (where ? &other_events_where : &other_events);
    o.arg = c;
    return o;
}

static mg_redis_conn *shared_of(client *c, uint32_t i) {
    if (c->shared[i] == NULL) {
        mg_redis_conn_options o = options_of(c, true);
        c->shared[i] = mg_redis_conn_new(c->redis.loop, &o);
    }
    return c->shared[i];
}

// One connection is down, and none is up: the others need not try for each request anew.
static bool service_is_down(const client *c) {
    bool down = false;
    for (uint32_t i = 0; i < c->redis.settings.connections; i++) {
        const mg_redis_conn *conn = c->shared[i];
        if (conn != NULL && mg_redis_conn_state(conn) == MG_REDIS_READY) {
            return false;
        }
        down |= conn != NULL && !mg_redis_conn_usable(conn);
    }
    return down;
}

// The first one that answers quickly, so that commands go out together; else the one with the
// fewest calls.
static mg_redis_conn *choose(client *c) {
    mg_redis_conn *best = NULL;
    for (uint32_t i = 0; i < c->redis.settings.connections; i++) {
        mg_redis_conn *conn = shared_of(c, i);
        if (!mg_redis_conn_usable(conn)) {
            continue;
        }
        if (mg_redis_conn_head_ms(conn) < HEAD_MS) {
            return conn;
        }
        if (best == NULL || mg_redis_conn_waiting(conn) < mg_redis_conn_waiting(best)) {
            best = conn;
        }
    }
    return best;
}

static int refuse_down(client *c, mg_error *err) {
    mg_redis_conn *first = shared_of(c, 0);
    const char *why = "";
    for (uint32_t i = 0; *why == '\0' && i < c->redis.settings.connections; i++) {
        why = c->shared[i] != NULL ? mg_redis_conn_why(c->shared[i]) : "";
    }
    mg_redis_conn_dial(first); // in case nobody had wanted it for a while
    return mg_error_set(err, MG_ECLOSED, "%s", why);
}

// --- what connections tell ---

static void on_ready(void *arg, mg_redis_conn *conn) {
    client *c = arg;
    char text[400];
    (void)conn;
    if (c->is_down) {
        c->is_down = false;
        c->reconnects++;
        snprintf(text, sizeof text, "%s: there again", c->redis.settings.name);
        mg_redis_tell(&c->redis, false, text);
    }
}

static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f) {
    client *c = arg;
    if (c->redis.observer != NULL && c->redis.observer->on_lost != NULL) {
        c->redis.observer->on_lost(c->redis.observer->arg);
    }
    if (!c->is_down && !mg_redis_conn_usable(conn)) {
        c->is_down = true;
        mg_redis_tell(&c->redis, true, f->text);
    }
}

static void on_push(void *arg, mg_redis_conn *conn, const mg_redis_reply *r) {
    const client *c = arg;
    (void)conn;
    if (c->redis.observer != NULL && c->redis.observer->on_push != NULL) {
        c->redis.observer->on_push(c->redis.observer->arg, r);
    }
}

static void on_lease_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f) {
    client *c = arg;
    (void)f;
    for (mg_link *l = c->idle.next; l != &c->idle; l = l->next) {
        lease *e = MG_OF(l, lease, link);
        if (e->conn == conn) {
            mg_link_remove(l);
            mg_redis_conn_close(conn);
            mg_free(e);
            c->lease_count--;
            c->idle_count--;
            return;
        }
    }
}

// --- sentinels ---

// Whoever waits for the address, and does not yet dial, gets it.
static void each_conn(client *c, void (*do_it)(client *c, mg_redis_conn *conn)) {
    for (uint32_t i = 0; i < c->redis.settings.connections; i++) {
        if (c->shared[i] != NULL) {
            do_it(c, c->shared[i]);
        }
    }
    for (mg_link *l = c->leased.next; l != &c->leased; l = l->next) {
        do_it(c, MG_OF(l, lease, link)->conn);
    }
    mg_redis_conn *listens = c->pubsub != NULL ? mg_redis_pubsub_conn(c->pubsub) : NULL;
    if (listens != NULL) {
        do_it(c, listens);
    }
}

static void give_address(client *c, mg_redis_conn *conn) {
    mg_redis_conn_found(conn, c->host, c->port);
}

static void renew(client *c, mg_redis_conn *conn) {
    (void)c;
    mg_redis_conn_renew(conn, "the master is another one");
}

static void on_master(void *arg, const char *host, uint16_t port) {
    client *c = arg;
    bool known = c->port != 0;
    bool other = c->port != port || strcmp(c->host, host) != 0;
    snprintf(c->host, sizeof c->host, "%s", host);
    c->port = port;
    if (known && other) {
        char text[700];
        snprintf(text, sizeof text, "%s: the master is %s:%u now", c->redis.settings.name, host,
                 port);
        mg_redis_tell(&c->redis, false, text);
        each_conn(c, renew);
    }
    each_conn(c, give_address);
}

static void refuse_address(client *c, mg_redis_conn *conn) {
    mg_redis_conn_not_found(conn, c->unknown);
}

static void on_unknown(void *arg, const mg_redis_fault *why) {
    client *c = arg;
    c->unknown = why;
    each_conn(c, refuse_address);
}

static void on_where(void *arg, mg_redis_conn *conn) {
    client *c = arg;
    (void)conn;
    if (c->sentinel == NULL) {
        const mg_redis_sentinel_events events = {on_master, on_unknown, c};
        c->sentinel = mg_redis_sentinel_new(&c->redis, &events);
    }
    mg_redis_sentinel_ask(c->sentinel);
}

static void on_error(void *arg, mg_redis_conn *conn, const mg_redis_reply *r) {
    client *c = arg;
    (void)conn;
    if (c->sentinel != NULL && mg_redis_is_error(r, MG_STR("READONLY"))) {
        mg_redis_sentinel_ask(c->sentinel); // it is a replica now
    }
}

// --- leases ---

static int lease_conn(mg_redis *r, mg_str key, mg_redis_conn **out, mg_error *err) {
    client *c = (client *)r;
    (void)key;
    if (service_is_down(c)) {
        return refuse_down(c, err);
    }
    mg_link *l = mg_link_shift(&c->idle);
    if (l == NULL && c->lease_count >= r->settings.leases) {
        return mg_error_set(err, MG_ELIMIT, "%s: all %u leases are taken", r->settings.name,
                            r->settings.leases);
    }
    lease *e = l != NULL ? MG_OF(l, lease, link) : NULL;
    if (e == NULL) {
        mg_redis_conn_options o = options_of(c, false);
        o.once = true;
        e = mg_malloc(sizeof *e);
        e->conn = mg_redis_conn_new(r->loop, &o);
        c->lease_count++;
    } else {
        c->idle_count--;
    }
    mg_link_append(&c->leased, &e->link);
    *out = e->conn;
    return MG_OK;
}

static void give_back(mg_redis *r, mg_redis_conn *conn, bool clean) {
    client *c = (client *)r;
    for (mg_link *l = c->leased.next; l != &c->leased; l = l->next) {
        lease *e = MG_OF(l, lease, link);
        if (e->conn != conn) {
            continue;
        }
        mg_link_remove(l);
        bool keep = clean && mg_redis_conn_state(conn) == MG_REDIS_READY &&
                    mg_redis_conn_waiting(conn) == 0 && c->idle_count < IDLE_LEASES;
        if (keep) {
            mg_link_append(&c->idle, l);
            c->idle_count++;
        } else {
            mg_redis_conn_close(conn);
            mg_free(e);
            c->lease_count--;
        }
        return;
    }
}

// --- requests ---

// What waits at the server has a connection of its own.
static void end_alone(client *c, mg_redis_request *q, bool clean) {
    if (q->inside != NULL) {
        give_back(&c->redis, q->inside, clean);
        q->inside = NULL;
    }
}

static void on_reply(mg_redis_call *call, const mg_redis_reply *r, uint32_t left) {
    mg_redis_request *q = MG_OF(call, mg_redis_request, call);
    if (left == 0) {
        end_alone((client *)q->redis, q, true);
    }
    q->on_reply(q, q->count - left - 1, r, left == 0);
}

static void on_fault(mg_redis_call *call, const mg_redis_fault *f) {
    mg_redis_request *q = MG_OF(call, mg_redis_request, call);
    client *c = (client *)q->redis;
    c->faults++;
    c->timeouts += strcmp(f->code, "timeout") == 0;
    end_alone(c, q, false);
    q->on_fault(q, f);
}

static int conn_for(client *c, mg_redis_request *q, mg_redis_conn **out, mg_error *err) {
    q->inside = NULL;
    if (q->alone) {
        int rc = lease_conn(&c->redis, (mg_str){NULL, 0}, out, err);
        q->inside = rc == MG_OK ? *out : NULL;
        return rc;
    }
    *out = service_is_down(c) ? NULL : choose(c);
    return *out != NULL ? MG_OK : refuse_down(c, err);
}

static int send_request(mg_redis *r, mg_redis_request *q, const mg_redis_command *commands,
                        uint32_t count, mg_error *err) {
    client *c = (client *)r;
    mg_redis_conn *conn;
    bool own = q->timeout_ms == 0 && !q->alone;
    int rc = conn_for(c, q, &conn, err);
    c->calls++;
    if (rc != MG_OK) {
        c->faults++;
        return rc;
    }
    q->count = count;
    q->call = (mg_redis_call){
        .on_reply = on_reply,
        .on_fault = on_fault,
        .timeout_ms = own ? r->settings.timeout_ms : q->timeout_ms,
    };
    mg_redis_encode(r, commands, count);
    rc = mg_redis_conn_send(conn, &q->call, mg_buf_str(&r->words), count);
    if (rc != MG_OK) {
        c->faults++;
        end_alone(c, q, false);
        mg_error_set(err, rc, "%s: %s", r->settings.name, mg_redis_conn_full);
    }
    return rc;
}

static void cancel(mg_redis_request *q) {
    mg_redis_call_cancel(&q->call);
    end_alone((client *)q->redis, q, false);
}

// --- listening ---

static int subscribe(mg_redis *r, mg_redis_subscription *s, mg_error *err) {
    client *c = (client *)r;
    (void)err;
    if (c->pubsub == NULL) {
        mg_redis_conn_options o = options_of(c, false);
        c->pubsub = mg_redis_pubsub_new(r->loop, &o, NULL);
    }
    mg_redis_pubsub_add(c->pubsub, s);
    return MG_OK;
}

static void unsubscribe(mg_redis *r, mg_redis_subscription *s) {
    mg_redis_pubsub_remove(((client *)r)->pubsub, s);
}

// --- figures ---

static void read_stats(const mg_redis *r, mg_redis_stats *out) {
    const client *c = (const client *)r;
    out->state = "idle";
    for (uint32_t i = 0; i < r->settings.connections && c->shared[i] != NULL; i++) {
        mg_redis_state state = mg_redis_conn_state(c->shared[i]);
        out->waiting += mg_redis_conn_waiting(c->shared[i]);
        out->connections += state == MG_REDIS_READY;
        if (state == MG_REDIS_CONNECTING || state == MG_REDIS_GREETING) {
            out->state = "connecting";
        }
    }
    if (out->connections > 0) {
        out->state = "ready";
    } else if (service_is_down(c)) {
        out->state = "down";
        out->why = mg_redis_conn_why(c->shared[0]);
    }
    out->leased = c->lease_count - c->idle_count;
    out->subscriptions = c->pubsub != NULL ? mg_redis_pubsub_count(c->pubsub) : 0;
    out->calls = c->calls;
    out->faults = c->faults;
    out->timeouts = c->timeouts;
    out->reconnects = c->reconnects;
}

static void close_leases(mg_link *list) {
    for (mg_link *l; (l = mg_link_shift(list)) != NULL;) {
        lease *e = MG_OF(l, lease, link);
        mg_redis_conn_close(e->conn);
        mg_free(e);
    }
}

static void close_client(mg_redis *r) {
    client *c = (client *)r;
    mg_redis_sentinel_free(c->sentinel);
    mg_redis_pubsub_free(c->pubsub);
    for (uint32_t i = 0; i < SHARED_MOST; i++) {
        mg_redis_conn_close(c->shared[i]);
    }
    close_leases(&c->idle);
    close_leases(&c->leased);
}

static const mg_redis_ops ops = {
    .send = send_request,
    .cancel = cancel,
    .lease = lease_conn,
    .give_back = give_back,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .read_stats = read_stats,
    .close = close_client,
};
