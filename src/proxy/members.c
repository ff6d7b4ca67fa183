// An upstream's servers as they are now: configured or set by a script, each address of a name one.

#include "proxy/members.h"
#include "base/mem.h"
#include "base/network.h"
#include "proxy/balance.h"
#include "proxy/circuit.h"
#include "proxy/server.h"
#include "proxy/state.h"

typedef struct mg_member_name {
    mg_name_watch watch; // has not begun: the host is no name
    mg_upstream *upstream;
} mg_member_name;

// --- names ---

// Of "localhost" whichever family answers is dialled; its two addresses are one server. What a
// network of specs calls itself stays a name.
static bool is_resolved(const mg_upstream *u, const mg_upstream_server_options *o) {
    static const mg_str local = {"localhost", 9};
    mg_ip ip;
    mg_str host = mg_str_of(o->host);
    mg_str end = host.n > local.n ? (mg_str){host.p + host.n - local.n, local.n} : host;
    return o->unix_path == NULL && !u->set->base->has_net && !mg_ip_parse(host, &ip) &&
           !mg_str_ieq(end, local);
}

static void rebuild(mg_upstream *u);

static void on_change(mg_name_watch *w) {
    rebuild(MG_OF(w, mg_member_name, watch)->upstream);
}

static void watch_names(mg_upstream *u) {
    u->name_count = u->servers.n;
    u->names = mg_calloc(u->name_count + 1, sizeof *u->names);
    for (size_t i = 0; i < u->name_count; i++) {
        const mg_upstream_server_options *o = &u->servers.items[i];
        u->names[i].upstream = u;
        if (is_resolved(u, o)) {
            mg_name_watch_begin(&u->names[i].watch, u->set->base->names, o->host, on_change);
        }
    }
}

static void forget_names(mg_member_name *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        mg_name_watch_end(&names[i].watch);
    }
    mg_free(names);
}

// --- members ---

static bool is_drained(const mg_upstream *u, const char *url) {
    for (size_t i = 0; i < u->drained_count; i++) {
        if (strcmp(u->drained[i], url) == 0) {
            return true;
        }
    }
    return false;
}

static int64_t current_of(const mg_member *members, size_t n, const mg_server_state *server) {
    for (size_t i = 0; i < n; i++) {
        if (members[i].server == server) {
            return members[i].current;
        }
    }
    return 0;
}

// Who was taken out for a while may have been started anew.
static void set_draining(const mg_member *m, uint64_t now_ms) {
    mg_server_cell *c = m->server->hold.cell;
    uint64_t before = atomic_exchange(&c->draining, m->draining ? MG_DRAIN_ASKED : MG_DRAIN_NOT);
    if (before == MG_DRAIN_ASKED && !m->draining) {
        atomic_store(&c->slow_since_ms, now_ms);
    }
}

static void add_member(mg_upstream *u, const mg_upstream_server_options *o,
                       const struct sockaddr_storage *address) {
    mg_member *m = &u->members[u->member_count];
    *m = (mg_member){
        .server = mg_server_join(u->pool, o, &u->options.tls, address),
        .weight = (uint32_t)o->weight,
        .backup = o->backup,
        .draining = is_drained(u, o->url),
    };
    set_draining(m, mg_loop_now_ms(u->set->base->loop));
    u->holds[u->member_count++] = &m->server->hold;
    mg_member_begin_checks(m, &u->options);
}

static void add_members(mg_upstream *u) {
    for (size_t i = 0; i < u->servers.n; i++) {
        size_t n;
        const struct sockaddr_storage *addresses = mg_name_addresses(&u->names[i].watch, &n);
        for (size_t k = 0; k < n; k++) {
            add_member(u, &u->servers.items[i], &addresses[k]);
        }
        if (n == 0) { // no name, or its addresses are not known yet: then whoever dials asks
            add_member(u, &u->servers.items[i], NULL);
        }
    }
}

static void leave(mg_member *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        mg_check_stop(members[i].check);
        mg_server_leave(members[i].server);
    }
    mg_free(members);
}

