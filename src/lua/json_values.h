// lua/json_values.h: what JSON has and Lua has not: null, arrays that may be empty, integers of 64
// bits.
//
// null is the light userdata NULL. An array is a table with a metatable that all arrays of a state
// share, the mark; or with one of its own whose metatable is the mark (rows of a database, which
// have fields besides). Integers beyond 2^53 are LuaJIT's int64_t and uint64_t. For this room
// alone.
#pragma once

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

// Prepares the state; doing it again does no harm. Raises if the state has no ffi.
void mg_json_values_open(lua_State *L);

// Pushes the metatable that marks arrays.
void mg_json_push_array_mark(lua_State *L);

// The table at `index` carries the mark. Needs three free stack slots.
bool mg_json_is_array(lua_State *L, int index);

// Pushes a number if it holds `v` exactly, else a cdata.
void mg_json_push_i64(lua_State *L, int64_t v);
void mg_json_push_u64(lua_State *L, uint64_t v);

typedef enum mg_json_wide { MG_JSON_NOT_WIDE, MG_JSON_WIDE_I64, MG_JSON_WIDE_U64 } mg_json_wide;

// What the cdata at `index` is, with its bits. Needs three free stack slots.
mg_json_wide mg_json_to_wide(lua_State *L, int index, uint64_t *bits);
