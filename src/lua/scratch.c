#include "lua/scratch.h"

#include <stdbool.h>

// One large answer shall not hold its memory for the life of the state.
enum { KEEP_BYTES = 64 * 1024 };

typedef struct scratch {
    mg_buf buf;
    bool taken;
} scratch;

// Addresses that serve as registry keys.
static char current_key;
static char metatable_key;

static int collect(lua_State *L) {
    scratch *s = lua_touserdata(L, 1);
    mg_buf_deinit(&s->buf);
    return 0;
}

static void push_metatable(lua_State *L) {
    lua_pushlightuserdata(L, &metatable_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    if (!lua_isnil(L, -1)) {
        return;
    }
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushlightuserdata(L, &metatable_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}

static scratch *push_new(lua_State *L) {
    scratch *s = lua_newuserdata(L, sizeof *s);
    *s = (scratch){0};
    push_metatable(L);
    lua_setmetatable(L, -2);
    lua_pushlightuserdata(L, &current_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
    return s;
}

mg_buf *mg_scratch_take(lua_State *L) {
    lua_pushlightuserdata(L, &current_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    scratch *s = lua_touserdata(L, -1);
    if (s == NULL || s->taken) {
        lua_pop(L, 1);
        s = push_new(L);
    }
    s->taken = true;
    mg_buf_clear(&s->buf);
    return &s->buf;
}

void mg_scratch_give(lua_State *L, int index) {
    scratch *s = lua_touserdata(L, index);
    s->taken = false;
    if (s->buf.cap > KEEP_BYTES) {
        mg_buf_deinit(&s->buf);
    }
}

void mg_scratch_push(lua_State *L, int index) {
    scratch *s = lua_touserdata(L, index);
    lua_pushlstring(L, s->buf.n == 0 ? "" : s->buf.p, s->buf.n);
    mg_scratch_give(L, index);
}
