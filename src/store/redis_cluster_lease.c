// Connections of a cluster's servers for one holder alone.

#include "store/redis_cluster_inside.h"

#include "base/mem.h"

enum { IDLE_LEASES = 2 }; // kept open, for each server

typedef struct lease {
    mg_link link; // among the idle ones of its node, or among the leased ones of the cluster
    mg_redis_conn *conn;
    mg_redis_node *node;
} lease;

static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f);

static const mg_redis_conn_events events = {NULL, on_lost, NULL, NULL};

static void drop(lease *e) {
    mg_link_remove(&e->link);
    mg_redis_conn_close(e->conn);
    mg_free(e);
}

void mg_redis_leases_close(mg_link *list) {
    while (!mg_link_alone(list)) {
        drop(MG_OF(list->next, lease, link));
    }
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

// One that nobody has is not dialled again.
static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f) {
    mg_redis_node *n = arg;
    lease *e = find(&n->leases, conn);
    (void)f;
    if (e != NULL) {
        n->idle_count--;
        n->lease_count--;
        drop(e);
    }
}

static uint32_t count_all(const mg_redis_cluster *c) {
    uint32_t n = 0;
    for (const mg_link *l = c->nodes.next; l != &c->nodes; l = l->next) {
        const mg_redis_node *node = MG_OF(l, mg_redis_node, link);
        n += node->lease_count - node->idle_count;
    }
    return n;
}

static mg_redis_node *node_for(mg_redis_cluster *c, mg_str key) {
    return key.n > 0 ? mg_redis_node_for(c, mg_redis_slot(key), false) : mg_redis_node_any(c);
}

static lease *new_lease(mg_redis_node *n) {
    mg_redis_conn_options o = mg_redis_node_options(n);
    o.events = &events;
    o.arg = n;
    o.once = true;
    lease *e = mg_malloc(sizeof *e);
    *e = (lease){.conn = mg_redis_conn_new(n->cluster->redis.loop, &o), .node = n};
    mg_link_init(&e->link);
    n->lease_count++;
    return e;
}

mg_redis_conn *mg_redis_cluster_lease(mg_redis *r, mg_str key, mg_error *err) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    mg_redis_node *n = node_for(c, key);
    c->wanted_ms = mg_loop_now_ms(r->loop);
    if (c->lost || n == NULL) {
        mg_redis_refresh(c, MG_REDIS_SOON_MS);
        mg_error_set(err, MG_ECLOSED, "%s: %s", r->settings.name,
                     c->lost ? c->why.text : "no server has said yet who has which slots");
        return NULL;
    }
    if (count_all(c) >= r->settings.leases) {
        mg_error_set(err, MG_ELIMIT, "%s: all %u leases are taken", r->settings.name,
                     r->settings.leases);
        return NULL;
    }
    mg_link *l = mg_link_shift(&n->leases);
    n->idle_count -= l != NULL;
    lease *e = l != NULL ? MG_OF(l, lease, link) : new_lease(n);
    mg_link_append(&c->leased, &e->link);
    return e->conn;
}

void mg_redis_cluster_give_back(mg_redis *r, mg_redis_conn *conn, bool clean) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    lease *e = find(&c->leased, conn);
    mg_redis_node *n = e->node;
    bool keep = clean && mg_redis_conn_state(conn) == MG_REDIS_READY &&
                mg_redis_conn_waiting(conn) == 0 && n->idle_count < IDLE_LEASES;
    mg_link_remove(&e->link);
    if (keep) {
        mg_link_append(&n->leases, &e->link);
        n->idle_count++;
    } else {
        n->lease_count--;
        drop(e);
    }
}
