// lua/place.h: where a Lua stack stands, as a person wants to read it.
#pragma once

#include <lua.h>
#include <stddef.h>

// Writes "file:line" of the first line from `level` on that is a script's and not the framework's,
// else of any line; "-" if there is none. Safe wherever lua_getstack is.
void mg_lua_place(lua_State *L, int level, char *out, size_t n);
