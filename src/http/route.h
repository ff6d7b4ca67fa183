// http/route.h: finds the route of a path: a tree of segments.
//
// Patterns: "/users/me" (static), "/users/:id" (one segment), "/users/:id<int>" (typed: int, uint,
// uuid, hex, alpha, slug), "/files/*path" (the rest, one character or more). An int fits into 64
// bits with a sign, a uint into those without one; neither has a plus sign. In each segment static
// goes before typed, typed before plain, plain before wildcard; a branch that leads nowhere is left
// again. "/a/" is not "/a". Segments, of patterns too, are compared after percent-decoding, split
// before it: %2F never separates, and %3A begins no parameter.
//
// Routes of a host go before those of any: of its own name, then of "*.example.org" (whatever is
// below it), the longest first. A path that a host has no route for is looked for further on. Case
// and port of a host do not matter, nor a dot behind it.
//
// A method is a number: an mg_method, or for any other token one that the router gives it.
#pragma once

#include "base/error.h"
#include "http/method.h"

typedef struct mg_router mg_router;

enum {
    MG_ROUTE_PARAMS = 16,
    MG_ROUTE_SEGMENTS = 64,
    MG_ROUTE_PATTERN_BYTES = 1024,
    MG_ROUTE_HOST_BYTES = 255,
    MG_ROUTE_METHODS = 52, // of a router; a set of them is an exact Lua number
};

typedef enum mg_route_result {
    MG_ROUTE_FOUND,
    MG_ROUTE_NONE,
    MG_ROUTE_METHOD, // the path is served, but not by this method: see `allowed`
} mg_route_result;

typedef struct mg_route_match {
    uint32_t id;      // 0: none was found
    uint64_t allowed; // bits by method; with HEAD where there is GET, and OPTIONS
    uint32_t count;
    mg_str values[MG_ROUTE_PARAMS]; // as they were sent, still encoded
} mg_route_match;

mg_router *mg_router_new(void);
void mg_router_free(mg_router *r); // accepts NULL

// The number of a token; MG_METHOD_UNKNOWN: no route names it.
unsigned mg_router_method(const mg_router *r, mg_str name);

// The same, but a new token is given one. MG_METHOD_UNKNOWN: there are too many.
unsigned mg_router_add_method(mg_router *r, mg_str name);

// Empty for MG_METHOD_UNKNOWN.
mg_str mg_router_method_name(const mg_router *r, unsigned m);

// The methods that `r` knows besides those of mg_method, as bits.
uint64_t mg_router_own_methods(const mg_router *r);

// Adds a route. MG_ESYNTAX: the pattern is malformed, the text says what is allowed. MG_ELIMIT: a
// route of this method has the same shape already, `*existing` is its id. `id` is above 0.
int mg_router_add(mg_router *r, unsigned m, mg_str pattern, uint32_t id, uint32_t *existing,
                  mg_error *err);

// The same for requests of one host: "api.example.org", or "*.example.org"; empty: of any.
int mg_router_add_for(mg_router *r, mg_str host, unsigned m, mg_str pattern, uint32_t id,
                      uint32_t *existing, mg_error *err);

// HEAD falls back to GET. Allocates nothing.
mg_route_result mg_router_match(const mg_router *r, unsigned m, mg_str path, mg_route_match *out);

// The same with the request's host, as it came.
mg_route_result mg_router_match_for(const mg_router *r, mg_str host, unsigned m, mg_str path,
                                    mg_route_match *out);

// False: the host of a request makes no difference.
bool mg_router_has_hosts(const mg_router *r);

typedef enum mg_route_kind { MG_ROUTE_TEXT, MG_ROUTE_INT, MG_ROUTE_UINT } mg_route_kind;

typedef struct mg_route_param {
    mg_str name;
    mg_route_kind kind; // what its values are
} mg_route_param;

// A route's parameter, by its place; without a name beyond the last.
mg_route_param mg_router_param(const mg_router *r, uint32_t id, uint32_t place);
