// Upstreams: lua/moongate/upstream.lua calls these.

#include "lua/args.h"
#include "lua/bind.h"
#include "lua/json_values.h"
#include "proxy/members.h"

static mg_upstream *check_upstream(lua_State *L, const mg_vm *vm) {
    mg_upstream *u = mg_upstreams_find(vm->services->upstreams, mg_lua_check_str(L, 1));
    if (u == NULL) {
        luaL_error(L, "there is no upstream '%s' here", lua_tostring(L, 1));
    }
    return u;
}

static void set_number(lua_State *L, const char *name, double v) {
    lua_pushnumber(L, v);
    lua_setfield(L, -2, name);
}

static void push_member(lua_State *L, const mg_upstream_member *m) {
    lua_createtable(L, 0, 8);
    mg_lua_set_text(L, "url", m->server->url);
    mg_lua_set_text(L, "address", m->server->address);
    set_number(L, "weight", m->weight);
    lua_pushboolean(L, m->backup);
    lua_setfield(L, -2, "backup");
    mg_lua_set_text(L, "state", mg_str_of(m->state));
    mg_lua_set_text(L, "why", mg_str_of(m->why));
    set_number(L, "in_flight", m->in_flight);
    set_number(L, "latency", m->latency_ms / 1000);
}

static void push_members(lua_State *L, const mg_upstream *u) {
    size_t n = mg_upstream_member_count(u);
    lua_createtable(L, (int)n, 0);
    mg_json_push_array_mark(L);
    lua_setmetatable(L, -2);
    for (size_t i = 0; i < n; i++) {
        mg_upstream_member m;
        mg_upstream_member_of(u, i, &m);
        push_member(L, &m);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

// upstream_servers(name) -> list of { url, address, weight, backup, state, why, in_flight, latency
// }
static int upstream_servers(lua_State *L) {
    push_members(L, check_upstream(L, mg_vm_of(L)));
    return 1;
}

// upstream_status(name) -> { name, servers, in_flight, circuit }
static int upstream_status(lua_State *L) {
    const mg_upstream *u = check_upstream(L, mg_vm_of(L));
    mg_upstream_now now;
    mg_upstream_read_now(u, &now);
    lua_createtable(L, 0, 4);
    mg_lua_set_text(L, "name", mg_str_of(mg_upstream_options_of(u)->name));
    push_members(L, u);
    lua_setfield(L, -2, "servers");
    set_number(L, "in_flight", now.in_flight);
    mg_lua_set_text(L, "circuit", mg_str_of(now.circuit));
    return 1;
}

// upstream_order(name, "servers", JSON or nil | "drain" or "undrain", URL) -> nil, or what is wrong
static int upstream_order(lua_State *L) {
    const mg_services *services = mg_vm_of(L)->services;
    mg_str name = mg_lua_check_str(L, 1);
    mg_str verb = mg_lua_check_str(L, 2);
    mg_str what = lua_isnoneornil(L, 3) ? (mg_str){"", 0} : mg_lua_check_str(L, 3);
    mg_error err;
    check_upstream(L, mg_vm_of(L));
    if (services->order_upstream == NULL) {
        return luaL_error(L, "nothing is proxied here: servers cannot be set");
    }
    if (services->order_upstream(services->order_arg, name, verb, what, &err) == MG_OK) {
        return 0;
    }
    lua_pushstring(L, err.text);
    return 1;
}

void mg_bind_upstream(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"upstream_servers", upstream_servers},
        {"upstream_status", upstream_status},
        {"upstream_order", upstream_order},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
