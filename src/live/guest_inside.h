// live/guest_inside.h: what guest.c, guests.c and host.c know of each other. For live/ alone.
#pragma once

#include "live/host.h"

struct mg_guests {
    mg_loop *loop;
    mg_topics *topics;
    mg_ws_deflate *deflate;
    mg_guest_options options;
    mg_link routes;
    mg_slots slots;
};

// --- guests.c ---

// NULL: there is no route of that name.
mg_guest_route *mg_guests_find(const mg_guests *all, mg_str name);
mg_guest_route *mg_guests_add(mg_guests *all, mg_str name);

// Its sockets obey these limits from now on.
void mg_guest_route_limit(mg_guests *all, mg_guest_route *r, const mg_socket_limits *limits);

// Frees it if it has neither sockets nor a host.
void mg_guest_route_look(mg_guest_route *r);

// --- guest.c ---

// The one place where a phase changes.
void mg_guest_become(mg_guest *g, mg_guest_phase next);

// Counted by the claims of `h`, and nobody else's; NULL: by nobody's.
void mg_guest_claim(mg_guest *g, mg_host *h);

// Something may be there for it: whose turn is it? It may be freed by this.
void mg_guest_attend(mg_guest *g);

void mg_guest_drop_messages(mg_guest *g);
void mg_guest_free(mg_guest *g); // aborts its socket if that has not ended
