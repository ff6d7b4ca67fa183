// lua/fields.h: fields of HTTP as a Lua table.
#pragma once

#include "http/fields.h"

#include <lua.h>

// Pushes a table: names in lower case, repeated ones joined (RFC 9110 section 5.2; Cookie: RFC 6265
// section 5.4).
void mg_push_fields(lua_State *L, const mg_fields *fields);
