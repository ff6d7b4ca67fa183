// testkit/net.h: the network of specs: whatever the app dials is told to the spec, which accepts,
// refuses or never answers it.
#pragma once

#include "base/slots.h"
#include "event/connect.h"

#include <lauxlib.h>

typedef struct mg_testkit_net {
    mg_connect_net seam;
    mg_loop *loop;
    mg_slots dials; // under way, by the number that the spec knows
    mg_link untold; // those that it does not know yet
} mg_testkit_net;

// Stands in for the network of `loop`, which must be freed before it.
void mg_testkit_net_init(mg_testkit_net *n, mg_loop *loop);
void mg_testkit_net_deinit(mg_testkit_net *n);

extern const luaL_Reg mg_testkit_net_functions[];
