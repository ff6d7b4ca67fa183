// The servers of a cluster, and who has which slots. Somebody is asked for that (CLUSTER SLOTS)
// when it is needed first, when a server says that it is otherwise or fails, and now and then; if
// he does not know, another one is.

#include "store/redis_cluster_inside.h"

#include "base/mem.h"

#include <stdio.h>

enum {
    IDLE_MS = 60 * 1000,    // nobody has wanted anything: the map may grow old
    REFRESH_MS = 15 * 1000, // else it is asked for so often
    ASK_MS = 500,           // that one server has to answer
};

static void on_ready(void *arg, mg_redis_conn *conn);
static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f);
static void on_push(void *arg, mg_redis_conn *conn, const mg_redis_reply *r);

static const mg_redis_conn_events events = {
    .on_ready = on_ready, .on_lost = on_lost, .on_push = on_push};

// --- servers ---

mg_redis_node *mg_redis_node_of(mg_redis_cluster *c, mg_str host, uint16_t port) {
    for (mg_link *l = c->nodes.next; l != &c->nodes; l = l->next) {
        mg_redis_node *n = MG_OF(l, mg_redis_node, link);
        if (n->port == port && mg_str_eq(mg_str_of(n->host), host)) {
            return n;
        }
    }
    mg_redis_node *n = mg_calloc(1, sizeof *n + host.n + 1);
    char name[320];
    memcpy(n->host, host.p, host.n);
    n->port = port;
    n->cluster = c;
    snprintf(name, sizeof name, "%s://%.256s:%u", c->redis.settings.tls ? "rediss" : "redis",
             n->host, port);
    n->name = mg_strdup(name);
    mg_link_init(&n->leases);
    mg_link_append(&c->nodes, &n->link);
    return n;
}

mg_redis_node *mg_redis_redirected_to(mg_redis_node *from, const mg_redis_redirect *d) {
    mg_str host = d->host.n > 0 ? d->host : mg_str_of(from->host);
    return mg_redis_node_of(from->cluster, host, d->port);
}

mg_redis_conn_options mg_redis_node_options(mg_redis_node *n) {
    return mg_redis_conn_options_of(&n->cluster->redis, n->host, n->port, NULL, n->name);
}

mg_redis_conn *mg_redis_node_conn(mg_redis_node *n) {
    if (n->conn == NULL) {
        mg_redis_conn_options o =
            mg_redis_shared_options_of(&n->cluster->redis, n->host, n->port, NULL, n->name);
        o.events = &events;
        o.arg = n;
        n->conn = mg_redis_conn_new(n->cluster->redis.loop, &o);
    }
    return n->conn;
}

static void free_node(mg_redis_node *n) {
    mg_link_remove(&n->link);
    mg_redis_leases_close(&n->leases);
    mg_redis_conn_close(n->conn);
    mg_redis_pubsub_free(n->pubsub);
    mg_free(n->name);
    mg_free(n);
}

// It is in no map, and nothing of it is under way.
static bool is_over(const mg_redis_cluster *c, const mg_redis_node *n) {
    bool quiet = n->conn == NULL || mg_redis_conn_waiting(n->conn) == 0;
    bool heard = n->pubsub != NULL && mg_redis_pubsub_count(n->pubsub) > 0;
    return !n->listed && quiet && !heard && n->lease_count == n->idle_count &&
           !(c->asking && c->asked == n);
}

static void drop_nodes(mg_redis_cluster *c) {
    mg_link *next;
    for (mg_link *l = c->nodes.next; l != &c->nodes; l = next) {
        mg_redis_node *n = MG_OF(l, mg_redis_node, link);
        next = l->next;
        if (is_over(c, n)) {
            free_node(n);
        }
    }
}

void mg_redis_nodes_close(mg_redis_cluster *c) {
    mg_timer_stop(&c->again);
    if (c->asking) {
        mg_redis_call_cancel(&c->refresh);
    }
    while (!mg_link_alone(&c->nodes)) {
        free_node(MG_OF(c->nodes.next, mg_redis_node, link));
    }
    mg_free(c->shards);
}

// --- what connections tell ---

