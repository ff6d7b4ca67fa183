#include "gate/generation.h"

#include "base/mem.h"
#include "lua/state.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct mg_generation {
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
    mg_error_set(err, MG_ELUA, "%s", text != NULL ? text : "the script raised an error that is no text");
    lua_pop(L, 1);
    return MG_ELUA;
}

// Pushes boot[name] and the loaded app, if there is one.
static void push_boot(mg_generation *g, const char *name) {
    lua_rawgeti(g->L, LUA_REGISTRYINDEX, g->boot_ref);
    lua_getfield(g->L, -1, name);
    lua_remove(g->L, -2);
    if (g->served_ref != LUA_NOREF) {
        lua_rawgeti(g->L, LUA_REGISTRYINDEX, g->served_ref);
    }
}

static int require_boot(mg_generation *g, mg_error *err) {
    lua_getglobal(g->L, "require");
    lua_pushliteral(g->L, "moongate.boot");
    if (lua_pcall(g->L, 1, 1, 0) != 0) {
        return take_error(g->L, err);
    }
    g->boot_ref = luaL_ref(g->L, LUA_REGISTRYINDEX);
    return MG_OK;
}

static int load_app(mg_generation *g, const mg_config *config, mg_error *err) {
    if (access(config->app, R_OK) != 0) {
        return mg_error_set(err, MG_ECONFIG, "%s: app: %s cannot be read: %s", config->file, config->app,
                            strerror(errno));
    }
    push_boot(g, "load");
    lua_pushstring(g->L, config->root);
    lua_pushstring(g->L, config->app);
    lua_newtable(g->L);
    lua_pushnumber(g->L, (lua_Number)config->timeouts.handler_ms / 1000);
    lua_setfield(g->L, -2, "handler_seconds");
    if (lua_pcall(g->L, 3, 2, 0) != 0) {
        return take_error(g->L, err);
    }
    if (lua_isnil(g->L, -2)) {
        int rc = take_error(g->L, err);
        lua_pop(g->L, 1);
        return rc;
    }
    lua_pop(g->L, 1);
    g->served_ref = luaL_ref(g->L, LUA_REGISTRYINDEX);
    return MG_OK;
}

int mg_generation_new(mg_generation **out, mg_loop *loop, const mg_config *config, mg_error *err) {
    mg_generation *g = mg_calloc(1, sizeof *g);
    g->boot_ref = LUA_NOREF;
    g->served_ref = LUA_NOREF;
    int rc = MG_ELUA;
    g->L = mg_lua_state_new(err);
    if (g->L != NULL) {
        g->vm = mg_vm_new(g->L, loop);
        mg_lua_state_preload(g->L, open_native, g->vm);
        rc = require_boot(g, err);
    }
    if (rc == MG_OK) {
        rc = load_app(g, config, err);
    }
    if (rc != MG_OK) {
        mg_generation_free(g);
        g = NULL;
    }
    *out = g;
    return rc;
}

void mg_generation_free(mg_generation *g) {
    if (g == NULL) {
        return;
    }
    mg_vm_free(g->vm);
    if (g->L != NULL) {
        lua_close(g->L);
    }
    mg_free(g);
}

mg_app *mg_generation_app(mg_generation *g) {
    return &g->vm->app;
}

mg_vm *mg_generation_vm(mg_generation *g) {
    return g->vm;
}

static int tell_ready(lua_State *L) {
    mg_generation *g = lua_touserdata(L, lua_upvalueindex(1));
    const char *text = lua_tostring(L, 2);
    g->on_ready(g->ready_arg, lua_toboolean(L, 1) ? NULL : text != NULL ? text : "on_start failed");
    return 0;
}

static int tell_stopped(lua_State *L) {
    mg_generation *g = lua_touserdata(L, lua_upvalueindex(1));
    g->on_stopped(g->stopped_arg);
    return 0;
}

// Calls boot[name](served, callback). The callback comes in a later turn.
static void call_boot(mg_generation *g, const char *name, lua_CFunction callback) {
    push_boot(g, name);
    lua_pushlightuserdata(g->L, g);
    lua_pushcclosure(g->L, callback, 1);
    if (lua_pcall(g->L, 2, 0, 0) != 0) {
        fprintf(stderr, "moongate: boot.%s failed: %s\n", name, lua_tostring(g->L, -1));
        lua_pop(g->L, 1);
    }
    mg_loop_turn_soon(g->vm->loop);
}

void mg_generation_start(mg_generation *g, void (*on_ready)(void *arg, const char *message), void *arg) {
    g->on_ready = on_ready;
    g->ready_arg = arg;
    call_boot(g, "start", tell_ready);
}

void mg_generation_stop(mg_generation *g, void (*on_stopped)(void *arg), void *arg) {
    g->on_stopped = on_stopped;
    g->stopped_arg = arg;
    call_boot(g, "stop", tell_stopped);
}

void mg_generation_print_routes(mg_generation *g, mg_buf *out) {
    push_boot(g, "routes");
    if (lua_pcall(g->L, 1, 1, 0) == 0) {
        mg_str text = {0};
        text.p = lua_tolstring(g->L, -1, &text.n);
        mg_buf_append_str(out, text);
    }
    lua_pop(g->L, 1);
}
