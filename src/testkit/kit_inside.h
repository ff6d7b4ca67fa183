// testkit/kit_inside.h: what the files of the kit know of each other. For testkit/ alone.
#pragma once

#include "http/forwarded.h"
#include "live/events.h"
#include "lua/vm.h"
#include "server/server.h"
#include "testkit/kit.h"
#include "testkit/net.h"
#include "testkit/shuffle.h"

#include <lauxlib.h>

typedef struct mg_testkit {
    mg_loop *loop;
    mg_vm *vm;
    mg_server *server;
    mg_trust *trust; // of the server
    mg_testkit_net net;
    mg_testkit_shuffle shuffle;
    mg_services services;       // topics, guests and event streams among them
    mg_named_database database; // the one of the app under test, as "default"
    void *cache_room;           // of its cache; NULL: none
    size_t cache_bytes;
} mg_testkit;

// The upvalue of all functions of the kit.
mg_testkit *mg_testkit_of(lua_State *L);

int mg_testkit_configuration(lua_State *L); // configuration.c
int mg_testkit_settings(lua_State *L);      // likewise

// --- net.c ---

void mg_testkit_close_upstreams(mg_testkit *k);
int mg_testkit_open_client(mg_testkit *k, mg_error *err);
void mg_testkit_close_client(mg_testkit *k);

// --- stores.c ---

extern const luaL_Reg mg_testkit_store_functions[];
void mg_testkit_close_stores(mg_testkit *k);
