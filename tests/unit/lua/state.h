// state.h: a Lua state for unit tests, and checks written in Lua.
#pragma once

#include "unit.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

// Runs `source` (its asserts are the test); a raised message fails the test and is shown.
static inline void run_lua(lua_State *L, const char *source) {
    if (luaL_dostring(L, source) != 0) {
        fail_msg("%s", lua_tostring(L, -1));
    }
    lua_settop(L, 0);
}

// A state with the standard libraries, in which `name` is what `open` pushes, and two helpers:
// `equal(want, got)`, and `refused(want, f, ...)`, which calls f and expects it to raise exactly
// `want`, at a line of the test.
static inline lua_State *state_with(lua_CFunction open, const char *name) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    open(L);
    lua_setglobal(L, name);
    run_lua(L, "function equal(want, got)\n"
               "  if want ~= got then\n"
               "    error('want: ' .. tostring(want) .. '\\ngot:  ' .. tostring(got), 2)\n"
               "  end\n"
               "end\n"
               "function refused(want, f, ...)\n"
               "  local arguments, n = { ... }, select('#', ...)\n"
               "  local good, message = pcall(function()\n"
               "    local value = f(unpack(arguments, 1, n))\n"
               "    return value\n"
               "  end)\n"
               "  if good then error('not refused: ' .. want, 2) end\n"
               "  local text = message:match('^%[string [^%]]*%]:%d+: (.*)$')\n"
               "  if text ~= want then error('want: ' .. want .. '\\ngot:  ' .. message, 2) end\n"
               "end\n");
    return L;
}
