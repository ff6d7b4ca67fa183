// lua/missing.h: Futures where values are wanted: the text that tells a forgotten await.
//
// The class in core/future/settle.lua is what its instances have as metatable; it is kept in the
// registry.
#pragma once

#include <lua.h>

#include <stdbool.h>

// Makes the table on top the class of Futures, and pops it.
void mg_missing_keep(lua_State *L);

// Whether the value at `index` is a Future. Needs three free stack slots.
bool mg_missing_is(lua_State *L, int index);

// Pushes "a Future made at lua/app.lua:5 (read_file): :await() is missing", of the Future at
// `index`, as its tostring does: that looks for the place of one that does not say it
// (core/future/missing.lua). Runs Lua of the framework's, which neither fails nor waits.
void mg_missing_push(lua_State *L, int index);

// The same without running Lua. `place`: where it was made, if that is not what it says itself;
// NULL: what it says, unless that lies in the framework.
void mg_missing_push_made(lua_State *L, int index, const char *place);
