// The route table that app:freeze made, for the front. Pair: core/app/serve.lua.

#include "lua/args.h"
#include "lua/bind.h"
#include "lua/services.h"
#include "proxy/route.h"
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

static mg_answerer *folder_of(lua_State *L) {
    return mg_folder_new(&(mg_folder_options){
        .folder = text_field(L, -1, "path"),
        .index = text_field(L, -1, "index"),
        .cache_control = text_field(L, -1, "cache_control"),
        .dotfiles = flag_field(L, -1, "dotfiles"),
    });
}

// --- proxies ---

static uint32_t milliseconds_field(lua_State *L, const char *key) {
    lua_getfield(L, -1, key);
    uint32_t ms = mg_lua_milliseconds(L, -1);
    lua_pop(L, 1);
    return ms;
}

// { name, value, ... }, checked by core/proxy/options.lua; the texts are borrowed.
static void read_fields(lua_State *L, const char *key, mg_fields *out) {
    lua_getfield(L, -1, key);
    int n = lua_istable(L, -1) ? (int)lua_objlen(L, -1) : 0;
    for (int i = 1; i < n; i += 2) {
        lua_rawgeti(L, -1, i);
        lua_rawgeti(L, -2, i + 1);
        (void)mg_fields_add(out, mg_lua_str(L, -2), mg_lua_str(L, -1));
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

// NULL: no upstream has that name.
static mg_answerer *proxy_of(lua_State *L) {
    const mg_services *services = mg_vm_of(L)->services;
    mg_upstream *u = services->upstreams != NULL
                         ? mg_upstreams_find(services->upstreams, text_field(L, -1, "upstream"))
                         : NULL;
    if (u == NULL) {
        return NULL;
    }
    mg_arena arena = {0};
    mg_fields set, removed;
    mg_fields_init(&set, &arena);
    mg_fields_init(&removed, &arena);
    read_fields(L, "set", &set);
    read_fields(L, "removed", &removed);
    mg_answerer *a = mg_proxy_route_new(&(mg_proxy_route_options){
        .upstream = u,
        .rules = {.strip = text_field(L, -1, "strip"),
                  .path = text_field(L, -1, "path"),
                  .host = text_field(L, -1, "host"),
                  .set = &set,
                  .removed = &removed},
        .timeouts = {.connect_ms = milliseconds_field(L, "connect"),
                     .first_byte_ms = milliseconds_field(L, "first_byte"),
                     .idle_ms = milliseconds_field(L, "idle"),
                     .total_ms = milliseconds_field(L, "total")},
        .buffer = flag_field(L, -1, "buffer"),
    });
    mg_arena_deinit(&arena);
    return a;
}

// Who answers the route at the top; NULL: the scripts. Each has a field of their own.
static mg_answerer *answerer_of(lua_State *L) {
    static const struct {
        const char *field;
        mg_answerer *(*make)(lua_State *L);
    } kinds[] = {{"folder", folder_of}, {"proxy", proxy_of}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        lua_getfield(L, -1, kinds[i].field);
        mg_answerer *a = lua_istable(L, -1) ? kinds[i].make(L) : NULL;
        lua_pop(L, 1);
        if (a != NULL) {
            return a;
        }
    }
    return NULL;
}

// --- the table ---

// bind_routes(router, { { name =, deadline_ms =, body_bytes =, folder = { path =, index =,
// cache_control =, dotfiles = }, proxy = { upstream =, strip =, path =, host =, set =, removed =,
// connect =, first_byte =, idle =, total =, buffer = } }, ... }): what requests are matched against
// from now on. Of a route all may be missing.
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
