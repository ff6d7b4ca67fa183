// testkit/coverage.h: counts which lines of Lua run: `moongate test --coverage`.
#pragma once

#include <lua.h>

// `require("moongate.coverage")` gives { start, stop } from now on.
void mg_testkit_preload_coverage(lua_State *L);
