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

// Pushes false, a code and a text, and returns 3: a call has failed.
static inline int mg_lua_push_failure(lua_State *L, const char *code, const char *text) {
    lua_pushboolean(L, 0);
    lua_pushstring(L, code);
    lua_pushstring(L, text);
    return 3;
}

// Milliseconds of the number of seconds at `index`: 0 only if it is none, or not above 0.
static inline uint32_t mg_lua_milliseconds(lua_State *L, int index) {
    double ms = lua_tonumber(L, index) * 1000;
    return ms <= 0 ? 0 : ms < 1 ? 1 : ms < UINT32_MAX ? (uint32_t)(ms + 0.5) : UINT32_MAX;
}

// Sets `key` of the table on top.
static inline void mg_lua_set_text(lua_State *L, const char *key, mg_str text) {
    mg_lua_push_str(L, text);
    lua_setfield(L, -2, key);
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
