// The route table that app:freeze made, for the front. Pair: core/app/serve.lua.

#include "lua/args.h"
#include "lua/bind.h"
#include "server/folder.h"

static int64_t integer_field(lua_State *L, int index, const char *key) {
    lua_getfield(L, index, key);
    int64_t v = lua_isnil(L, -1) ? -1 : (int64_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
    return v;
}

// Lies in the table at `index`; empty if there is none.
static mg_str text_field(lua_State *L, int index, const char *key) {
    mg_str s = {"", 0};
    lua_getfield(L, index, key);
    if (lua_type(L, -1) == LUA_TSTRING) {
        s = mg_lua_str(L, -1);
    }
    lua_pop(L, 1);
    return s;
}

static bool flag_field(lua_State *L, int index, const char *key) {
    lua_getfield(L, index, key);
    bool set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

// Who answers the route at the top; NULL: the scripts. Other answerers have a field of their own.
static mg_answerer *answerer_of(lua_State *L) {
    mg_answerer *a = NULL;
    lua_getfield(L, -1, "folder");
    if (lua_istable(L, -1)) {
        a = mg_folder_new(&(mg_folder_options){
            .folder = text_field(L, -1, "path"),
            .index = text_field(L, -1, "index"),
            .cache_control = text_field(L, -1, "cache_control"),
            .dotfiles = flag_field(L, -1, "dotfiles"),
        });
    }
    lua_pop(L, 1);
    return a;
}

// bind_routes(router, { { name =, deadline_ms =, body_bytes =, folder = { path =, index =,
// cache_control =, dotfiles = } }, ... }): what requests are matched against from now on. Of a
// route all may be missing.
static int bind_routes(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_router *router = mg_check_router(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    uint32_t n = (uint32_t)lua_objlen(L, 2);
    mg_routes *routes = mg_routes_new(router, n);
    for (uint32_t id = 1; id <= n; id++) {
        lua_rawgeti(L, 2, (int)id);
        mg_route route = {
            .name = text_field(L, -1, "name"),
            .deadline_ms = integer_field(L, -1, "deadline_ms"),
            .body_bytes = integer_field(L, -1, "body_bytes"),
            .answerer = answerer_of(L),
        };
        mg_routes_set(routes, id, &route);
        lua_pop(L, 1);
    }
    mg_front_set_routes(&vm->front, routes);
    if (vm->front.pins.count == 0) { // else its parameters' names are still wanted
        luaL_unref(L, LUA_REGISTRYINDEX, vm->router_ref);
    }
    lua_pushvalue(L, 1);
    vm->router_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

// --- methods ---

static int method_name(lua_State *L) {
    lua_Integer m = luaL_checkinteger(L, 1);
    mg_str name = mg_method_name(m >= 0 && m < MG_METHOD_COUNT ? (mg_method)m : MG_METHOD_UNKNOWN);
    mg_lua_push_str(L, name);
    return 1;
}

// method_names(set) -> a list; the set is one of next_event's.
static int method_names(lua_State *L) {
    const mg_routes *routes = mg_vm_of(L)->front.routes;
    uint64_t set = (uint64_t)luaL_checknumber(L, 1);
    luaL_argcheck(L, routes != NULL, 1, "there are no routes");
    mg_push_methods(L, routes->router, set);
    return 1;
}

void mg_bind_routes(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"bind_routes", bind_routes},
        {"method_name", method_name},
        {"method_names", method_names},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
