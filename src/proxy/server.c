// Servers: an address of a URL each, shared by all sets of a worker.

#include "proxy/server.h"

#include "base/mem.h"
#include "base/network.h"
#include "http/proxy_header.h"
#include "proxy/state.h"
#include "proxy/verdict.h"

static mg_str kept(mg_arena *a, const mg_buf *text) {
    return (mg_str){mg_arena_copy(a, mg_buf_str(text)), text->n};
}

static mg_str copied(mg_arena *a, const char *text) {
    mg_str s = text != NULL ? mg_str_of(text) : (mg_str){"", 0};
    return (mg_str){mg_arena_copy(a, s), s.n};
}

// The port only where it is not the scheme's own (RFC 9110 section 4.2.3).
static mg_str authority_of(mg_arena *a, const mg_upstream_server_options *o) {
    if (o->unix_path != NULL) {
        return MG_STR("localhost");
    }
    mg_buf text = {0};
    bool v6 = strchr(o->host, ':') != NULL;
    mg_buf_printf(&text, v6 ? "[%s]" : "%s", o->host);
    if (o->port != (o->tls ? 443 : 80)) {
        mg_buf_printf(&text, ":%u", o->port);
    }
    mg_str s = kept(a, &text);
    mg_buf_deinit(&text);
    return s;
}

// "10.0.0.1", "fd00::1": where it is dialled, or the host of its URL.
static mg_str host_of(mg_arena *a, const mg_upstream_server_options *o,
                      const struct sockaddr_storage *address) {
    char text[MG_IP_TEXT_BYTES];
    mg_ip ip;
    if (o->unix_path != NULL) {
        return MG_STR("localhost");
    }
    if (address == NULL || !mg_ip_of(address, &ip)) {
        return copied(a, o->host);
    }
    mg_ip_write(&ip, text);
    return copied(a, text);
}

static mg_str address_of(mg_arena *a, const mg_upstream_server_options *o, mg_str host) {
    mg_buf text = {0};
    if (o->unix_path != NULL) {
        mg_buf_printf(&text, "unix:%s", o->unix_path);
    } else {
        bool v6 = memchr(host.p, ':', host.n) != NULL;
        mg_buf_printf(&text, v6 ? "[%s]:%u" : "%s:%u", host.p, o->port);
    }
    mg_str s = kept(a, &text);
    mg_buf_deinit(&text);
    return s;
}

// By this all workers know it: the address of a name comes first, since the text may be cut.
static mg_str key_of(mg_arena *a, const mg_upstream_server *s, bool resolved) {
    if (!resolved) {
        return s->url;
    }
    mg_buf text = {0};
    mg_buf_printf(&text, "%s %s", s->address.p, s->url.p);
    mg_str key = kept(a, &text);
    mg_buf_deinit(&text);
    return key;
}

// Of connections that are no client's: those of health checks.
static mg_str prelude_of(mg_arena *a, unsigned version) {
    mg_buf text = {0};
    if (version > 0) {
        mg_proxy_header_write(&text, version, &(mg_proxy_header){0});
    }
    mg_str s = kept(a, &text);
    mg_buf_deinit(&text);
    return s;
}

static mg_call_origin origin_of(mg_arena *a, const mg_upstream_server_options *o,
                                const mg_upstream_tls *tls, mg_str host) {
    return (mg_call_origin){
        .tls = o->tls,
        .port = o->port,
        .insecure = tls->insecure,
        .host = host,
        .unix_path = copied(a, o->unix_path),
        .ca = copied(a, tls->ca),
        .cert = copied(a, tls->cert),
        .key = copied(a, tls->key),
        .server_name = copied(a, tls->server_name != NULL ? tls->server_name : o->host),
    };
}

