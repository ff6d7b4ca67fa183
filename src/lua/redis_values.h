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

// A value that is being made, over several turns. Heap.
typedef struct mg_redis_making mg_redis_making;

// Makes what the reply says, which is not empty. True: it is pushed. False: `*budget` is used up
// (a value costs 1, a long text more), nothing is pushed, and `*making`, NULL at first, goes on
// where this has ended. `inside`: it stands in another value. Raises only when Lua has no memory.
bool mg_redis_make(lua_State *L, const mg_redis_reply *r, bool inside, mg_redis_making **making,
                   int *budget);
void mg_redis_making_free(lua_State *L, mg_redis_making *m); // accepts NULL

// Pushes an empty array, with room for `n`.
void mg_redis_push_array(lua_State *L, uint32_t n);

// Pushes the table { reason = the first word of an error of the server }.
void mg_redis_push_reason(lua_State *L, mg_str text);
