// server/foreign.h: connections of endpoints whose protocol is not HTTP but the app's own
// (mg_endpoint.stream): once they are ready the app makes a tunnel of each (mg_app.on_stream).
#pragma once

#include "server/conn.h"
#include "server/requester.h"

// Owns such a connection until the app has it. Takes nothing.
extern mg_owner mg_foreign_waiting;

// What comes before its bytes is over: the app gets it. It is closed if there is none that takes
// streams.
void mg_foreign_begin(mg_conn *c);

// The address of its endpoint, as configured; lent.
const char *mg_foreign_address(const mg_conn *c);

// Whoever is at the other end, as far as a proxy of the endpoint tells: an IP address, "unix" or
// "unknown".
void mg_foreign_client_ip(const mg_conn *c, char out[MG_PEER_TEXT]);

// Tells the access log of its end, while its socket is there. `broken`: not in good order.
void mg_foreign_record(mg_conn *c, bool broken);
