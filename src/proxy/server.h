// proxy/server.h: servers, each of which all sets and upstreams of a worker share. One lives while
// somebody has it as a member, or has a ticket for it.
#pragma once

#include "proxy/upstream_inside.h"

// This server of the pool; made if need be. `address` NULL: its host is dialled. Who asked for it
// makes it a member, or begins a ticket.
mg_server_state *mg_server_of(mg_upstream_pool *p, const mg_upstream_server_options *o,
                              const mg_upstream_tls *tls, const struct sockaddr_storage *address);

// One more member that is it.
mg_server_state *mg_server_join(mg_upstream_pool *p, const mg_upstream_server_options *o,
                                const mg_upstream_tls *tls, const struct sockaddr_storage *address);
void mg_server_leave(mg_server_state *s);

// The checks of a member, as its upstream's options say.
void mg_member_begin_checks(mg_member *m, const mg_upstream_options *o);
void mg_server_release(mg_server_state *s); // goes, if nobody has it any more
