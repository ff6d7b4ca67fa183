// server/tunnel.h: a connection's bytes as a tunnel (event/tunnel.h): once an exchange ended with
// 101, or with 2xx to CONNECT (mg_exchange_take_over), or of a connection that never spoke HTTP.
#pragma once

#include "event/tunnel.h"
#include "server/conn.h"

// Makes a tunnel of the whole connection, whose owner has nothing under way. Events may come before
// this returns.
void mg_tunnel_open(mg_tunnel *t, mg_conn *c);
