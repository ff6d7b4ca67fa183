// A Redis Cluster: a request is parted into units, each for one server; their replies are told in
// the order of its commands.
//
// A request of which one unit fails is over: what came of the others nobody is told.

#include "store/redis_errand.h"

#include "base/mem.h"

#include <stdlib.h>

static const mg_redis_ops ops;

mg_redis *mg_redis_cluster_new(void) {
    mg_redis_cluster *c = mg_calloc(1, sizeof *c);
    c->redis.ops = &ops;
    mg_link_init(&c->nodes);
    mg_link_init(&c->waiting);
    mg_link_init(&c->errands);
    mg_link_init(&c->leased);
    mg_link_init(&c->sharded);
    return &c->redis;
}

// --- errands ---

static mg_redis_errand *new_errand(mg_redis_cluster *c, mg_redis_request *q, uint32_t count) {
    mg_redis_errand *e = mg_calloc(1, sizeof *e + count * sizeof e->commands[0]);
    bool own = q->timeout_ms == 0 && !q->alone;
    uint32_t timeout_ms = own ? c->redis.settings.timeout_ms : q->timeout_ms;
    e->cluster = c;
    e->q = q;
    e->count = count;
    e->until_ms = timeout_ms > 0 ? mg_loop_now_ms(c->redis.loop) + timeout_ms : UINT64_MAX;
    mg_link_init(&e->units);
    mg_link_append(&c->errands, &e->link);
    q->inside = e;
    q->count = count;
    return e;
}

static void free_pending(mg_redis_pending *p) {
    mg_redis_kept_deinit(&p->reply);
    for (uint32_t i = 0; i < p->part_count; i++) {
        mg_redis_kept_deinit(&p->parts[i].kept);
    }
    mg_free(p->parts);
    mg_free(p->places);
}

static void release(mg_redis_errand *e) {
    if (e->q != NULL || e->holds > 0) {
        return;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        free_pending(&e->commands[i]);
    }
    mg_link_remove(&e->link);
    mg_free(e);
}

// Nobody is told anything any more.
static void end(mg_redis_errand *e) {
    e->q = NULL;
    while (!mg_link_alone(&e->units)) {
        mg_redis_unit_free(MG_OF(e->units.next, mg_redis_unit, link));
    }
}

static void cancel(mg_redis_request *q) {
    mg_redis_errand *e = q->inside;
    end(e);
    release(e);
}

// --- units ---

static mg_redis_unit *new_unit(mg_redis_errand *e, uint32_t first, uint32_t count) {
    mg_redis_unit *u = mg_calloc(1, sizeof *u);
    u->errand = e;
    u->first = first;
    u->count = count;
    mg_link_init(&u->waiting);
    mg_link_append(&e->units, &u->link);
    if (count > 1) {
        u->kept = mg_calloc(count, sizeof *u->kept);
    }
    return u;
}

static void write_commands(mg_redis_unit *u, const mg_redis_command *commands) {
    for (uint32_t i = 0; i < u->count; i++) {
        mg_redis_write(&u->words, commands[i].words, commands[i].n);
    }
}

static int refuse(const mg_redis_command *c, const char *why, mg_error *err) {
    return mg_error_set(err, MG_ESYNTAX, "%.*s %s: a cluster cannot be asked so",
                        (int)(c->words[0].n < 32 ? c->words[0].n : 32), c->words[0].p, why);
}

// One unit for one command, or for it and what stands in front of it.
static int add_plain(mg_redis_errand *e, const mg_redis_command *commands, uint32_t at,
                     uint32_t count, mg_error *err) {
    const mg_redis_command *c = &commands[at + count - 1];
    mg_redis_route route = mg_redis_route_of(c);
    uint16_t slot = 0;
    if (route.whither == MG_REDIS_BY_KEYS) {
        int rc = mg_redis_slot_of(c, &route, &slot, err);
        if (rc != MG_OK) {
            return rc;
        }
    }
    mg_redis_unit *u = new_unit(e, at, count);
    u->slot = slot;
    u->anyone = route.whither != MG_REDIS_BY_KEYS;
    u->reads = route.reads;
    u->tracked = count > 1;
    write_commands(u, &commands[at]);
    return MG_OK;
}

// --- parted commands ---

static mg_redis_pending *part_into(mg_redis_errand *e, uint32_t at, mg_redis_join join,
                                   uint32_t parts) {
    mg_redis_pending *p = &e->commands[at];
    p->join = (uint8_t)join;
    p->parts = mg_calloc(parts, sizeof *p->parts);
    p->part_count = p->parts_left = parts;
    return p;
}

static mg_redis_unit *new_part(mg_redis_errand *e, uint32_t at, uint32_t part) {
    mg_redis_unit *u = new_unit(e, at, 1);
    u->part = part + 1;
    return u;
}

