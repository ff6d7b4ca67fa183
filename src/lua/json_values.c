#include "lua/json_values.h"

#include "lua/args.h"

#include <lauxlib.h>
#include <string.h>

// A double holds every integer up to here.
#define EXACT_INTEGER ((int64_t)1 << 53)

// Addresses that serve as registry keys.
static char mark_key;
static char make_key;
static char kind_key;

// Only ffi makes and tells apart boxed integers; the halves of 32 bits pass through doubles
// unharmed.
static const char wide_source[] =
    "local ffi = require('ffi')\n"
    "local i64, u64 = ffi.typeof('int64_t'), ffi.typeof('uint64_t')\n"
    "local function make(signed, high, low)\n"
    "  local value = u64(high) * 0x100000000ULL + u64(low)\n"
    "  return signed and i64(value) or value\n"
    "end\n"
    "local function kind(value)\n"
    "  return ffi.istype(i64, value) and 1 or ffi.istype(u64, value) and 2 or 0\n"
    "end\n"
    "return make, kind\n";

static int null_tostring(lua_State *L) {
    const void *p = lua_touserdata(L, 1);
    if (p == NULL) {
        lua_pushliteral(L, "null");
    } else {
        lua_pushfstring(L, "userdata: %p", p);
    }
    return 1;
}

// All light userdata share one metatable: leave it alone if somebody has set it.
static void give_null_its_name(lua_State *L) {
    lua_pushlightuserdata(L, NULL);
    if (!lua_getmetatable(L, -1)) {
        lua_createtable(L, 0, 1);
        lua_pushcfunction(L, null_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_setmetatable(L, -2);
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 2);
}

void mg_json_values_open(lua_State *L) {
    mg_lua_push_kept(L, &mark_key);
    bool ready = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (ready) {
        return;
    }
    if (luaL_loadbuffer(L, wide_source, sizeof wide_source - 1, "=json_values") != 0) {
        lua_error(L);
    }
    lua_call(L, 0, 2);
    mg_lua_keep(L, &kind_key);
    mg_lua_keep(L, &make_key);
    give_null_its_name(L);
    lua_newtable(L);
    mg_lua_keep(L, &mark_key);
}

void mg_json_push_array_mark(lua_State *L) {
    mg_lua_push_kept(L, &mark_key);
}

static bool is_mark_on_top(lua_State *L) {
    mg_json_push_array_mark(L);
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 1);
    return same;
}

bool mg_json_is_array(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) {
        return false;
    }
    bool marked = is_mark_on_top(L);
    if (!marked && lua_getmetatable(L, -1)) {
        marked = is_mark_on_top(L);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return marked;
}

static void push_wide(lua_State *L, bool is_signed, uint64_t bits) {
    mg_lua_push_kept(L, &make_key);
    lua_pushboolean(L, is_signed);
    lua_pushnumber(L, (double)(bits >> 32));
    lua_pushnumber(L, (double)(bits & UINT32_MAX));
    lua_call(L, 3, 1);
}

void mg_json_push_i64(lua_State *L, int64_t v) {
    if (v >= -EXACT_INTEGER && v <= EXACT_INTEGER) {
        lua_pushnumber(L, (double)v);
    } else {
        push_wide(L, true, (uint64_t)v);
    }
}

void mg_json_push_u64(lua_State *L, uint64_t v) {
    if (v <= (uint64_t)EXACT_INTEGER) {
        lua_pushnumber(L, (double)v);
    } else {
        push_wide(L, false, v);
    }
}

mg_json_wide mg_json_to_wide(lua_State *L, int index, uint64_t *bits) {
    mg_lua_push_kept(L, &kind_key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return MG_JSON_NOT_WIDE;
    }
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != 0) {
        lua_pop(L, 1);
        return MG_JSON_NOT_WIDE;
    }
    mg_json_wide kind = (mg_json_wide)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (kind != MG_JSON_NOT_WIDE) {
        // For a cdata LuaJIT answers the address of its payload.
        memcpy(bits, lua_topointer(L, index), sizeof *bits);
    }
    return kind;
}
