// lua/scratch.h: the buffer in which a C function builds text before it becomes a Lua string.
//
// A state owns it and keeps it between calls, so nothing leaks when Lua raises. A finalizer that
// runs in the middle of a use gets one of its own.
#pragma once

#include "base/buf.h"

#include <lua.h>

// Pushes the scratch, which keeps it alive, and returns its buffer, empty. Raises if Lua has no
// memory.
mg_buf *mg_scratch_take(lua_State *L);

// Ends the use of the scratch at `index`. One that is never given back, because Lua raised, is
// replaced and collected.
void mg_scratch_give(lua_State *L, int index);

// Pushes the content of the scratch at `index` as a string, then gives it back.
void mg_scratch_push(lua_State *L, int index);