static void on_ready(void *arg, mg_redis_conn *conn) {
    mg_redis_node *n = arg;
    (void)conn;
    if (n->cluster->lost) {
        mg_redis_refresh(n->cluster, MG_REDIS_SOON_MS);
    }
}

static void tell_observer(mg_redis_cluster *c) {
    const mg_redis_observer *o = c->redis.observer;
    if (o != NULL && o->on_lost != NULL) {
        o->on_lost(o->arg);
    }
}

static void on_lost(void *arg, mg_redis_conn *conn, const mg_redis_fault *f) {
    mg_redis_node *n = arg;
    (void)conn;
    (void)f;
    tell_observer(n->cluster);
    mg_redis_refresh(n->cluster, MG_REDIS_SOON_MS);
}

static void on_push(void *arg, mg_redis_conn *conn, const mg_redis_reply *r) {
    const mg_redis_node *n = arg;
    const mg_redis_observer *o = n->cluster->redis.observer;
    (void)conn;
    if (o != NULL && o->on_push != NULL) {
        o->on_push(o->arg, r);
    }
}

// --- who has which slots ---

static mg_redis_shard *shard_of(mg_redis_cluster *c, uint16_t slot) {
    uint16_t at = c->shard_of[slot];
    return at > 0 ? &c->shards[at - 1] : NULL;
}

static bool is_usable(mg_redis_node *n) {
    return n->conn == NULL || mg_redis_conn_usable(n->conn);
}

// One replica after the other; the master if there is none that could be asked.
static mg_redis_node *draw_replica(mg_redis_shard *s) {
    for (uint32_t i = 1; i < s->n; i++) {
        s->next = s->next % (s->n - 1) + 1;
        if (is_usable(s->servers[s->next])) {
            return s->servers[s->next];
        }
    }
    return s->servers[0];
}

mg_redis_node *mg_redis_node_for(mg_redis_cluster *c, uint16_t slot, bool reads) {
    mg_redis_shard *s = shard_of(c, slot);
    if (s == NULL) {
        return NULL;
    }
    return reads && c->redis.settings.replicas ? draw_replica(s) : s->servers[0];
}

mg_redis_node *mg_redis_node_from(mg_redis_cluster *c, uint16_t *slot) {
    while (*slot < MG_REDIS_SLOTS - 1 && c->shard_of[*slot] == 0) {
        (*slot)++;
    }
    return mg_redis_node_for(c, *slot, false);
}

bool mg_redis_next_master(const mg_redis_cluster *c, uint16_t *slot) {
    bool *seen = mg_calloc(c->shard_count + 1, sizeof *seen);
    uint16_t now = c->shard_of[*slot];
    bool behind = false;
    bool found = false;
    for (uint32_t i = 0; !found && i < MG_REDIS_SLOTS; i++) {
        uint16_t shard = c->shard_of[i];
        bool first = shard != 0 && !seen[shard];
        seen[shard] = true;
        found = first && behind;
        if (found) {
            *slot = (uint16_t)i;
        }
        behind |= now > 0 ? first && shard == now : i == *slot;
    }
    mg_free(seen);
    return found;
}

mg_redis_node *mg_redis_node_any(mg_redis_cluster *c) {
    for (uint32_t i = 0; i < c->shard_count; i++) {
        mg_redis_node *n = c->shards[c->turn++ % c->shard_count].servers[0];
        if (is_usable(n)) {
            return n;
        }
    }
    return NULL;
}

static uint16_t add_shard(mg_redis_cluster *c, const mg_redis_shard *s) {
    c->shards = mg_realloc(c->shards, (c->shard_count + 1) * sizeof *c->shards);
    c->shards[c->shard_count++] = *s;
    return (uint16_t)c->shard_count;
}

void mg_redis_slot_moved(mg_redis_cluster *c, uint16_t slot, mg_redis_node *to) {
    uint16_t at = 0;
    for (uint32_t i = 0; at == 0 && i < c->shard_count; i++) {
        at = c->shards[i].servers[0] == to ? (uint16_t)(i + 1) : 0;
    }
    if (at == 0 && c->shard_count < MG_REDIS_SLOTS) {
        to->listed = true;
        at = add_shard(c, &(mg_redis_shard){.servers = {to}, .n = 1, .slot = slot});
    }
    if (at != 0 && c->shard_of[slot] != at) {
        c->shard_of[slot] = at;
        tell_observer(c);
    }
    mg_redis_refresh(c, MG_REDIS_LATER_MS);
}

