// Servers of upstreams: a connection that opens, with its TLS handshake, is what is wanted.

#include "event/connect.h"
#include "gate/reach.h"
#include "http/proxy_header.h"

#include <stdio.h>

typedef struct server_probe {
    mg_probe probe;
    mg_connect *connect; // NULL: over
    mg_stream stream;
    bool open;
} server_probe;

static void on_closed(mg_stream *stream) {
    MG_OF(stream, server_probe, stream)->open = false;
}

static void on_done(void *arg, const mg_connect_fault *fault) {
    server_probe *p = arg;
    char why[sizeof p->probe.why];
    p->connect = NULL;
    if (fault == NULL) {
        p->open = true;
        mg_stream_close(&p->stream, false);
        mg_probe_end(&p->probe, NULL);
        return;
    }
    snprintf(why, sizeof why, "%s: %s", fault->code, fault->text);
    mg_probe_end(&p->probe, why);
}

static void free_server(mg_probe *probe) {
    server_probe *p = MG_OF(probe, server_probe, probe);
    mg_connect_cancel(p->connect);
    while (p->open) {
        mg_loop_turn(probe->reach->loop, true, false, UINT64_MAX);
    }
}

// Whoever wants to hear first who connects is told that nobody does.
static mg_str prelude_of(mg_reach *r, unsigned version) {
    mg_buf text = {0};
    if (version > 0) {
        mg_proxy_header_write(&text, version, &(mg_proxy_header){0});
    }
    mg_str s = {mg_arena_copy(&r->arena, mg_buf_str(&text)), text.n};
    mg_buf_deinit(&text);
    return s;
}

static void try_server(mg_reach *r, const mg_upstream_options *u,
                       const mg_upstream_server_options *s) {
    static const mg_stream_events events = {.on_closed = on_closed};
    server_probe *p = mg_arena_alloc(&r->arena, sizeof *p);
    *p = (server_probe){.open = false};
    char what[160];
    snprintf(what, sizeof what, "upstream %s", u->name);
    mg_probe_begin(r, &p->probe, what, s->url, free_server);
    p->connect = mg_connect_start(&(mg_connect_options){
        .loop = r->loop,
        .dns = r->dns,
        .host = s->host,
        .unix_path = s->unix_path,
        .port = s->port,
        .prelude = prelude_of(r, u->proxy_protocol),
        .timeout_ms = MG_REACH_MS - 500, // it knows why better than we do
        .tls = s->tls ? r->tls : NULL,
        .demands = {.ca = u->tls.insecure ? NULL : u->tls.ca,
                    .cert = u->tls.cert,
                    .key = u->tls.key,
                    .alpn = "http/1.1",
                    .insecure = u->tls.insecure},
        .server_name = u->tls.server_name,
        .on_done = on_done,
        .arg = p,
        .stream = &p->stream,
        .events = &events,
    });
}

void mg_reach_upstreams(mg_reach *r) {
    const mg_upstreams_options *all = &r->config->upstreams;
    for (size_t i = 0; i < all->n; i++) {
        for (size_t k = 0; k < all->items[i].servers.n; k++) {
            try_server(r, &all->items[i], &all->items[i].servers.items[k]);
        }
    }
}
