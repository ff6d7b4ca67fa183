// proxy/route.h: answers the requests of a route with what an upstream says; no script has a part
// in it.
#pragma once

#include "proxy/relay.h"
#include "server/answerer.h"

typedef struct mg_proxy_route_options {
    mg_upstream *upstream; // borrowed; it lives as long as the generation
    // Copied. Segments of `path` that are ":name" or "*name" stand for the route's parameters.
    mg_forward_rules rules;
    mg_relay_timeouts timeouts;
    bool buffer;
} mg_proxy_route_options;

mg_answerer *mg_proxy_route_new(const mg_proxy_route_options *o);