// --- asking ---

static mg_redis_shard shard_from(mg_redis_cluster *c, const mg_redis_range *range) {
    mg_redis_shard s = {.n = range->n, .slot = range->first};
    for (uint32_t i = 0; i < range->n; i++) {
        mg_str host = range->servers[i].host;
        host = host.n > 0 ? host : mg_str_of(c->asked->host);
        s.servers[i] = mg_redis_node_of(c, host, range->servers[i].port);
        s.servers[i]->listed = true;
    }
    return s;
}

static uint16_t place_of(mg_redis_cluster *c, const mg_redis_shard *s) {
    for (uint32_t i = 0; i < c->shard_count; i++) {
        if (c->shards[i].servers[0] == s->servers[0]) {
            return (uint16_t)(i + 1);
        }
    }
    return add_shard(c, s);
}

typedef struct old_map {
    mg_redis_shard *shards;
    uint16_t shard_of[MG_REDIS_SLOTS];
} old_map;

static bool differs(const mg_redis_cluster *c, const old_map *old) {
    for (uint32_t i = 0; i < MG_REDIS_SLOTS; i++) {
        const mg_redis_node *was =
            old->shard_of[i] > 0 ? old->shards[old->shard_of[i] - 1].servers[0] : NULL;
        const mg_redis_node *is =
            c->shard_of[i] > 0 ? c->shards[c->shard_of[i] - 1].servers[0] : NULL;
        if (was != is) {
            return true;
        }
    }
    return false;
}

// A new map. False: the reply is none, or nobody has a slot.
static bool read_map(mg_redis_cluster *c, const mg_redis_reply *r, bool *changed) {
    old_map *old = mg_malloc(sizeof *old);
    mg_redis_range range;
    uint32_t at = 0;
    const char *fault;
    if (!mg_redis_next_range(r, &at, &range, &fault)) {
        mg_free(old);
        return false;
    }
    old->shards = c->shards;
    memcpy(old->shard_of, c->shard_of, sizeof old->shard_of);
    c->shards = NULL;
    c->shard_count = 0;
    memset(c->shard_of, 0, sizeof c->shard_of);
    for (mg_link *l = c->nodes.next; l != &c->nodes; l = l->next) {
        MG_OF(l, mg_redis_node, link)->listed = false;
    }
    do {
        mg_redis_shard s = shard_from(c, &range);
        uint16_t place = place_of(c, &s);
        for (uint32_t i = range.first; i <= range.last; i++) {
            c->shard_of[i] = place;
        }
    } while (mg_redis_next_range(r, &at, &range, &fault));
    *changed = differs(c, old);
    mg_free(old->shards);
    mg_free(old);
    return true;
}

static void ask_next(mg_redis_cluster *c);

static void tell_state(mg_redis_cluster *c, bool lost, const char *why) {
    char text[512];
    if (c->lost != lost) {
        c->lost = lost;
        c->reconnects += !lost;
        snprintf(text, sizeof text, "%s: %s", c->redis.settings.name, lost ? why : "there again");
        mg_redis_tell(&c->redis, lost, text);
    }
}

static void on_again(mg_timer *t) {
    mg_redis_cluster *c = MG_OF(t, mg_redis_cluster, again);
    if (mg_loop_now_ms(c->redis.loop) - c->wanted_ms < IDLE_MS || !mg_link_alone(&c->sharded)) {
        mg_redis_refresh(c, 0);
    }
}

static void ask_again_in(mg_redis_cluster *c, uint64_t ms) {
    mg_timer_start(c->redis.loop, &c->again, ms, 0, on_again);
}

// Nobody knows.
static void give_up(mg_redis_cluster *c) {
    c->asking = false;
    tell_state(c, true, c->why.text);
    ask_again_in(c, MG_REDIS_LATER_MS / 2);
    mg_redis_leases_fail(c, c->why.text);
    mg_redis_units_fail(c, c->why.text);
}

