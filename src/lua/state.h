// lua/state.h: makes a Lua state that finds Moongate's own Lua files.
#pragma once

#include "base/error.h"

#include <lua.h>

// A state with the standard libraries and package.path set to the framework's folder first. NULL,
// with text, if that folder cannot be found or memory is short. Closed with lua_close.
lua_State *mg_lua_state_new(mg_error *err);

// Makes require("moongate.native") return what `open` pushes (one value). `arg` is its
// lightuserdata upvalue.
void mg_lua_state_preload(lua_State *L, lua_CFunction open, void *arg);
