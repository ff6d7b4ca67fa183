// The pools of connections to servers, and what all upstreams of a worker have in common.

#include "base/mem.h"
#include "event/connect.h"
#include "proxy/upstream_inside.h"

// --- the base ---

static void append_base(mg_buf *out, const mg_upstreams_setup *setup) {
    mg_buf_printf(out, "%s\n%s\n%u %u\n", setup->nameservers != NULL ? setup->nameservers : "",
                  setup->ca != NULL ? setup->ca : "", setup->head.bytes, setup->head.lines);
    mg_buf_append_str(out, setup->ca_text);
}

bool mg_upstream_base_fits(const mg_upstream_base *b, const mg_upstreams_setup *setup) {
    mg_buf signature = {0};
    append_base(&signature, setup);
    bool same = mg_str_eq(mg_buf_str(&signature), mg_buf_str(&b->signature));
    mg_buf_deinit(&signature);
    return same;
}

int mg_upstream_base_new(mg_upstream_base **out, const mg_upstreams_setup *setup, mg_error *err) {
    mg_upstream_base *b = mg_calloc(1, sizeof *b);
    b->refs = 1;
    b->loop = setup->loop;
    append_base(&b->signature, setup);
    b->head = setup->head;
    b->has_net = mg_connect_has_net(b->loop);
    b->changes = (mg_changes){setup->on_warning, setup->on_news, setup->log_arg};
    b->shared = mg_shared_new(setup->room, setup->worker);
    mg_link_init(&b->pools);
    mg_link_init(&b->sets);
    mg_link_init(&b->passages);
    mg_random_init(&b->random, setup->seed);
    b->tls = mg_tls_cache_new(b->loop, setup->ca, setup->ca_text);
    const mg_dns_options dns = {.nameservers = setup->nameservers};
    int rc = mg_dns_new(&b->dns, b->loop, &dns);
    if (rc != MG_OK) {
        mg_upstream_base_unref(b);
        return mg_error_set(err, rc, "the resolver cannot start: %s", mg_strerror(rc));
    }
    b->names = mg_names_new(b->loop, b->dns);
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
    mg_names_free(b->names);
    mg_tls_cache_free(b->tls);
    mg_dns_free(b->dns);
    mg_shared_free(b->shared);
    mg_buf_deinit(&b->signature);
    mg_free(b);
}

// --- pools ---

// What connections are made from. What is not here may change without losing one.
static void append_signature(mg_buf *out, const mg_upstream_options *o) {
    const char *const texts[] = {o->tls.ca, o->tls.cert, o->tls.key, o->tls.server_name};
    mg_buf_printf(out, "%llu %d %u %u %llu\n", (unsigned long long)o->idle_ms, o->tls.insecure,
                  o->proxy_protocol, o->http2, (unsigned long long)o->ping_ms);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mg_buf_printf(out, "%s\n", texts[i] != NULL ? texts[i] : "");
    }
    mg_buf_append_str(out, o->rules);
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
        .http2 = (mg_http2)o->http2,
        .ping_ms = (uint32_t)o->ping_ms,
        .rules = o->rules,
        .denied_by = "proxy.open; http.allow says which ones may be asked",
        .head = b->head,
        .dns = b->dns,
        .tls = b->tls,
        .on_warning = b->changes.on_warning,
        .log_arg = b->changes.arg,
    };
}

// What a pool may be told anew: how many connections, and whether there are health checks.
static int tune(mg_upstream_pool *p, const mg_upstream_options *o, mg_error *err) {
    mg_client_options options = client_options(p->base, o);
    if (p->client != NULL) {
        mg_client_limit(p->client, options.connections, options.idle_connections);
    } else {
        int rc = mg_client_new(&p->client, p->base->loop, &options, err);
        if (rc != MG_OK) {
            return rc;
        }
    }
    options = mg_check_client(&options);
    return o->health.on && p->checks == NULL
               ? mg_client_new(&p->checks, p->base->loop, &options, err)
               : MG_OK;
}

// There is room for more than anybody needs, so it is told once.
void mg_upstream_tell_private(const mg_upstream_base *b, const char *name) {
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
        int rc = tune(p, o, err);
        if (rc == MG_OK) {
            p->refs++;
            *out = p;
        }
        return rc;
    }
    p = mg_calloc(1, sizeof *p);
    p->refs = 1;
    p->base = mg_upstream_base_ref(b);
    p->name = mg_strdup(o->name);
    p->signature = signature;
    p->proxy_protocol = o->proxy_protocol;
    mg_link_init(&p->servers);
    mg_link_init(&p->waiters);
    mg_link_append(&b->pools, &p->link);
    if (!mg_shared_hold_upstream(b->shared, mg_str_of(o->name), &p->hold)) {
        mg_upstream_tell_private(b, o->name);
    }
    int rc = tune(p, o, err);
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
