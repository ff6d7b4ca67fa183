#include "server/front.h"

#include "server/answer.h"
#include "server/request_body.h"
#include "server/requester.h"

static void on_request(mg_app *app, mg_exchange *x);

static void on_stream(mg_app *app, mg_conn *c) {
    const mg_front *f = (const mg_front *)app;
    f->scripts->on_stream(f->scripts, c);
}

void mg_front_init(mg_front *f, mg_app *scripts) {
    // Each exchange is given on at once: the other events are those of whoever got it.
    *f = (mg_front){.app = {.on_request = on_request, .on_stream = on_stream}, .scripts = scripts};
    mg_link_init(&f->apart);
}

void mg_front_deinit(mg_front *f) {
    mg_routes_free(f->routes);
    f->routes = NULL;
}

// Names and answerers are borrowed by exchanges.
void mg_front_set_routes(mg_front *f, mg_routes *routes) {
    if (f->pins.count == 0) {
        mg_routes_free(f->routes);
    } else {
        routes->former = f->routes;
    }
    f->routes = routes;
}

// What the server as a whole can do.
static uint64_t server_methods(const mg_router *router) {
    uint64_t own = router != NULL ? mg_router_own_methods(router) : 0;
    return own | 1 << MG_METHOD_GET | 1 << MG_METHOD_HEAD | 1 << MG_METHOD_POST |
           1 << MG_METHOD_PUT | 1 << MG_METHOD_PATCH | 1 << MG_METHOD_DELETE |
           1 << MG_METHOD_OPTIONS;
}

// What the request is for, if that makes a difference.
static mg_str host_of(const mg_router *router, mg_exchange *x) {
    return mg_router_has_hosts(router) ? mg_exchange_requester(x)->host : (mg_str){NULL, 0};
}

static void match(mg_routed *r, mg_exchange *x) {
    const mg_head *h = &x->head;
    r->method = h->method;
    r->match.id = 0;
    r->match.allowed = 0;
    r->match.count = 0;
    if (r->router != NULL) {
        if (r->method == MG_METHOD_UNKNOWN) {
            r->method = mg_router_method(r->router, h->method_text);
        }
        // CONNECT has no path: its route is declared as that of the root.
        bool connects = h->target.form == MG_TARGET_AUTHORITY;
        mg_str path = connects ? MG_STR("/") : h->target.path;
        mg_str host = connects ? (mg_str){NULL, 0} : host_of(r->router, x);
        mg_router_match_for(r->router, host, r->method, path, &r->match);
    }
    if (h->target.form == MG_TARGET_ASTERISK || h->target.form == MG_TARGET_AUTHORITY) {
        // asked of the server as a whole, or of a proxy that this is not
        r->match.allowed = server_methods(r->router);
    }
}

// What Content-Length announces is refused in the handler's place, as a head is that was refused
// already; what shows later is told to whoever reads the body, however the request was cut into
// packets.
static void limit_body(mg_exchange *x, mg_routed *r, uint64_t bytes) {
    r->refused = x->body_refusal.status != 0;
    if (!r->refused && mg_exchange_limit_body(x, bytes) != MG_OK) {
        mg_exchange_refuse_body(x, mg_body_too_large);
        r->refused = x->head.framing == MG_FRAMING_LENGTH;
    }
}

static void give(mg_exchange *x, mg_app *to) {
    x->app = to;
    to->on_request(to, x);
}

static void on_request(mg_app *app, mg_exchange *x) {
    mg_front *f = (mg_front *)app;
    mg_routed *r = mg_arena_alloc(&x->arena, sizeof *r);
    r->front = f;
    r->router = f->routes != NULL ? f->routes->router : NULL;
    x->routed = r;
    x->pins = &f->pins;
    f->pins.count++;
    match(r, x);
    mg_arena_shrink(&x->arena, r, sizeof *r,
                    offsetof(mg_routed, match.values) + r->match.count * sizeof(mg_str));
    if (r->match.id == 0) {
        limit_body(x, r, x->body_limit);
        give(x, f->scripts);
        return;
    }
    const mg_route *route = mg_routes_get(f->routes, r->match.id);
    x->route = route->name;
    if (route->deadline_ms >= 0) {
        mg_exchange_set_deadline(x, (uint64_t)route->deadline_ms);
    }
    limit_body(x, r, route->body_bytes >= 0 ? (uint64_t)route->body_bytes : x->body_limit);
    if (route->answerer == NULL || r->refused) {
        give(x, f->scripts);
        return;
    }
    mg_link_append(&f->apart, &x->app_link);
    give(x, &route->answerer->app);
}

void mg_front_pass(mg_exchange *x) {
    mg_link_remove(&x->app_link);
    give(x, x->routed->front->scripts);
}

// --- the end of a generation ---

uint32_t mg_front_apart(const mg_front *f) {
    uint32_t n = 0;
    for (const mg_link *l = f->apart.next; l != &f->apart; l = l->next) {
        n++;
    }
    return n;
}

void mg_front_evict(mg_front *f) {
    mg_link *l;
    while ((l = mg_link_shift(&f->apart)) != NULL) {
        mg_exchange *x = MG_OF(l, mg_exchange, app_link);
        x->app->on_gone(x->app, x, MG_GONE_STOP);
        if (mg_exchange_committed(x)) {
            mg_exchange_abort(x);
        } else {
            mg_exchange_refuse(x, (mg_refusal){503, "the server's scripts were reloaded", 1});
        }
    }
}
