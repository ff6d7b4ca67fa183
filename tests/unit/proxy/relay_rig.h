// proxy/relay_rig.h: a server whose one route is relayed, its client in memory, and the upstream's
// server: whatever a test makes it say.
#pragma once

#include "../client/raw_server.h"
#include "../server/peer.h"

#include "proxy/route.h"
#include "server/front.h"

enum { CLIENT_WINDOW = 4096 };

static rig r; // its app stands for the scripts
static peer p;
static mg_front front;
static mg_router *router;
static mg_upstreams *upstreams;
static mg_buf warnings;
static size_t rig_servers = 1; // all of them are the one that listens

static inline void on_log(void *arg, mg_log_level level, const char *text) {
    (void)arg;
    (void)level;
    mg_buf_printf(&warnings, "%s\n", text);
}

static inline void make_upstreams(uint16_t to) {
    static mg_upstream_server_options servers[2];
    servers[0] = (mg_upstream_server_options){
        .url = "http://shop.internal", .host = "127.0.0.1", .port = to, .weight = 1};
    servers[1] = servers[0];
    servers[1].url = "http://other.internal";
    const mg_upstream_options shop = {
        .name = "shop",
        .servers = {servers, rig_servers},
        .balance = MG_BALANCE_ROUND_ROBIN,
        .timeouts = {.connect_ms = 2000, .first_byte_ms = 30000, .idle_ms = 60000},
        .connections = 4,
        .idle_ms = 4000,
    };
    mg_error err;
    const mg_upstreams_setup setup = {
        .loop = loop,
        .head = {.first_line_bytes = 8192, .bytes = 32768, .lines = 100},
        .nameservers = "127.0.0.1:1",
        .seed = 1,
    };
    assert_int_equal(
        mg_upstreams_new(&upstreams, &(mg_upstreams_options){&shop, 1, NULL}, &setup, &err), MG_OK);
}

static inline void add_route(mg_routes *routes, uint32_t id, const char *pattern,
                             const mg_proxy_route_options *o) {
    static const mg_method methods[] = {MG_METHOD_GET, MG_METHOD_PUT, MG_METHOD_POST};
    uint32_t existing;
    mg_error err;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mg_router_add(router, methods[i], mg_str_of(pattern), id, &existing, &err),
                         0);
    }
    mg_routes_set(routes, id,
                  &(mg_route){.name = mg_str_of(pattern),
                              .deadline_ms = 0,
                              .body_bytes = 4 << 20,
                              .answerer = mg_proxy_route_new(o)});
}

static inline int set_up(void **state) {
    (void)state;
    alarm(60);
    rig_open(&r);
    r.server->on_log = on_log;
    loop = r.loop;
    listen_here();
    make_upstreams(port);
    mg_upstream *shop = mg_upstreams_find(upstreams, MG_STR("shop"));
    assert_non_null(shop);
    router = mg_router_new();
    mg_routes *routes = mg_routes_new(router, 3);
    add_route(routes, 1, "/a/*path", &(mg_proxy_route_options){.upstream = shop});
    add_route(routes, 2, "/b/:id/*path",
              &(mg_proxy_route_options){
                  .upstream = shop,
                  .rules = {.path = MG_STR("/v2/*path/of/:id"), .host = MG_STR("upstream")}});
    add_route(routes, 3, "/c/*path", &(mg_proxy_route_options){.upstream = shop, .buffer = true});
    mg_front_init(&front, &r.app);
    mg_front_set_routes(&front, routes);
    mg_server_set_app(r.server, MG_APP_MAIN, &front.app);
    peer_open(&r, &p, CLIENT_WINDOW);
    return 0;
}

static inline int tear_down(void **state) {
    (void)state;
    mg_stream_close(&p.s, false);
    UNTIL(p.closed);
    mg_buf_deinit(&p.got);
    hang_up_all();
    mg_upstreams_unref(upstreams);
    rig_close(&r);
    assert_int_equal(front.pins.count, 0);
    mg_front_deinit(&front);
    mg_router_free(router);
    mg_buf_deinit(&warnings);
    return 0;
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

// The client asks, and the upstream's connection `i` has got that much. With real sockets about,
// the rig does not settle.
static inline void asks(const char *request, int i, const char *got) {
    peer_write(&p, request, strlen(request));
    UNTIL(has_got(i, got));
}

static inline bool client_has(const char *text) {
    return p.got.n > 0 && memmem(p.got.p, p.got.n, text, strlen(text)) != NULL;
}
