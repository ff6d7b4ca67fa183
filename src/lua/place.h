// lua/place.h: where a Lua stack stands, as a person wants to read it.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

// Fills `ar` for the first line from `level` on that is a script's and not the framework's, else
// for any line. Safe wherever lua_getstack is.
bool mg_lua_place_find(lua_State *L, int level, lua_Debug *ar);

// The source of what was found, as a person wants to read it.
const char *mg_lua_place_source(const lua_Debug *ar);

bool mg_lua_place_is_ours(const lua_Debug *ar);

// Writes "file:line" of it; "-" if there is none.
void mg_lua_place(lua_State *L, int level, char *out, size_t n);
