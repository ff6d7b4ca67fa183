// lua/json_encode.h: the encoder behind bind_json.c, with its options.
#pragma once

#include "base/buf.h"

#include <lua.h>

#include <stdbool.h>

typedef struct mg_json_style {
    bool pretty; // breaks lines and indents by two spaces
    bool strict; // refuses text that is no UTF-8
    bool raw;    // keeps its bytes: not JSON any more
} mg_json_style;

// As mg_json_encode_value.
int mg_json_encode(lua_State *L, int index, mg_buf *out, mg_json_style style);
