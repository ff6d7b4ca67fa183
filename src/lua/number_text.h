// lua/number_text.h: the one text of a number, wherever a script gives one for text: fields, URLs,
// queries, bodies, keys.
//
// Exact: what reads it back gets the same number. Lua's own conversion keeps 14 digits only.
#pragma once

#include "base/buf.h"

#include <lua.h>

// Appends the number or 64-bit integer (LuaJIT's int64_t, uint64_t) at `index`. MG_ELUA if it is
// none, MG_ESYNTAX if it is nan or infinite; then nothing is appended.
int mg_number_text(lua_State *L, int index, mg_buf *out);