static void on_map(mg_redis_call *call, const mg_redis_reply *r, uint32_t left) {
    mg_redis_cluster *c = MG_OF(call, mg_redis_cluster, refresh);
    bool changed = false;
    (void)left;
    if (!read_map(c, r, &changed)) {
        mg_str said = r->count > 0 && r->values[0].type == MG_REDIS_ERROR
                          ? mg_redis_text(r, r->values)
                          : MG_STR("it knows of no slots");
        mg_error_set(&c->why, MG_ECLOSED, "%s is no server of a cluster: %.*s", c->asked->name,
                     (int)(said.n < 200 ? said.n : 200), said.p);
        ask_next(c);
        return;
    }
    c->asking = false;
    c->known = true;
    tell_state(c, false, NULL);
    ask_again_in(c, REFRESH_MS);
    if (changed) {
        tell_observer(c);
    }
    mg_redis_listening_place(c);
    mg_redis_leases_place(c);
    drop_nodes(c);
    mg_redis_units_go_on(c);
}

static void on_map_fault(mg_redis_call *call, const mg_redis_fault *f) {
    mg_redis_cluster *c = MG_OF(call, mg_redis_cluster, refresh);
    mg_error_set(&c->why, MG_ECLOSED, "%s", f->text);
    ask_next(c);
}

static bool ask(mg_redis_cluster *c, mg_redis_node *n) {
    static const char words[] = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";
    mg_redis_conn *conn = mg_redis_node_conn(n);
    n->asked = c->round;
    c->asked = n;
    c->refresh =
        (mg_redis_call){.on_reply = on_map, .on_fault = on_map_fault, .timeout_ms = ASK_MS};
    int rc = mg_redis_conn_send(conn, &c->refresh, MG_STR(words), 1);
    if (rc != MG_OK) {
        mg_error_set(&c->why, rc, "%s",
                     rc == MG_ELIMIT ? mg_redis_conn_full : mg_redis_conn_why(conn));
    }
    return rc == MG_OK;
}

// Those that are connected first, and not always the same one of them.
static mg_redis_node *next_node(mg_redis_cluster *c) {
    mg_redis_node *best = NULL;
    for (mg_link *l = c->nodes.next; l != &c->nodes; l = l->next) {
        mg_redis_node *n = MG_OF(l, mg_redis_node, link);
        if (n->asked == c->round) {
            continue;
        }
        bool ready = n->conn != NULL && mg_redis_conn_state(n->conn) == MG_REDIS_READY;
        if (ready) {
            return n;
        }
        best = best == NULL ? n : best;
    }
    return best;
}

static void ask_next(mg_redis_cluster *c) {
    mg_redis_node *n;
    while ((n = next_node(c)) != NULL) {
        if (ask(c, n)) {
            return;
        }
    }
    give_up(c);
}

static void begin_round(mg_redis_cluster *c) {
    const mg_redis_settings *s = &c->redis.settings;
    c->asking = true;
    c->round++;
    c->round_ms = mg_loop_now_ms(c->redis.loop);
    if (!mg_link_alone(&c->nodes)) { // the first one is another one each time
        mg_link_append(&c->nodes, mg_link_shift(&c->nodes));
    }
    for (uint32_t i = 0; i < s->host_count; i++) {
        (void)mg_redis_node_of(c, mg_str_of(s->hosts[i].name), s->hosts[i].port);
    }
    ask_next(c);
}

// Inside of a send nobody is told anything: it begins with a timer.
static void on_begin(mg_timer *t) {
    begin_round(MG_OF(t, mg_redis_cluster, again));
}

void mg_redis_refresh(mg_redis_cluster *c, uint64_t least_ms) {
    uint64_t now = mg_loop_now_ms(c->redis.loop);
    uint64_t since = c->round == 0 ? least_ms : now - c->round_ms;
    if (c->asking) {
        return;
    }
    uint64_t wait = since < least_ms ? least_ms - since : 0;
    bool sooner = !mg_timer_active(&c->again) || mg_timer_at_ms(&c->again) > now + wait;
    if (sooner || c->again.on_time != on_begin) {
        mg_timer_start(c->redis.loop, &c->again, wait, 0, on_begin);
    }
}
