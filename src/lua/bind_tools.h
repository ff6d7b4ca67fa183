// lua/bind_tools.h: small tools for scripts, found on `moongate` itself. The Lua half is
// lua/moongate/tools.lua.
//
// A wrong argument raises at the caller's line; malformed text gives nil and a message. Digests and
// comparison are OpenSSL's, randomness is the kernel's.
#pragma once

#include "base/str.h"

#include <lua.h>

// Pushes the table of tools: base64_*, hex_*, url_*, query_encode, sha256, sha1, md5, hmac_sha256,
// random_bytes, uuid, uuid7, constant_time_equal. May be called many times in a state.
int mg_open_tools(lua_State *L);

// tools_crypto.c: adds its functions to the table on top.
void mg_tools_add_crypto(lua_State *L);

// The string at `index`, borrowed from Lua. Raises for anything else: a number has more than one
// text.
mg_str mg_tools_check_string(lua_State *L, int index);