static void add_everyone(mg_redis_errand *e, uint32_t at, mg_redis_join join, mg_str words) {
    const mg_redis_cluster *c = e->cluster;
    part_into(e, at, join, c->shard_count);
    for (uint32_t i = 0; i < c->shard_count; i++) {
        mg_redis_unit *u = new_part(e, at, i);
        u->slot = c->shards[i].slot;
        mg_buf_append_str(&u->words, words);
    }
}

void mg_redis_unit_expand(mg_redis_unit *u) {
    mg_redis_errand *e = u->errand;
    mg_link *last = e->units.prev;
    add_everyone(e, u->first, e->commands[u->first].join, mg_buf_str(&u->words));
    for (mg_link *l = last->next; l != &e->units; l = l->next) {
        mg_redis_unit *part = MG_OF(l, mg_redis_unit, link);
        if (mg_redis_unit_send(part) != MG_OK) {
            mg_redis_unit_failed(part, &(mg_redis_fault){"limit", part->why, false});
            return;
        }
    }
    mg_redis_unit_free(u);
}

typedef struct placed {
    uint16_t slot;
    uint32_t place; // among the keys
} placed;

static int by_slot(const void *a, const void *b) {
    const placed *x = a;
    const placed *y = b;
    int slots = (int)x->slot - (int)y->slot;
    return slots != 0 ? slots : (x->place > y->place) - (x->place < y->place);
}

static void write_part(mg_redis_unit *u, const mg_redis_command *c, const mg_redis_route *route,
                       const uint32_t *places, uint32_t n) {
    mg_redis_write_count(&u->words, 1 + (size_t)n * route->step);
    mg_redis_write_word(&u->words, c->words[0]);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t w = 0; w < route->step; w++) {
            mg_redis_write_word(&u->words, c->words[route->first + places[i] * route->step + w]);
        }
    }
}

// One unit for each slot. False: its keys lie in one alone, or a key has no value.
static bool add_parts(mg_redis_errand *e, const mg_redis_command *commands, uint32_t at,
                      const mg_redis_route *route) {
    const mg_redis_command *c = &commands[at];
    uint32_t keys = (route->last - route->first) / route->step + 1;
    if (route->first + keys * route->step > c->n) {
        return false;
    }
    placed *all = mg_malloc(keys * sizeof *all);
    uint32_t slots = 1;
    for (uint32_t i = 0; i < keys; i++) {
        all[i] = (placed){mg_redis_slot(c->words[route->first + i * route->step]), i};
    }
    qsort(all, keys, sizeof *all, by_slot);
    for (uint32_t i = 1; i < keys; i++) {
        slots += all[i].slot != all[i - 1].slot;
    }
    mg_redis_pending *p = slots > 1 ? part_into(e, at, route->join, slots) : NULL;
    if (p != NULL) {
        p->keys = keys;
        p->places = mg_malloc(keys * sizeof *p->places);
    }
    for (uint32_t i = 0, part = 0; p != NULL && i < keys; part++) {
        uint32_t n = 0;
        uint32_t *places = &p->places[i];
        for (uint16_t slot = all[i].slot; i < keys && all[i].slot == slot; i++) {
            places[n++] = all[i].place;
        }
        mg_redis_unit *u = new_part(e, at, part);
        p->parts[part] = (mg_redis_part){.places = places, .n = n};
        u->slot = all[i - 1].slot;
        u->reads = route->reads;
        write_part(u, c, route, places, n);
    }
    mg_free(all);
    return slots > 1;
}

// --- what a request becomes ---

static bool is_named(const mg_redis_command *c, mg_str name) {
    return c->n > 0 && mg_str_ieq(c->words[0], name);
}

// A transaction, or a pipeline on a connection of its own: all of it in one slot. Words that are no
// keys (MULTI, WAIT) go with the others.
static int add_joint(mg_redis_errand *e, const mg_redis_command *commands, mg_error *err) {
    enum { SHOWN = 64 };
    mg_redis_unit *u = new_unit(e, 0, e->count);
    u->anyone = true;
    write_commands(u, commands);
    for (uint32_t i = 0; i < e->count; i++) {
        mg_redis_route route = mg_redis_route_of(&commands[i]);
        uint16_t slot;
        if (route.whither != MG_REDIS_BY_KEYS) {
            continue;
        }
        int rc = mg_redis_slot_of(&commands[i], &route, &slot, err);
        if (rc != MG_OK) {
            return rc;
        }
        if (!u->anyone && slot != u->slot) {
            mg_str key = commands[i].words[route.first];
            return mg_error_set(err, MG_ESYNTAX,
                                "%s lies in one slot of the cluster, and %.*s is elsewhere: give "
                                "its keys one hash tag, as in {cart}:1",
                                e->q->alone ? "a pipeline that waits at the server"
                                            : "a transaction",
                                (int)(key.n < SHOWN ? key.n : SHOWN), key.p);
        }
        u->slot = slot;
        u->anyone = false;
        u->reads = e->count == 1 && route.reads;
    }
    return MG_OK;
}

