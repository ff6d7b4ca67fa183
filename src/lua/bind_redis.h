// lua/bind_redis.h: what the two halves of the binding of Redis share. For this room alone.
#pragma once

#include "lua/vm.h"
#include "store/redis.h"

// The service of that name; NULL: there is none.
mg_redis *mg_redis_named(const mg_vm *vm, const char *name);

// Pushes nil, a reason and a text, and returns 3.
int mg_redis_refuse(lua_State *L, int rc, const char *text);

void mg_bind_redis_listen(lua_State *L, mg_vm *vm); // bind_redis_listen.c
