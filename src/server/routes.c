#include "server/routes.h"

#include "base/mem.h"

#include <assert.h>

mg_routes *mg_routes_new(const mg_router *router, uint32_t count) {
    mg_routes *r = mg_calloc(1, sizeof *r + count * sizeof *r->items);
    r->router = router;
    r->count = count;
    for (uint32_t i = 0; i < count; i++) {
        r->items[i] = (mg_route){.deadline_ms = -1, .body_bytes = -1};
    }
    return r;
}

void mg_routes_free(mg_routes *r) {
    while (r != NULL) {
        mg_routes *former = r->former;
        for (uint32_t i = 0; i < r->count; i++) {
            mg_route *route = &r->items[i];
            mg_free((char *)(uintptr_t)route->name.p);
            if (route->answerer != NULL) {
                route->answerer->free(route->answerer);
            }
        }
        mg_free(r);
        r = former;
    }
}

void mg_routes_set(mg_routes *r, uint32_t id, const mg_route *route) {
    assert(id > 0 && id <= r->count && r->items[id - 1].name.p == NULL);
    r->items[id - 1] = *route;
    r->items[id - 1].name.p = mg_strndup(route->name.p, route->name.n);
}