static int add_scan(mg_redis_errand *e, uint32_t at, const mg_redis_command *c, mg_error *err) {
    mg_redis_scan scan;
    if (!mg_redis_scan_read(c->words[1], &scan)) {
        return mg_error_set(err, MG_ESYNTAX, "SCAN: \"%.*s\" is no cursor that SCAN has given",
                            (int)(c->words[1].n < 32 ? c->words[1].n : 32), c->words[1].p);
    }
    mg_redis_unit *u = new_unit(e, at, 1);
    u->reads = true;
    u->scan = mg_malloc(sizeof scan);
    *u->scan = scan;
    u->option_count = c->n - 2;
    for (uint32_t i = 2; i < c->n; i++) {
        mg_redis_write_word(&u->options, c->words[i]);
    }
    return MG_OK;
}

static int add_command(mg_redis_errand *e, const mg_redis_command *commands, uint32_t *at,
                       mg_error *err) {
    mg_redis_route route = mg_redis_route_of(&commands[*at]);
    uint32_t here = *at;
    uint32_t count = route.whither == MG_REDIS_NEXT && here + 1 < e->count ? 2 : 1;
    *at += count;
    if (route.whither == MG_REDIS_NOBODY) {
        return refuse(&commands[here], route.why, err);
    }
    if (route.whither == MG_REDIS_IN_TURN) {
        return add_scan(e, here, &commands[here], err);
    }
    if (route.whither == MG_REDIS_EVERYONE) {
        mg_redis_unit *u = new_unit(e, here, 1);
        u->everyone = true;
        e->commands[here].join = route.join;
        write_commands(u, &commands[here]);
        if (e->cluster->known) {
            add_everyone(e, here, route.join, mg_buf_str(&u->words));
            mg_redis_unit_free(u);
        }
        return MG_OK;
    }
    if (route.join != MG_REDIS_ONE && route.whither == MG_REDIS_BY_KEYS &&
        add_parts(e, commands, here, &route)) {
        return MG_OK;
    }
    return add_plain(e, commands, here, count, err);
}

static int add_units(mg_redis_errand *e, const mg_redis_command *commands, mg_error *err) {
    int rc = MG_OK;
    bool transaction = e->count > 1 && is_named(&commands[0], MG_STR("MULTI")) &&
                       is_named(&commands[e->count - 1], MG_STR("EXEC"));
    if (transaction || e->q->alone) {
        rc = add_joint(e, commands, err);
        MG_OF(e->units.next, mg_redis_unit, link)->stays = e->count > 1 && !transaction;
        return rc;
    }
    for (uint32_t at = 0; rc == MG_OK && at < e->count;) {
        rc = add_command(e, commands, &at, err);
    }
    return rc;
}

static int send_units(mg_redis_errand *e, mg_error *err) {
    for (mg_link *l = e->units.next; l != &e->units; l = l->next) {
        mg_redis_unit *u = MG_OF(l, mg_redis_unit, link);
        int rc = mg_redis_unit_send(u); // of one for everyone: it waits
        if (rc != MG_OK) {
            return mg_error_set(err, rc, "%s", u->why);
        }
    }
    return MG_OK;
}

static int send_request(mg_redis *r, mg_redis_request *q, const mg_redis_command *commands,
                        uint32_t count, mg_error *err) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    c->calls++;
    c->wanted_ms = mg_loop_now_ms(r->loop);
    if (c->lost) {
        c->faults++;
        mg_redis_refresh(c, MG_REDIS_SOON_MS);
        return mg_error_set(err, MG_ECLOSED, "%s: %s", r->settings.name, c->why.text);
    }
    mg_redis_errand *e = new_errand(c, q, count);
    int rc = add_units(e, commands, err);
    if (rc == MG_OK) {
        rc = send_units(e, err);
    }
    if (rc != MG_OK) {
        c->faults++;
        end(e);
        release(e);
    }
    return rc;
}

// --- what came of it ---

static void tell(mg_redis_errand *e, const mg_redis_reply *r) {
    mg_redis_request *q = e->q;
    uint32_t index = e->next++;
    bool last = e->next == e->count;
    if (last) {
        end(e);
    }
    q->on_reply(q, index, r, last);
}

static void tell_those_behind(mg_redis_errand *e) {
    while (e->q != NULL && e->commands[e->next].there) {
        mg_redis_kept reply = e->commands[e->next].reply;
        e->commands[e->next].reply = (mg_redis_kept){.values = NULL};
        tell(e, &reply.reply);
        mg_redis_kept_deinit(&reply);
    }
}

