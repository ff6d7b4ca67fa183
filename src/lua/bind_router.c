#include "lua/bind_router.h"

#include "http/url.h"
#include "lua/args.h"
#include "lua/json_values.h"
#include "lua/scratch.h"

#include <lauxlib.h>

#define ROUTER_TYPE "moongate.router"

enum { ID_MAX = 1 << 20 }; // routes are kept in a table by id

mg_router *mg_check_router(lua_State *L, int index) {
    mg_router *r = *(mg_router **)luaL_checkudata(L, index, ROUTER_TYPE);
    luaL_argcheck(L, r != NULL, index, "the router has been collected");
    return r;
}

static int router_new(lua_State *L) {
    mg_router **box = lua_newuserdata(L, sizeof *box);
    *box = NULL;
    luaL_getmetatable(L, ROUTER_TYPE);
    lua_setmetatable(L, -2);
    *box = mg_router_new();
    return 1;
}

static int router_gc(lua_State *L) {
    mg_router **box = luaL_checkudata(L, 1, ROUTER_TYPE);
    mg_router_free(*box);
    *box = NULL;
    return 0;
}

static mg_str opt_host(lua_State *L, int index) {
    return lua_isnoneornil(L, index) ? (mg_str){NULL, 0} : mg_lua_check_str(L, index);
}

// router:add(method, pattern, id, host or nil) -> true | nil, message | nil, message, id of the
// route with the same shape. A method is any token.
static int router_add(lua_State *L) {
    mg_router *r = mg_check_router(L, 1);
    mg_str method = mg_lua_check_str(L, 2);
    mg_str pattern = mg_lua_check_str(L, 3);
    lua_Integer id = luaL_checkinteger(L, 4);
    luaL_argcheck(L, mg_str_is_token(method), 2, "a method such as GET is wanted");
    luaL_argcheck(L, id > 0 && id <= ID_MAX, 4, "an id from 1 to 1048576 is wanted");
    uint32_t existing = 0;
    mg_error err = {""};
    unsigned m = mg_router_add_method(r, method);
    if (m == MG_METHOD_UNKNOWN) {
        lua_pushnil(L);
        lua_pushfstring(L, "at most %d methods besides those of HTTP are allowed",
                        MG_ROUTE_METHODS - MG_METHOD_COUNT - 1);
        return 2;
    }
    mg_str host = opt_host(L, 5);
    int rc = mg_router_add_for(r, host, m, pattern, (uint32_t)id, &existing, &err);
    if (rc == MG_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, rc == MG_ELIMIT ? "a route of the same shape is there already" : err.text);
    if (rc != MG_ELIMIT) {
        return 2;
    }
    lua_pushinteger(L, (lua_Integer)existing);
    return 3;
}

static void push_decoded(lua_State *L, mg_str value) {
    if (value.n == 0 || memchr(value.p, '%', value.n) == NULL) {
        mg_lua_push_str(L, value);
        return;
    }
    mg_url_decode(value, false, mg_scratch_take(L));
    mg_scratch_push(L, lua_gettop(L));
    lua_remove(L, -2);
}

// The matcher has seen that it fits: a number, or beyond 2^53 a 64-bit integer.
static void push_integer(lua_State *L, mg_route_kind kind, mg_str value) {
    bool negative = value.p[0] == '-';
    uint64_t v = 0;
    (void)mg_str_to_u64((mg_str){value.p + negative, value.n - negative}, UINT64_MAX, &v);
    if (kind == MG_ROUTE_UINT) {
        mg_json_push_u64(L, v);
    } else {
        mg_json_push_i64(L, (int64_t)(negative ? 0 - v : v));
    }
}

static void push_param(lua_State *L, mg_route_kind kind, mg_str value) {
    if (kind == MG_ROUTE_TEXT) {
        push_decoded(L, value);
    } else {
        push_integer(L, kind, value);
    }
}

void mg_push_params(lua_State *L, const mg_router *router, const mg_route_match *match) {
    lua_createtable(L, 0, (int)match->count);
    for (uint32_t i = 0; i < match->count; i++) {
        mg_route_param param = mg_router_param(router, match->id, i);
        mg_lua_push_str(L, param.name);
        push_param(L, param.kind, match->values[i]);
        lua_rawset(L, -3);
    }
}

void mg_push_methods(lua_State *L, const mg_router *r, uint64_t methods) {
    lua_newtable(L);
    int n = 0;
    for (unsigned m = 0; m < MG_ROUTE_METHODS; m++) {
        if (methods & (uint64_t)1 << m) {
            mg_str name = mg_router_method_name(r, m);
            mg_lua_push_str(L, name);
            lua_rawseti(L, -2, ++n);
        }
    }
}

// router:match(method, path, host or nil) -> id, params | nil, "none" | nil, "method", list of
// allowed methods
static int router_match(lua_State *L) {
    mg_router *r = mg_check_router(L, 1);
    unsigned m = mg_router_method(r, mg_lua_check_str(L, 2));
    mg_route_match match;
    mg_str path = mg_lua_check_str(L, 3);
    mg_route_result result = mg_router_match_for(r, opt_host(L, 4), m, path, &match);
    if (result == MG_ROUTE_FOUND) {
        lua_pushinteger(L, (lua_Integer)match.id);
        mg_push_params(L, r, &match);
        return 2;
    }
    lua_pushnil(L);
    lua_pushstring(L, result == MG_ROUTE_NONE ? "none" : "method");
    if (result == MG_ROUTE_NONE) {
        return 2;
    }
    mg_push_methods(L, r, match.allowed);
    return 3;
}

int mg_open_router(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"add", router_add}, {"match", router_match}, {"__gc", router_gc}, {NULL, NULL}};
    if (luaL_newmetatable(L, ROUTER_TYPE)) {
        luaL_register(L, NULL, methods);
        lua_pushvalue(L, -1);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushcfunction(L, router_new);
    lua_setfield(L, -2, "new");
    return 1;
}
