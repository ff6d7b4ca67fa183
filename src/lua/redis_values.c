#include "lua/redis_values.h"

#include "lua/args.h"
#include "lua/json_values.h"

static char errors_key;

void mg_redis_values_open(lua_State *L) {
    mg_lua_keep(L, &errors_key);
}

void mg_redis_push_array(lua_State *L, uint32_t n) {
    enum { AT_ONCE = 1 << 16 };
    lua_createtable(L, (int)(n < AT_ONCE ? n : AT_ONCE), 0);
    mg_json_push_array_mark(L);
    lua_setmetatable(L, -2);
}

void mg_redis_push_reason(lua_State *L, mg_str text) {
    lua_createtable(L, 0, 1);
    mg_lua_set_text(L, "reason", mg_str_cut(&text, ' '));
}

static void push_error(lua_State *L, mg_str text) {
    mg_redis_push_reason(L, text);
    mg_lua_set_text(L, "code", MG_STR("redis"));
    mg_lua_set_text(L, "message", text);
    mg_lua_push_kept(L, &errors_key);
    lua_setmetatable(L, -2);
}

static uint32_t push_list(lua_State *L, const mg_redis_reply *r, uint32_t at) {
    uint32_t n = r->values[at++].n;
    mg_redis_push_array(L, n);
    for (uint32_t i = 1; i <= n; i++) {
        at = mg_redis_push_value(L, r, at, true);
        lua_rawseti(L, -2, (int)i);
    }
    return at;
}

static uint32_t push_map(lua_State *L, const mg_redis_reply *r, uint32_t at) {
    uint32_t n = r->values[at++].n / 2;
    lua_createtable(L, 0, (int)(n < 1024 ? n : 1024));
    for (uint32_t i = 0; i < n; i++) {
        at = mg_redis_push_value(L, r, at, true);
        at = mg_redis_push_value(L, r, at, true);
        if (lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) != lua_tonumber(L, -2)) {
            lua_pop(L, 2); // nan is no key
        } else {
            lua_rawset(L, -3);
        }
    }
    return at;
}

uint32_t mg_redis_push_value(lua_State *L, const mg_redis_reply *r, uint32_t at, bool inside) {
    const mg_redis_value *v = &r->values[at];
    luaL_checkstack(L, 6, "a reply of Redis");
    switch ((mg_redis_type)v->type) {
    case MG_REDIS_NULL:
        if (inside) {
            lua_pushlightuserdata(L, NULL);
        } else {
            lua_pushnil(L);
        }
        break;
    case MG_REDIS_STRING:
    case MG_REDIS_NUMBER:
        mg_lua_push_str(L, mg_redis_text(r, v));
        break;
    case MG_REDIS_ERROR:
        push_error(L, mg_redis_text(r, v));
        break;
    case MG_REDIS_INTEGER:
        mg_json_push_i64(L, v->integer);
        break;
    case MG_REDIS_DOUBLE:
        lua_pushnumber(L, v->number);
        break;
    case MG_REDIS_BOOLEAN:
        lua_pushboolean(L, v->integer != 0);
        break;
    case MG_REDIS_MAP:
        return push_map(L, r, at);
    default:
        return push_list(L, r, at);
    }
    return at + 1;
}
