// server/front.h: what stands before the answerers of a generation: finds the route of a request
// when its head is complete, applies what the route asks for, and gives the exchange to whoever
// answers.
//
// The front is the app of a server or endpoint. It counts the requests that hold its generation.
// What no route takes, and a request whose body is refused before it is read, belongs to the
// scripts all the same: it goes to them with what was found.
#pragma once

#include "server/pins.h"
#include "server/routes.h"

typedef struct mg_front mg_front;
struct mg_front {
    mg_app app; // first: the seam's function gets it
    mg_pins pins;
    mg_app *scripts;   // borrowed
    mg_routes *routes; // owned; NULL: none yet
    mg_link apart;     // exchanges that others than the scripts answer, by app_link
};

// What was found for an exchange: x->routed, in its arena.
typedef struct mg_routed {
    mg_front *front;
    const mg_router *router; // of the match; NULL: there are no routes
    unsigned method;         // an mg_method, or one that the router knows besides
    bool refused;            // its head, or the body that it announces: its handler is not to run
    mg_route_match match;    // id 0: no route; then `allowed` is what the path has. Last: there is
                             // no memory behind its values
} mg_routed;

// Prepares caller-owned memory. `scripts` is borrowed.
void mg_front_init(mg_front *f, mg_app *scripts);

// No request may be under way.
void mg_front_deinit(mg_front *f);

// New requests are matched against these, which are taken. Those before them go once no request
// uses them.
void mg_front_set_routes(mg_front *f, mg_routes *routes);

// For an answerer: what it has not, the scripts answer. Nothing of the answer is committed, and the
// exchange is no longer the answerer's.
void mg_front_pass(mg_exchange *x);

// Requests that others than the scripts answer: how many, and what makes them end now: with 503
// where nothing is committed.
uint32_t mg_front_apart(const mg_front *f);
void mg_front_evict(mg_front *f);
