// lua/missing.h: Futures where values are wanted: the text that tells a forgotten await.
//
// The class in core/future/settle.lua is what its instances have as metatable; it is kept in the
// registry. Nothing here runs Lua.
#pragma once

#include <lua.h>

#include <stdbool.h>

// Makes the table on top the class of Futures, and pops it.
void mg_missing_keep(lua_State *L);

// Whether the value at `index` is a Future. Needs three free stack slots.
bool mg_missing_is(lua_State *L, int index);

// Pushes "a Future made at lua/app.lua:5 (read_file): :await() is missing", of the Future at
// `index`. `place`: where it was made, if that is not what it says itself; NULL: what it says,
// unless that lies in the framework.
void mg_missing_push(lua_State *L, int index, const char *place);