// Those that stay are joined before they are left: they keep what they are.
static void rebuild(mg_upstream *u) {
    mg_member *before = u->members;
    size_t n = u->member_count;
    size_t most = u->servers.n * MG_DNS_ADDRESSES + 1;
    mg_free(u->candidates);
    mg_free(u->holds);
    u->members = mg_calloc(most, sizeof *u->members);
    u->candidates = mg_calloc(most, sizeof *u->candidates);
    u->holds = mg_calloc(most, sizeof *u->holds);
    u->member_count = 0;
    add_members(u);
    u->group = (mg_server_group){&u->pool->hold, u->holds, u->member_count};
    for (size_t i = 0; i < u->member_count; i++) {
        u->members[i].current = current_of(before, n, u->members[i].server);
    }
    leave(before, n);
}

void mg_members_begin(mg_upstream *u) {
    u->servers = u->options.servers;
    watch_names(u);
    rebuild(u);
}

static void forget_drained(mg_upstream *u) {
    for (size_t i = 0; i < u->drained_count; i++) {
        mg_free(u->drained[i]);
    }
    mg_free(u->drained);
    u->drained = NULL;
    u->drained_count = 0;
}

void mg_members_end(mg_upstream *u) {
    forget_names(u->names, u->name_count);
    leave(u->members, u->member_count);
    mg_free(u->candidates);
    mg_free(u->holds);
    forget_drained(u);
    mg_arena_deinit(&u->set_arena);
}

// Names are watched anew before the old watches end: who knows their addresses keeps them.
void mg_members_set(mg_upstream *u, const mg_upstream_servers *servers) {
    mg_arena before = u->set_arena;
    mg_member_name *names = u->names;
    size_t n = u->name_count;
    mg_upstream_options set = {.servers = servers != NULL ? *servers : u->options.servers};
    mg_upstream_options copy;
    u->set_arena = (mg_arena){0};
    mg_upstream_options_copy(&copy, &set, &u->set_arena);
    u->servers = copy.servers;
    forget_drained(u);
    watch_names(u);
    rebuild(u);
    forget_names(names, n);
    mg_arena_deinit(&before);
}

static void drain_member(mg_member *m, bool drain) {
    m->draining = drain;
    set_draining(m, mg_loop_now_ms(m->server->pool->base->loop));
    if (drain) {
        mg_client_drain(m->server->seen.client, &m->server->seen.origin);
    }
}

void mg_members_drain(mg_upstream *u, mg_str url, bool drain) {
    size_t kept = 0;
    for (size_t i = 0; i < u->drained_count; i++) {
        if (mg_str_eq(mg_str_of(u->drained[i]), url)) {
            mg_free(u->drained[i]);
        } else {
            u->drained[kept++] = u->drained[i];
        }
    }
    u->drained = mg_realloc(u->drained, (kept + 1) * sizeof *u->drained);
    u->drained_count = kept;
    if (drain) {
        u->drained[u->drained_count++] = mg_strndup(url.p, url.n);
    }
    for (size_t i = 0; i < u->member_count; i++) {
        mg_member *m = &u->members[i];
        if (mg_str_eq(m->server->seen.url, url)) {
            drain_member(m, drain);
        }
    }
}

size_t mg_upstream_member_count(const mg_upstream *u) {
    return u->member_count;
}

void mg_upstream_member_of(const mg_upstream *u, size_t i, mg_upstream_member *out) {
    const mg_member *m = &u->members[i];
    const mg_server_cell *c = m->server->hold.cell;
    uint64_t now_ms = mg_loop_now_ms(u->set->base->loop);
    *out = (mg_upstream_member){
        .server = &m->server->seen,
        .weight = m->weight,
        .backup = m->backup,
        .in_flight = mg_server_in_flight(&m->server->hold),
        .latency_ms = mg_balance_latency_us(c) / 1000,
    };
    out->state = mg_server_state_text(c, now_ms, out->why);
}

void mg_upstream_read_now(const mg_upstream *u, mg_upstream_now *out) {
    static const char *const circuits[] = {
        [MG_CIRCUIT_CLOSED] = "closed",
        [MG_CIRCUIT_OPEN] = "open",
        [MG_CIRCUIT_HALF_OPEN] = "half open",
    };
    *out = (mg_upstream_now){.circuit = circuits[MG_CIRCUIT_CLOSED]};
    if (u->pool != NULL) {
        uint64_t now_ms = mg_loop_now_ms(u->set->base->loop);
        out->circuit = circuits[mg_circuit_of(u->pool->hold.cell, now_ms)];
    }
    for (size_t i = 0; i < u->member_count; i++) {
        out->in_flight += mg_server_in_flight(u->holds[i]);
    }
}
