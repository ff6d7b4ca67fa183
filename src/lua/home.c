#include "lua/home.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

static char home_key; // registry: the framework's globals

static bool is_framework(const char *name) {
    static const char own[] = "moongate";
    const char *end = name + sizeof own - 1;
    return strncmp(name, own, sizeof own - 1) == 0 && (*end == '\0' || *end == '.');
}

// Of the table on top, without what is nested.
static void push_copy(lua_State *L) {
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, -3) != 0) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
}

// --- require ---

enum { OWN = 1, REAL, SEARCH };

// Loads a module of the framework; false, and nothing is pushed: it has none of that name.
static bool load_own(lua_State *L, const char *name) {
    lua_pushvalue(L, lua_upvalueindex(SEARCH));
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    if (!lua_isfunction(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, true);
    }
    return true;
}

// The framework's require(name). What it has once loaded stays what it is. A module that was made
// to fail while it was loading is loaded anew, which Lua's own does not.
static int require_own(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    lua_getfield(L, lua_upvalueindex(OWN), name);
    if (!lua_isnil(L, -1)) {
        return 1;
    }
    if (!is_framework(name) || !load_own(L, name)) {
        lua_pushvalue(L, lua_upvalueindex(REAL));
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(OWN), name);
    return 1;
}

enum { REQUIRE_OWN = 1, SEARCH_OWN };

// A searcher for Lua's own `require`, which scripts have: there is one of each module.
static int search_for_all(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(SEARCH_OWN));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, lua_upvalueindex(REQUIRE_OWN));
    }
    return 1;
}

// Gives `home` its `require`, and leaves the searcher for the other one.
static void part_require(lua_State *L, int home, int search) {
    lua_newtable(L);
    lua_getglobal(L, "require");
    lua_pushvalue(L, search);
    lua_pushcclosure(L, require_own, 3);
    lua_pushvalue(L, -1);
    lua_setfield(L, home, "require");
    lua_pushvalue(L, search);
    lua_pushcclosure(L, search_for_all, 2);
}

// --- the globals ---

static void push_home(lua_State *L) {
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    push_copy(L);
    lua_remove(L, -2);
    int home = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, home) != 0) {
        if (lua_istable(L, -1)) {
            push_copy(L);
            lua_pushvalue(L, -3);
            lua_insert(L, -2);
            lua_rawset(L, home); // the key is there already
        }
        lua_pop(L, 1);
    }
    lua_pushvalue(L, home);
    lua_setfield(L, home, "_G");
}

// The methods of strings: those of `home`, behind them whatever scripts have in `string`.
static void part_strings(lua_State *L, int home) {
    lua_getfield(L, home, "string");
    lua_newtable(L);
    lua_getglobal(L, "string");
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 3);
}

void mg_lua_home_open(lua_State *L) {
    int search = lua_gettop(L);
    push_home(L);
    int home = lua_gettop(L);
    part_strings(L, home);
    lua_pushlightuserdata(L, &home_key);
    lua_pushvalue(L, home);
    lua_rawset(L, LUA_REGISTRYINDEX);
    part_require(L, home, search);
    lua_replace(L, search);
    lua_settop(L, search);
}

void mg_lua_home_enter(lua_State *L) {
    lua_pushlightuserdata(L, &home_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (lua_istable(L, -1)) {
        lua_setfenv(L, -2);
    } else {
        lua_pop(L, 1);
    }
}
