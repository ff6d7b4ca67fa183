#include "lua/missing.h"

#include "lua/args.h"

#include <string.h>

static char class_key; // registry

void mg_missing_keep(lua_State *L) {
    mg_lua_keep(L, &class_key);
}

bool mg_missing_is(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) {
        return false;
    }
    mg_lua_push_kept(L, &class_key);
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return same;
}

static void push_own(lua_State *L, int index, const char *field) {
    lua_pushstring(L, field);
    lua_rawget(L, index);
}

// Pushes " made at PLACE", or "".
static void push_place(lua_State *L, int index, const char *place) {
    push_own(L, index, "_source");
    push_own(L, index, "_line");
    const char *source = lua_tostring(L, -2);
    if (place != NULL) {
        lua_pushfstring(L, " made at %s", place);
    } else if (source != NULL && strstr(source, "lua/moongate/") == NULL) {
        lua_pushfstring(L, " made at %s:%d", source, (int)lua_tointeger(L, -1));
    } else {
        lua_pushliteral(L, "");
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void mg_missing_push(lua_State *L, int index) {
    if (luaL_callmeta(L, index, "__tostring") == 0) {
        mg_missing_push_made(L, index, NULL);
    }
}

void mg_missing_push_made(lua_State *L, int index, const char *place) {
    index = index < 0 ? lua_gettop(L) + index + 1 : index;
    luaL_checkstack(L, 8, "a Future's text");
    push_place(L, index, place);
    push_own(L, index, "_what");
    if (lua_type(L, -1) == LUA_TSTRING) {
        lua_pushfstring(L, "a Future%s (%s): :await() is missing", lua_tostring(L, -2),
                        lua_tostring(L, -1));
    } else {
        lua_pushfstring(L, "a Future%s: :await() is missing", lua_tostring(L, -2));
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}
