// lua/redis_values.h: replies of Redis as values of Lua. For this room alone.
//
// Texts are strings, lists and sets arrays, maps tables; null is nil, and moongate.json.null inside
// of others; integers beyond 2^53 are int64_t; big numbers are their digits; an error inside of
// others is a moongate.Error with code "redis".
#pragma once

#include "store/redis_codec.h"

#include <lua.h>

// Takes the metatable of errors at the top; once for a state.
void mg_redis_values_open(lua_State *L);

// Pushes the value at `at` and returns the place behind it. `inside`: it stands in another one.
// Raises only when Lua has no memory.
uint32_t mg_redis_push_value(lua_State *L, const mg_redis_reply *r, uint32_t at, bool inside);

// Pushes an empty array, with room for `n`.
void mg_redis_push_array(lua_State *L, uint32_t n);

// Pushes the table { reason = the first word of an error of the server }.
void mg_redis_push_reason(lua_State *L, mg_str text);