static mg_server_state *new_server(mg_upstream_pool *p, const mg_upstream_server_options *o,
                                   const mg_upstream_tls *tls,
                                   const struct sockaddr_storage *address) {
    mg_server_state *s = mg_calloc(1, sizeof *s);
    mg_arena *a = &s->arena;
    s->pool = p;
    p->refs++;
    mg_link_init(&s->tickets);
    mg_link_append(&p->servers, &s->link);
    mg_str host = host_of(a, o, address);
    s->seen = (mg_upstream_server){
        .client = p->client,
        .url = copied(a, o->url),
        .address = address_of(a, o, host),
        .authority = authority_of(a, o),
        .origin = origin_of(a, o, tls, host),
    };
    s->seen.origin.prelude = prelude_of(a, p->proxy_protocol);
    s->seen.origin.hint = &s->hint;
    mg_str key = key_of(a, &s->seen, address != NULL);
    s->hash = (uint64_t)mg_str_hash(key) * 0x9e3779b97f4a7c15u;
    if (p->is_open) {
        mg_shared_hold_private(p->base->shared, mg_str_of(p->name), key, &s->hold);
    } else if (!mg_shared_hold_server(p->base->shared, mg_str_of(p->name), key, &s->hold)) {
        mg_upstream_tell_private(p->base, p->name);
    }
    uint64_t never = 0; // whichever worker sees it first says when it came
    atomic_compare_exchange_strong(&s->hold.cell->slow_since_ms, &never,
                                   mg_loop_now_ms(p->base->loop));
    return s;
}

static bool is_server(const mg_server_state *s, const mg_upstream_server_options *o,
                      const struct sockaddr_storage *address) {
    mg_arena a = {0};
    bool same = mg_str_eq(s->seen.url, mg_str_of(o->url)) &&
                mg_str_eq(s->seen.origin.host, host_of(&a, o, address));
    mg_arena_deinit(&a);
    return same;
}

mg_server_state *mg_server_of(mg_upstream_pool *p, const mg_upstream_server_options *o,
                              const mg_upstream_tls *tls, const struct sockaddr_storage *address) {
    mg_server_state *s = NULL;
    for (mg_link *l = p->servers.next; s == NULL && l != &p->servers; l = l->next) {
        mg_server_state *other = MG_OF(l, mg_server_state, link);
        s = is_server(other, o, address) ? other : NULL;
    }
    return s != NULL ? s : new_server(p, o, tls, address);
}

mg_server_state *mg_server_join(mg_upstream_pool *p, const mg_upstream_server_options *o,
                                const mg_upstream_tls *tls,
                                const struct sockaddr_storage *address) {
    mg_server_state *s = mg_server_of(p, o, tls, address);
    s->members++;
    mg_count_up(&s->hold.own->members);
    uint64_t gone = MG_DRAIN_GONE;
    if (atomic_compare_exchange_strong(&s->hold.cell->draining, &gone, MG_DRAIN_NOT)) {
        atomic_store(&s->hold.cell->slow_since_ms, mg_loop_now_ms(p->base->loop));
    }
    return s;
}

void mg_server_release(mg_server_state *s) {
    if (s->members > 0 || !mg_link_alone(&s->tickets)) {
        return;
    }
    mg_upstream_pool *p = s->pool;
    mg_link_remove(&s->link);
    mg_shared_drop_server(&s->hold);
    mg_arena_deinit(&s->arena);
    mg_free(s);
    mg_upstream_pool_unref(p);
}

// It drains from its last member on: what is under way ends, nothing else begins. A pool with other
// connections may have it still, and so may another worker.
void mg_server_leave(mg_server_state *s) {
    s->members--;
    mg_count_down(&s->hold.own->members);
    atomic_thread_fence(memory_order_seq_cst);
    if (mg_server_members(&s->hold) == 0) {
        atomic_store(&s->hold.cell->draining, MG_DRAIN_GONE);
    }
    if (s->members == 0) {
        mg_client_drain(s->seen.client, &s->seen.origin);
    }
    mg_server_release(s);
}

void mg_member_begin_checks(mg_member *m, const mg_upstream_options *o) {
    if (!o->health.on) {
        mg_health_forget(&m->server->hold); // what checks said before a reload took them away
        return;
    }
    mg_upstream_base *b = m->server->pool->base;
    m->check = mg_check_start(&(mg_check_setup){
        .loop = b->loop,
        .client = m->server->pool->checks,
        .dns = b->dns,
        .options = &o->health,
        .server = &m->server->seen,
        .hold = &m->server->hold,
        .random = &b->random,
        .changes = b->changes,
    });
}
