// testkit/kit.h: the C half of `moongate.test`: the real server over in-memory streams on a
// virtual clock.
#pragma once

#include <lua.h>

// Makes a kit (loop, vm, server) and pushes its table `moongate.native`, extended by the functions
// of specs. The kit lives as long as the table. Each call makes another one, so that a module
// opened twice does no harm.
int mg_testkit_open(lua_State *L);
