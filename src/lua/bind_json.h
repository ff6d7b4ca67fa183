// lua/bind_json.h: JSON for scripts: moongate.json. The Lua half is lua/moongate/json.lua.
#pragma once

#include "base/buf.h"

#include <lua.h>

// Pushes { encode, decode, array, null }. May be called many times in a state; raises if the state
// has no ffi.
int mg_open_json(lua_State *L);

// Appends the value at `index` to `out`, which the caller keeps. Returns MG_OK and leaves the stack
// as it was, or MG_ELUA with `out` as it was and a message pushed ("$.users[3].f: a function cannot
// be JSON"). Raises only when Lua has no memory. U+FFFD stands for bytes that are no UTF-8: what a
// peer sent is data, and no reason to fail.
int mg_json_encode_value(lua_State *L, int index, mg_buf *out);

// 0: as deep as mg_json_reader_init says; any number of values, each array and object being one.
typedef struct mg_json_bounds {
    unsigned depth;
    uint32_t values;
} mg_json_bounds;

// Pushes the value that `text` holds and returns MG_OK, or pushes "line:column: message" and
// returns MG_ESYNTAX, or MG_ELIMIT: it holds too many. Raises only when Lua has no memory.
int mg_json_decode_value(lua_State *L, mg_str text, mg_json_bounds bounds);

// The same for what is read here alone, such as values of the cache: every string comes back byte
// for byte, UTF-8 or not.
int mg_json_pack(lua_State *L, int index, mg_buf *out);
int mg_json_unpack(lua_State *L, mg_str text);