static void settle(mg_redis_pending *p, mg_redis_kept *reply) {
    p->reply = *reply;
    p->there = true;
}

static void settle_part(mg_redis_pending *p, uint32_t part, const mg_redis_reply *r) {
    mg_redis_keep(r, &p->parts[part].kept);
    p->parts_left--;
    if (p->parts_left == 0) {
        mg_redis_kept joined;
        mg_redis_join_parts(p->join, p->parts, p->part_count, p->keys, &joined);
        settle(p, &joined);
    }
}

// Replies of a unit with several commands; CLIENT CACHING that was left out has none.
static void settle_several(mg_redis_unit *u, mg_redis_errand *e) {
    mg_redis_pending *p = &e->commands[u->first];
    if (u->untracked) {
        static const mg_redis_value none = {.type = MG_REDIS_NULL};
        mg_redis_kept null;
        mg_redis_keep(&(mg_redis_reply){.values = &none, .count = 1, .text = ""}, &null);
        settle(p++, &null);
    }
    for (uint32_t i = 0; i < u->got; i++) {
        settle(p++, &u->kept[i]);
    }
    u->got = 0;
}

void mg_redis_unit_done(mg_redis_unit *u, const mg_redis_reply *r) {
    mg_redis_errand *e = u->errand;
    mg_redis_kept kept = {.values = NULL};
    e->holds++;
    if (u->part > 0) {
        settle_part(&e->commands[u->first], u->part - 1, r);
    } else if (u->kept != NULL) {
        settle_several(u, e);
    } else if (e->next != u->first) {
        mg_redis_keep(r, &kept);
        settle(&e->commands[u->first], &kept);
    } else {
        mg_redis_unit_free(u);
        u = NULL;
        tell(e, r);
    }
    if (u != NULL) {
        mg_redis_unit_free(u);
    }
    tell_those_behind(e);
    e->holds--;
    release(e);
}

void mg_redis_unit_failed(mg_redis_unit *u, const mg_redis_fault *f) {
    mg_redis_errand *e = u->errand;
    mg_redis_request *q = e->q;
    mg_redis_cluster *c = e->cluster;
    char text[1200];
    mg_redis_fault copy = {f->code, text, f->sent}; // it may lie in the unit
    snprintf(text, sizeof text, "%s", f->text);
    c->faults++;
    c->timeouts += strcmp(f->code, "timeout") == 0;
    end(e);
    q->on_fault(q, &copy);
    release(e);
}

// --- figures and the end ---

static void read_stats(const mg_redis *r, mg_redis_stats *out) {
    const mg_redis_cluster *c = (const mg_redis_cluster *)r;
    bool connecting = false;
    for (const mg_link *l = c->nodes.next; l != &c->nodes; l = l->next) {
        const mg_redis_node *n = MG_OF(l, mg_redis_node, link);
        if (n->conn != NULL) {
            mg_redis_state state = mg_redis_conn_state(n->conn);
            out->waiting += mg_redis_conn_waiting(n->conn);
            out->connections += state == MG_REDIS_READY;
            connecting |= state == MG_REDIS_CONNECTING || state == MG_REDIS_GREETING;
        }
        out->subscriptions += n->pubsub != NULL ? mg_redis_pubsub_count(n->pubsub) : 0;
    }
    out->subscriptions += c->pubsub != NULL ? mg_redis_pubsub_count(c->pubsub) : 0;
    out->leased = c->taken;
    out->state = c->lost                ? "down"
                 : out->connections > 0 ? "ready"
                 : connecting           ? "connecting"
                                        : "idle";
    out->why = c->lost ? c->why.text : "";
    out->calls = c->calls;
    out->faults = c->faults;
    out->timeouts = c->timeouts;
    out->reconnects = c->reconnects;
}

static void close_cluster(mg_redis *r) {
    mg_redis_cluster *c = (mg_redis_cluster *)r;
    mg_timer_stop(&c->retry);
    while (!mg_link_alone(&c->errands)) {
        mg_redis_errand *e = MG_OF(c->errands.next, mg_redis_errand, link);
        end(e);
        release(e);
    }
    mg_redis_listening_close(c);
    mg_redis_leases_close(&c->leased);
    mg_redis_nodes_close(c);
}

static const mg_redis_ops ops = {
    .send = send_request,
    .cancel = cancel,
    .lease = mg_redis_cluster_lease,
    .give_back = mg_redis_cluster_give_back,
    .subscribe = mg_redis_cluster_subscribe,
    .unsubscribe = mg_redis_cluster_unsubscribe,
    .read_stats = read_stats,
    .close = close_cluster,
};
