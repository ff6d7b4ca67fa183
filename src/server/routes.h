// server/routes.h: the routes of a generation: what each asks for before it is answered, and who
// answers.
//
// Owns its routes, their names and answerers; borrows the matcher (http/route.h), whose ids count
// the routes from 1.
#pragma once

#include "http/route.h"
#include "server/answerer.h"

typedef struct mg_route {
    mg_str name;           // or pattern, for the access log
    int64_t deadline_ms;   // -1: the server's default; 0: none
    int64_t body_bytes;    // -1: the server's default
    mg_answerer *answerer; // NULL: the scripts
} mg_route;

typedef struct mg_routes mg_routes;
struct mg_routes {
    const mg_router *router;
    uint32_t count;
    mg_routes *former; // see server/front.c
    mg_route items[];  // by id, from 1
};

// `count` routes without a name, limits or answerer.
mg_routes *mg_routes_new(const mg_router *router, uint32_t count);
void mg_routes_free(mg_routes *r); // with `former`; accepts NULL

// Sets the route `id`, once. The name is copied, the answerer taken.
void mg_routes_set(mg_routes *r, uint32_t id, const mg_route *route);

static inline const mg_route *mg_routes_get(const mg_routes *r, uint32_t id) {
    return &r->items[id - 1];
}
