// lua/state.h: makes a Lua state that finds Moongate's own Lua files.
#pragma once

#include "base/error.h"
#include "base/snapshot.h"

#include <limits.h>
#include <lua.h>
#include <stdbool.h>

// The folder of Moongate's own Lua files, beside the binary. MG_ELUA and a text if it is not there.
int mg_lua_framework(char out[PATH_MAX], mg_error *err);

// The name under which a snapshot keeps that folder's path.
#define MG_SNAPSHOT_FRAMEWORK ":framework"

// A state with the standard libraries that finds moongate.* in `snapshot` (borrowed, outlives the
// state), or with NULL on the disk. NULL, with text, if the framework cannot be found or memory is
// short. Closed with lua_close.
lua_State *mg_lua_state_new(const mg_snapshot *snapshot, mg_error *err);

// The framework gets globals of its own, apart from those of scripts (lua/home.h). The state was
// made with a snapshot, and nothing of the framework is loaded yet.
void mg_lua_state_part(lua_State *L);

// Makes require(`name`) return what `open` pushes (one value). `arg` is its
// lightuserdata upvalue.
void mg_lua_state_preload(lua_State *L, const char *name, lua_CFunction open, void *arg);

// Pushes read(path) -> the text of that file in `snapshot` (borrowed), or nil.
void mg_lua_push_read(lua_State *L, const mg_snapshot *snapshot);
