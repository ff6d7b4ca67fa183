// lua/home.h: globals of the framework's own, in a state that it shares with scripts.
//
// Functions of the framework that are loaded behind mg_lua_home_open see a copy of the globals and
// of the standard libraries, and what it requires is kept apart: what scripts replace or take away
// in theirs (string.find = nil, package.loaded) is theirs alone. The scripts' are those of the
// state (getfenv(0)). The methods of strings, which all share, are the framework's; what scripts
// add to `string` is found behind them.
#pragma once

#include <lua.h>

// To be called before anything is required. On top of the stack is what finds the framework's
// modules, a searcher as in package.loaders; it is replaced by the one that is to stand there.
void mg_lua_home_open(lua_State *L);

// Gives the function on top of the stack those globals, if there are any.
void mg_lua_home_enter(lua_State *L);
