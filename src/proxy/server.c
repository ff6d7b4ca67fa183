// Servers, the pools of their connections, and what all upstreams of a worker have in common.

#include "base/mem.h"
#include "proxy/upstream_inside.h"

#include <stdio.h>

// --- the base ---

int mg_upstream_base_new(mg_upstream_base **out, const mg_upstreams_setup *setup, mg_error *err) {
    mg_upstream_base *b = mg_calloc(1, sizeof *b);
    b->refs = 1;
    b->loop = setup->loop;
    b->nameservers = setup->nameservers != NULL ? mg_strdup(setup->nameservers) : NULL;
    b->head = setup->head;
    b->changes = (mg_changes){setup->on_warning, setup->log_arg};
    b->shared = mg_shared_new(setup->room, setup->worker);
    mg_link_init(&b->pools);
    mg_link_init(&b->sets);
    mg_random_init(&b->random, setup->seed);
    b->tls = mg_tls_cache_new(b->loop, setup->ca, setup->ca_text);
    const mg_dns_options dns = {.nameservers = b->nameservers};
    int rc = mg_dns_new(&b->dns, b->loop, &dns);
    if (rc != MG_OK) {
        mg_upstream_base_unref(b);
        return mg_error_set(err, rc, "the resolver cannot start: %s", mg_strerror(rc));
    }
    *out = b;
    return MG_OK;
}

mg_upstream_base *mg_upstream_base_ref(mg_upstream_base *b) {
    b->refs++;
    return b;
}

void mg_upstream_base_unref(mg_upstream_base *b) {
    if (--b->refs > 0) {
        return;
    }
    mg_tls_cache_free(b->tls);
    mg_dns_free(b->dns);
    mg_shared_free(b->shared);
    mg_free(b->nameservers);
    mg_free(b);
}

// --- pools ---

// What connections are made from. What is not here may change without losing one.
static void append_signature(mg_buf *out, const mg_upstream_options *o) {
    mg_buf_printf(out, "idle=%llu checks=%d\n", (unsigned long long)o->idle_ms, o->health.on);
}

static mg_upstream_pool *find_pool(const mg_upstream_base *b, const char *name, mg_str signature) {
    for (mg_link *l = b->pools.next; l != &b->pools; l = l->next) {
        mg_upstream_pool *p = MG_OF(l, mg_upstream_pool, link);
        if (strcmp(p->name, name) == 0 && mg_str_eq(mg_buf_str(&p->signature), signature)) {
            return p;
        }
    }
    return NULL;
}

static mg_client_options client_options(const mg_upstream_base *b, const mg_upstream_options *o) {
    return (mg_client_options){
        .connections = (uint32_t)o->connections,
        .waiting = UINT32_MAX,
        .idle_connections = (uint32_t)o->connections,
        .idle_ms = (uint32_t)o->idle_ms,
        .head = b->head,
        .dns = b->dns,
        .tls = b->tls,
        .on_warning = b->changes.on_warning,
        .log_arg = b->changes.arg,
    };
}

static int open_client(mg_upstream_pool *p, const mg_upstream_options *o, mg_error *err) {
    mg_client_options options = client_options(p->base, o);
    int rc = mg_client_new(&p->client, p->base->loop, &options, err);
    if (rc == MG_OK && o->health.on) {
        options = mg_check_client(&options);
        rc = mg_client_new(&p->checks, p->base->loop, &options, err);
    }
    return rc;
}

// There is room for more than anybody needs, so it is told once.
static void tell_private(const mg_upstream_base *b, const char *name) {
    static bool told;
    mg_error text;
    if (told || b->changes.on_warning == NULL) {
        return;
    }
    told = true;
    mg_error_set(&text, MG_OK,
                 "upstream %s: the memory that workers share has no place for it: what one knows "
                 "of its servers, others do not",
                 name);
    b->changes.on_warning(b->changes.arg, text.text);
}

