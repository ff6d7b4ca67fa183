#include "proxy/route.h"

#include "base/mem.h"
#include "server/front.h"

typedef struct proxy_route {
    mg_answerer answerer; // first
    mg_proxy_route_options o;
    mg_arena arena; // of its texts and lists
    mg_fields set, removed;
    bool has_params; // in the path
} proxy_route;

// --- the path ---

static mg_str param(const mg_exchange *x, mg_str name) {
    const mg_routed *r = x->routed;
    for (uint32_t i = 0; i < r->match.count; i++) {
        if (mg_str_eq(mg_router_param(r->router, r->match.id, i).name, name)) {
            return r->match.values[i];
        }
    }
    return (mg_str){NULL, 0};
}

static bool begins_param(mg_str path) {
    return path.n > 1 && path.p[0] == '/' && (path.p[1] == ':' || path.p[1] == '*');
}

// Parameters go on as they were sent, still encoded.
static mg_str expand(mg_exchange *x, mg_str path) {
    mg_buf b = {0};
    while (path.n > 0) {
        mg_buf_append_char(&b, path.p[0]);
        if (!begins_param(path)) {
            mg_str_skip(&path, 1);
            continue;
        }
        mg_str_skip(&path, 2);
        mg_str name = {path.p, 0};
        while (name.n < path.n && path.p[name.n] != '/' && path.p[name.n] != '?') {
            name.n++;
        }
        mg_buf_append_str(&b, param(x, name));
        mg_str_skip(&path, name.n);
    }
    mg_str kept = {mg_arena_copy(&x->arena, mg_buf_str(&b)), b.n};
    mg_buf_deinit(&b);
    return kept;
}

// --- the seam ---

static void on_request(mg_app *app, mg_exchange *x) {
    const proxy_route *p = (const proxy_route *)app;
    const mg_forward_rules *rules = &p->o.rules;
    if (p->has_params) {
        mg_forward_rules *own = mg_arena_alloc(&x->arena, sizeof *own);
        *own = p->o.rules;
        own->path = expand(x, own->path);
        rules = own;
    }
    mg_relay_start(&(mg_relay_options){
        .exchange = x,
        .upstream = p->o.upstream,
        .rules = rules,
        .timeouts = p->o.timeouts,
        .buffer = p->o.buffer,
    });
}

// All else is the relay's.
static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    (void)app;
    (void)x;
    (void)why;
}

// --- life ---

static void free_route(mg_answerer *a) {
    proxy_route *p = (proxy_route *)a;
    mg_arena_deinit(&p->arena);
    mg_free(p);
}

static mg_str keep(proxy_route *p, mg_str s) {
    return s.n > 0 ? (mg_str){mg_arena_copy(&p->arena, s), s.n} : (mg_str){NULL, 0};
}

static const mg_fields *keep_list(proxy_route *p, mg_fields *to, const mg_fields *from) {
    if (from == NULL || from->count == 0) {
        return NULL;
    }
    mg_fields_init(to, &p->arena);
    (void)mg_fields_copy(to, from); // they have kept a limit
    return to;
}

static bool has_param(mg_str path) {
    for (; path.n > 0; mg_str_skip(&path, 1)) {
        if (begins_param(path)) {
            return true;
        }
    }
    return false;
}

mg_answerer *mg_proxy_route_new(const mg_proxy_route_options *o) {
    proxy_route *p = mg_calloc(1, sizeof *p);
    p->answerer = (mg_answerer){
        .app = {.on_request = on_request, .on_gone = on_gone},
        .free = free_route,
    };
    p->o = *o;
    p->o.rules = (mg_forward_rules){
        .strip = keep(p, o->rules.strip),
        .path = keep(p, o->rules.path),
        .host = keep(p, o->rules.host),
        .set = keep_list(p, &p->set, o->rules.set),
        .removed = keep_list(p, &p->removed, o->rules.removed),
    };
    p->has_params = has_param(p->o.rules.path);
    return &p->answerer;
}
