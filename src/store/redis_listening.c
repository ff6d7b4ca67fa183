// Listening in a cluster: channels and patterns are known to all its servers, and one connection to
// any of them is enough; a sharded channel is known to the one that has its slot.

#include "store/redis_cluster_inside.h"

#include "base/mem.h"

static void on_where(void *arg, mg_redis_conn *conn);
static void on_moved(void *arg, mg_redis_subscription *s);

static const mg_redis_conn_events anywhere = {.on_where = on_where};

// --- channels that all servers know ---

// Another one each time, so that one that is dead is tried once.
static void on_where(void *arg, mg_redis_conn *conn) {
    mg_redis_cluster *c = arg;
    const mg_redis_settings *s = &c->redis.settings;
    const mg_redis_node *n = mg_redis_node_any(c);
    if (n != NULL) {
        mg_redis_conn_found(conn, n->host, n->port);
    } else {
        const mg_redis_host *h = &s->hosts[c->turn++ % s->host_count];
        mg_redis_conn_found(conn, h->name, h->port);
    }
}

static mg_redis_pubsub *pubsub_of(mg_redis_cluster *c) {
    if (c->pubsub == NULL) {
        mg_redis_conn_options o =
            mg_redis_conn_options_of(&c->redis, NULL, 0, NULL, c->redis.settings.name);
        o.events = &anywhere;
        o.arg = c;
        c->pubsub = mg_redis_pubsub_new(c->redis.loop, &o, NULL);
    }
    return c->pubsub;
}

// --- sharded ones ---

static mg_redis_pubsub *pubsub_of_node(mg_redis_node *n) {
    if (n->pubsub == NULL) {
        mg_redis_conn_options o = mg_redis_node_options(n);
        o.arg = n->cluster;
        n->pubsub = mg_redis_pubsub_new(n->cluster->redis.loop, &o, on_moved);
    }
    return n->pubsub;
}

static void leave(mg_redis_subscription *s) {
    if (s->node != NULL) {
        mg_redis_pubsub_remove(s->node->pubsub, s);
        s->node = NULL;
    }
}

// To who has its slot; if nobody has, it waits for another map.
static void place(mg_redis_cluster *c, mg_redis_subscription *s) {
    mg_redis_node *n = mg_redis_node_for(c, mg_redis_slot(mg_str_of(s->name)), false);
    if (n == s->node) {
        return;
    }
    if (s->node != NULL) {
        s->again = true;
        leave(s);
    }
    if (n != NULL) {
        s->node = n;
        mg_redis_pubsub_add(pubsub_of_node(n), s);
    }
}

void mg_redis_listening_place(mg_redis_cluster *c) {
    mg_link *next;
    for (mg_link *l = c->sharded.next; l != &c->sharded; l = next) {
        next = l->next;
        place(c, MG_OF(l, mg_redis_subscription, others));
    }
}

static void on_moved(void *arg, mg_redis_subscription *s) {
    mg_redis_cluster *c = arg;
    s->node = NULL;
    s->again |= !s->waits;
    mg_redis_refresh(c, MG_REDIS_SOON_MS);
}

// --- both ---

int mg_redis_cluster_subscribe(mg_redis *r, mg_redis_subscription *s, mg_error *err) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    (void)err;
    if (s->kind != MG_REDIS_SHARDED) {
        mg_redis_pubsub_add(pubsub_of(c), s);
        return MG_OK;
    }
    mg_link_append(&c->sharded, &s->others);
    if (c->known) {
        place(c, s);
    }
    if (s->node == NULL) {
        mg_redis_refresh(c, MG_REDIS_SOON_MS);
    }
    return MG_OK;
}

void mg_redis_cluster_unsubscribe(mg_redis *r, mg_redis_subscription *s) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    mg_link_remove(&s->others);
    if (s->kind != MG_REDIS_SHARDED) {
        mg_redis_pubsub_remove(c->pubsub, s);
    } else {
        leave(s);
    }
}

void mg_redis_listening_close(mg_redis_cluster *c) {
    mg_redis_pubsub_free(c->pubsub);
    while (!mg_link_alone(&c->sharded)) {
        mg_link_remove(c->sharded.next);
    }
}
