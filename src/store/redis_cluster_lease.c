// Connections of a cluster's servers for one holder alone. Where a key lies may not be known yet:
// then the connection waits for a map.

#include "store/redis_cluster_inside.h"

#include "base/mem.h"

enum { IDLE_LEASES = 2 }; // kept open, for each server

typedef struct lease {
    mg_link link; // among the idle ones of its node, or among the leased ones of the cluster
    mg_redis_cluster *cluster;
    mg_redis_conn *conn;
    mg_redis_node *node; // NULL: it waits for a map
    uint16_t slot;       // until then
    bool anyone;         // any master will do
    bool idle;
} lease;

static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f);
static void on_where(void *arg, mg_redis_conn *conn);
static void on_error(void *arg, mg_redis_conn *conn, const mg_redis_reply *r);

static const mg_redis_conn_events events = {.on_lost = on_lost, .on_error = on_error};
static const mg_redis_conn_events events_where = {
    .on_lost = on_lost, .on_where = on_where, .on_error = on_error};

static void drop(lease *e) {
    if (e->node != NULL) {
        e->node->lease_count--;
        e->node->idle_count -= e->idle;
    }
    mg_link_remove(&e->link);
    mg_redis_conn_close(e->conn);
    mg_free(e);
}

void mg_redis_leases_close(mg_link *list) {
    while (!mg_link_alone(list)) {
        drop(MG_OF(list->next, lease, link));
    }
}

// --- what connections tell ---

// One that nobody has is not dialled again.
static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f) {
    lease *e = arg;
    (void)conn;
    (void)f;
    if (e->idle) {
        drop(e);
    }
}

// Whoever has it decides what to do about it; the next one is not sent there.
static void on_error(void *arg, mg_redis_conn *conn, const mg_redis_reply *r) {
    const lease *e = arg;
    mg_redis_redirect d = mg_redis_redirect_of(r);
    (void)conn;
    if (d.kind == MG_REDIS_MOVED && e->node != NULL) {
        mg_redis_slot_moved(e->cluster, d.slot, mg_redis_redirected_to(e->node, &d));
    }
}

static void place(lease *e) {
    mg_redis_cluster *c = e->cluster;
    mg_redis_node *n = e->anyone ? mg_redis_node_any(c) : mg_redis_node_for(c, e->slot, false);
    if (n != NULL) {
        e->node = n;
        n->lease_count++;
        mg_redis_conn_found(e->conn, n->host, n->port);
    }
}

static void on_where(void *arg, mg_redis_conn *conn) {
    lease *e = arg;
    (void)conn;
    place(e);
    if (e->node == NULL) {
        mg_redis_refresh(e->cluster, MG_REDIS_SOON_MS);
    }
}

void mg_redis_leases_place(mg_redis_cluster *c) {
    for (mg_link *l = c->leased.next; l != &c->leased; l = l->next) {
        lease *e = MG_OF(l, lease, link);
        if (e->node == NULL && mg_redis_conn_state(e->conn) == MG_REDIS_CONNECTING) {
            place(e);
        }
    }
}

void mg_redis_leases_fail(mg_redis_cluster *c, const char *why) {
    mg_link *next;
    for (mg_link *l = c->leased.next; l != &c->leased; l = next) {
        lease *e = MG_OF(l, lease, link);
        next = l->next;
        if (e->node == NULL) {
            mg_redis_conn_not_found(e->conn, &(mg_redis_fault){"closed", why, false});
        }
    }
}

// --- taking and giving back ---

static int take(mg_redis_cluster *c, const lease *wanted, mg_redis_conn **out, mg_error *err) {
    const mg_redis_settings *s = &c->redis.settings;
    mg_redis_node *n = wanted->node;
    if (c->taken >= s->leases) {
        return mg_error_set(err, MG_ELIMIT, "%s: all %u leases are taken", s->name, s->leases);
    }
    lease *e = n != NULL && !mg_link_alone(&n->leases) ? MG_OF(n->leases.next, lease, link) : NULL;
    if (e != NULL) {
        mg_link_remove(&e->link);
        e->idle = false;
        n->idle_count--;
    } else {
        e = mg_malloc(sizeof *e);
        *e = *wanted;
        mg_redis_conn_options o = n != NULL
                                      ? mg_redis_node_options(n)
                                      : mg_redis_conn_options_of(&c->redis, NULL, 0, NULL, s->name);
        o.events = n != NULL ? &events : &events_where;
        o.arg = e;
        o.once = true;
        e->conn = mg_redis_conn_new(c->redis.loop, &o);
        mg_link_init(&e->link);
        if (n != NULL) {
            n->lease_count++;
        }
    }
    mg_link_append(&c->leased, &e->link);
    c->taken++;
    *out = e->conn;
    return MG_OK;
}

int mg_redis_node_lease(mg_redis_node *n, mg_redis_conn **out, mg_error *err) {
    return take(n->cluster, &(lease){.cluster = n->cluster, .node = n}, out, err);
}

int mg_redis_cluster_lease(mg_redis *r, mg_str key, mg_redis_conn **out, mg_error *err) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    lease wanted = {.cluster = c, .anyone = key.n == 0, .slot = mg_redis_slot(key)};
    c->wanted_ms = mg_loop_now_ms(r->loop);
    if (c->lost) {
        mg_redis_refresh(c, MG_REDIS_SOON_MS);
        return mg_error_set(err, MG_ECLOSED, "%s: %s", r->settings.name, c->why.text);
    }
    wanted.node = wanted.anyone ? mg_redis_node_any(c) : mg_redis_node_for(c, wanted.slot, false);
    return take(c, &wanted, out, err);
}

static lease *find(mg_link *list, const mg_redis_conn *conn) {
    for (mg_link *l = list->next; l != list; l = l->next) {
        lease *e = MG_OF(l, lease, link);
        if (e->conn == conn) {
            return e;
        }
    }
    return NULL;
}

void mg_redis_cluster_give_back(mg_redis *r, mg_redis_conn *conn, bool clean) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    lease *e = find(&c->leased, conn);
    mg_redis_node *n = e->node;
    bool keep = clean && n != NULL && mg_redis_conn_state(conn) == MG_REDIS_READY &&
                mg_redis_conn_waiting(conn) == 0 && n->idle_count < IDLE_LEASES;
    c->taken--;
    if (keep) {
        e->idle = true;
        n->idle_count++;
        mg_link_remove(&e->link);
        mg_link_append(&n->leases, &e->link);
    } else {
        drop(e);
    }
}
