// lua/args.h: what is taken from Lua's stack and put there in many places: texts, reasons, values
// that C keeps.
#pragma once

#include "base/str.h"

#include <lauxlib.h>

// The string (or number, as text) at `index`; lives while it stays on the stack. Raises if it is
// neither.
static inline mg_str mg_lua_check_str(lua_State *L, int index) {
    mg_str s;
    s.p = luaL_checklstring(L, index, &s.n);
    return s;
}

// The same where it is known to be a string; one without bytes if it is not.
static inline mg_str mg_lua_str(lua_State *L, int index) {
    mg_str s = {0};
    s.p = lua_tolstring(L, index, &s.n);
    return s;
}

// Pushes it, and returns 1.
static inline int mg_lua_push_str(lua_State *L, mg_str s) {
    lua_pushlstring(L, s.n == 0 ? "" : s.p, s.n);
    return 1;
}

// Pushes nil and why, and returns 2.
static inline int mg_lua_refuse(lua_State *L, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

// Takes the value on top into the registry, where the address `key` names it.
static inline void mg_lua_keep(lua_State *L, char *key) {
    lua_pushlightuserdata(L, key);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

// Pushes what was kept so; nil: nothing.
static inline void mg_lua_push_kept(lua_State *L, char *key) {
    lua_pushlightuserdata(L, key);
    lua_rawget(L, LUA_REGISTRYINDEX);
}
