// lua/json_encode.h: the encoder behind bind_json.c, with its options.
#pragma once

#include "base/buf.h"

#include <lua.h>

#include <stdbool.h>

// As mg_json_encode_value; `pretty` breaks lines and indents by two spaces.
int mg_json_encode(lua_State *L, int index, mg_buf *out, bool pretty);
