// lua/bind_router.h: the matcher of http/route.h for core/app/router.lua.
#pragma once

#include "http/route.h"

#include <lua.h>

// Pushes { new }. new() gives a userdata with the methods add and match; it owns its mg_router.
int mg_open_router(lua_State *L);

// The router in the userdata at `index`; raises if it is something else.
mg_router *mg_check_router(lua_State *L, int index);

// Pushes a list of the names of a set of methods.
void mg_push_methods(lua_State *L, const mg_router *r, uint64_t methods);

// Pushes a table of the match's parameters: names to percent-decoded values.
void mg_push_params(lua_State *L, const mg_router *router, const mg_route_match *match);