int mg_upstream_pool_get(mg_upstream_pool **out, mg_upstream_base *b, const mg_upstream_options *o,
                         mg_error *err) {
    mg_buf signature = {0};
    append_signature(&signature, o);
    mg_upstream_pool *p = find_pool(b, o->name, mg_buf_str(&signature));
    if (p != NULL) {
        mg_buf_deinit(&signature);
        p->refs++;
        *out = p;
        return MG_OK;
    }
    p = mg_calloc(1, sizeof *p);
    p->refs = 1;
    p->base = mg_upstream_base_ref(b);
    p->name = mg_strdup(o->name);
    p->signature = signature;
    mg_link_init(&p->servers);
    mg_link_init(&p->waiters);
    mg_link_append(&b->pools, &p->link);
    if (!mg_shared_hold_upstream(b->shared, mg_str_of(o->name), &p->hold)) {
        tell_private(b, o->name);
    }
    int rc = open_client(p, o, err);
    if (rc != MG_OK) {
        mg_upstream_pool_unref(p);
        return rc;
    }
    *out = p;
    return MG_OK;
}

void mg_upstream_pool_unref(mg_upstream_pool *p) {
    if (p == NULL || --p->refs > 0) {
        return;
    }
    mg_link_remove(&p->link);
    mg_timer_stop(&p->turn);
    mg_client_free(p->client);
    mg_client_free(p->checks);
    mg_shared_drop_upstream(&p->hold);
    mg_upstream_base_unref(p->base);
    mg_buf_deinit(&p->signature);
    mg_free(p->name);
    mg_free(p);
}

// --- servers ---

static mg_str kept(mg_arena *a, const mg_buf *text) {
    return (mg_str){mg_arena_copy(a, mg_buf_str(text)), text->n};
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

static mg_str address_of(mg_arena *a, const mg_upstream_server_options *o) {
    mg_buf text = {0};
    if (o->unix_path != NULL) {
        mg_buf_printf(&text, "unix:%s", o->unix_path);
    } else {
        mg_buf_printf(&text, strchr(o->host, ':') != NULL ? "[%s]:%u" : "%s:%u", o->host, o->port);
    }
    mg_str s = kept(a, &text);
    mg_buf_deinit(&text);
    return s;
}

static mg_str copied(mg_arena *a, const char *text) {
    mg_str s = text != NULL ? mg_str_of(text) : (mg_str){"", 0};
    return (mg_str){mg_arena_copy(a, s), s.n};
}

static mg_server_state *new_server(mg_upstream_pool *p, const mg_upstream_server_options *o) {
    mg_server_state *s = mg_calloc(1, sizeof *s);
    mg_arena *a = &s->arena;
    s->pool = p;
    p->refs++;
    mg_link_init(&s->tickets);
    mg_link_append(&p->servers, &s->link);
    s->seen = (mg_upstream_server){
        .client = p->client,
        .url = copied(a, o->url),
        .address = address_of(a, o),
        .authority = authority_of(a, o),
        .origin =
            {
                .tls = o->tls,
                .port = o->port,
                .host = copied(a, o->unix_path != NULL ? "localhost" : o->host),
                .unix_path = copied(a, o->unix_path),
            },
    };
    if (!mg_shared_hold_server(p->base->shared, mg_str_of(p->name), s->seen.url, &s->hold)) {
        tell_private(p->base, p->name);
    }
    return s;
}

static mg_server_state *find_server(const mg_upstream_pool *p,
                                    const mg_upstream_server_options *o) {
    for (mg_link *l = p->servers.next; l != &p->servers; l = l->next) {
        mg_server_state *s = MG_OF(l, mg_server_state, link);
        if (mg_str_eq(s->seen.url, mg_str_of(o->url))) {
            return s;
        }
    }
    return NULL;
}

mg_server_state *mg_server_join(mg_upstream_pool *p, const mg_upstream_server_options *o) {
    mg_server_state *s = find_server(p, o);
    if (s == NULL) {
        s = new_server(p, o);
    }
    s->members++;
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

void mg_server_leave(mg_server_state *s) {
    s->members--;
    mg_server_release(s);
}

void mg_member_begin_checks(mg_member *m, const mg_upstream_options *o) {
    if (!o->health.on) {
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
