#include "lua/lua_app.h"

#include "base/mem.h"
#include "lua/state.h"

#include <stdio.h>

struct mg_lua_app {
    lua_State *L;
    mg_vm *vm;
    int boot_ref;   // the module moongate.boot
    int served_ref; // what boot.load returned
    void (*on_ready)(void *arg, const char *message);
    void *ready_arg;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
};

static int open_native(lua_State *L) {
    mg_vm_push_native(L, lua_touserdata(L, lua_upvalueindex(1)));
    return 1;
}

static int take_error(lua_State *L, mg_error *err) {
    const char *text = lua_tostring(L, -1);
    mg_error_set(err, MG_ELUA, "%s",
                 text != NULL ? text : "the script raised an error that is no text");
    lua_pop(L, 1);
    return MG_ELUA;
}

// Pushes boot[name] and the loaded app, if there is one.
static void push_boot(mg_lua_app *a, const char *name) {
    lua_rawgeti(a->L, LUA_REGISTRYINDEX, a->boot_ref);
    lua_getfield(a->L, -1, name);
    lua_remove(a->L, -2);
    if (a->served_ref != LUA_NOREF) {
        lua_rawgeti(a->L, LUA_REGISTRYINDEX, a->served_ref);
    }
}

static int require_boot(mg_lua_app *a, mg_error *err) {
    lua_getglobal(a->L, "require");
    lua_pushliteral(a->L, "moongate.boot");
    if (lua_pcall(a->L, 1, 1, 0) != 0) {
        return take_error(a->L, err);
    }
    a->boot_ref = luaL_ref(a->L, LUA_REGISTRYINDEX);
    return MG_OK;
}

static int load_app(mg_lua_app *a, const mg_lua_app_options *options, mg_error *err) {
    push_boot(a, "load");
    lua_pushstring(a->L, options->root);
    lua_pushstring(a->L, options->path);
    lua_newtable(a->L);
    lua_pushnumber(a->L, (lua_Number)options->handler_ms / 1000);
    lua_setfield(a->L, -2, "handler_seconds");
    if (lua_pcall(a->L, 3, 2, 0) != 0) {
        return take_error(a->L, err);
    }
    if (lua_isnil(a->L, -2)) {
        int rc = take_error(a->L, err);
        lua_pop(a->L, 1);
        return rc;
    }
    lua_pop(a->L, 1);
    a->served_ref = luaL_ref(a->L, LUA_REGISTRYINDEX);
    return MG_OK;
}

int mg_lua_app_new(mg_lua_app **out, mg_loop *loop, const mg_lua_app_options *options,
                   mg_error *err) {
    mg_lua_app *a = mg_calloc(1, sizeof *a);
    a->boot_ref = LUA_NOREF;
    a->served_ref = LUA_NOREF;
    int rc = MG_ELUA;
    a->L = mg_lua_state_new(err);
    if (a->L != NULL) {
        a->vm = mg_vm_new(a->L, loop);
        mg_lua_state_preload(a->L, open_native, a->vm);
        rc = require_boot(a, err);
    }
    if (rc == MG_OK) {
        rc = load_app(a, options, err);
    }
    if (rc != MG_OK) {
        mg_lua_app_free(a);
        a = NULL;
    }
    *out = a;
    return rc;
}

void mg_lua_app_free(mg_lua_app *a) {
    if (a == NULL) {
        return;
    }
    mg_vm_free(a->vm);
    if (a->L != NULL) {
        lua_close(a->L);
    }
    mg_free(a);
}

mg_app *mg_lua_app_seam(mg_lua_app *a) {
    return &a->vm->app;
}

mg_vm *mg_lua_app_vm(mg_lua_app *a) {
    return a->vm;
}

static int tell_ready(lua_State *L) {
    mg_lua_app *a = lua_touserdata(L, lua_upvalueindex(1));
    const char *text = lua_tostring(L, 2);
    a->on_ready(a->ready_arg, lua_toboolean(L, 1) ? NULL : text != NULL ? text : "on_start failed");
    return 0;
}

static int tell_stopped(lua_State *L) {
    mg_lua_app *a = lua_touserdata(L, lua_upvalueindex(1));
    a->on_stopped(a->stopped_arg);
    return 0;
}

// Calls boot[name](served, callback). The callback comes in a later turn.
static void call_boot(mg_lua_app *a, const char *name, lua_CFunction callback) {
    push_boot(a, name);
    lua_pushlightuserdata(a->L, a);
    lua_pushcclosure(a->L, callback, 1);
    if (lua_pcall(a->L, 2, 0, 0) != 0) {
        fprintf(stderr, "moongate: boot.%s failed: %s\n", name, lua_tostring(a->L, -1));
        lua_pop(a->L, 1);
    }
    mg_loop_turn_soon(a->vm->loop);
}

void mg_lua_app_start(mg_lua_app *a, void (*on_ready)(void *arg, const char *message), void *arg) {
    a->on_ready = on_ready;
    a->ready_arg = arg;
    call_boot(a, "start", tell_ready);
}

void mg_lua_app_stop(mg_lua_app *a, void (*on_stopped)(void *arg), void *arg) {
    a->on_stopped = on_stopped;
    a->stopped_arg = arg;
    call_boot(a, "stop", tell_stopped);
}

void mg_lua_app_print_routes(mg_lua_app *a, mg_buf *out) {
    push_boot(a, "routes");
    if (lua_pcall(a->L, 1, 1, 0) == 0) {
        mg_str text = {0};
        text.p = lua_tolstring(a->L, -1, &text.n);
        mg_buf_append_str(out, text);
    }
    lua_pop(a->L, 1);
}
