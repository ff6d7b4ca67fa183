#include "testkit/coverage.h"

#include "lua/args.h"
#include "lua/state.h"

#include <lauxlib.h>

// In the registry, by its address: { source = { line = how often } }.
static char counts_key;

// The table of a source, at the top. It is made when its first line runs.
static void push_lines(lua_State *L, const char *source) {
    mg_lua_push_kept(L, &counts_key);
    lua_pushstring(L, source);
    lua_rawget(L, -2);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushstring(L, source);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
}

static void on_line(lua_State *L, lua_Debug *ar) {
    if (!lua_getinfo(L, "S", ar) || ar->source[0] != '@' || !lua_checkstack(L, 6)) {
        return;
    }
    int top = lua_gettop(L);
    push_lines(L, ar->source);
    lua_rawgeti(L, -1, ar->currentline);
    lua_pushnumber(L, lua_tonumber(L, -1) + 1);
    lua_rawseti(L, -3, ar->currentline);
    lua_settop(L, top);
}

// start(): counts from now on, in all coroutines. The JIT is off: what it has compiled tells of no
// line.
static int start(lua_State *L) {
    if (luaL_loadstring(L, "jit.off() jit.flush()") != 0) {
        return lua_error(L);
    }
    lua_call(L, 0, 0);
    lua_newtable(L);
    mg_lua_keep(L, &counts_key);
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
    return 0;
}

// stop() -> what has been counted
static int stop(lua_State *L) {
    lua_sethook(L, NULL, 0, 0);
    mg_lua_push_kept(L, &counts_key);
    return 1;
}

static int open_module(lua_State *L) {
    static const luaL_Reg functions[] = {{"start", start}, {"stop", stop}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}

void mg_testkit_preload_coverage(lua_State *L) {
    mg_lua_state_preload(L, "moongate.coverage", open_module, NULL);
}
