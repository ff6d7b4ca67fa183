#include "lua/lua_app.h"

#include "base/clock.h"
#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/place.h"
#include "lua/state.h"

#include <luajit.h>
#include <stdio.h>
#include <sys/random.h>

enum {
    LOAD_STEP = 100000, // instructions between two looks at the clock
    CLOSE_MS = 1000,    // that finalizers have, all together
};

struct mg_lua_app {
    lua_State *L;
    mg_vm *vm;
    mg_snapshot *snapshot;
    uint64_t load_ms, load_until_ms;
    uint64_t load_cpu_ms, load_cpu_until_ms;
    const _Atomic bool *give_up;
    mg_lua_spot *spot;
    const char *source;           // of the last line that a hook saw; compared only
    bool is_ours;                 // that was the framework's
    char late[MG_LUA_PLACE + 80]; // why loading was ended; "": it was not
    int boot_ref;                 // the module moongate.boot
    int served_ref;               // what boot.load returned
    void (*on_ready)(void *arg, const char *message);
    void *ready_arg;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
    void (*on_done)(void *arg);
    void *done_arg;
    uint64_t drain_ms;
    mg_timer retire_timer;
};

static int open_native(lua_State *L) {
    mg_push_native(L, lua_touserdata(L, lua_upvalueindex(1)));
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
    lua_pushliteral(a->L, "moongate.core.boot");
    if (lua_pcall(a->L, 1, 1, 0) != 0) {
        return take_error(a->L, err);
    }
    a->boot_ref = luaL_ref(a->L, LUA_REGISTRYINDEX);
    return MG_OK;
}

// --- loading ---

static char load_key; // registry: the app that is being loaded

static const _Atomic bool never;

static void on_load_hook(lua_State *L, lua_Debug *ar);

// The first place counts: what runs after it was made to fail may be anything.
static void end_load(mg_lua_app *a, lua_State *L) {
    char place[MG_LUA_PLACE];
    if (a->late[0] == '\0' && *a->give_up) {
        snprintf(a->late, sizeof a->late, "loading was given up");
    } else if (a->late[0] == '\0') {
        bool computed = a->load_ms == 0 || mg_monotonic_ms() <= a->load_until_ms;
        mg_lua_place(L, 0, place, sizeof place);
        snprintf(a->late, sizeof a->late, "%s: loading does not come to an end: stopped after %g s",
                 place, (double)(computed ? a->load_cpu_ms : a->load_ms) / 1000);
    }
    lua_sethook(L, on_load_hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "%s", a->late);
}

// In the framework only the first line after one of a script is worth a look: the script's frame
// that it works for.
static void keep_spot(mg_lua_app *a, lua_State *L, lua_Debug *ar) {
    bool was_ours = a->is_ours;
    int line = ar->currentline;
    lua_getinfo(L, "S", ar);
    if (ar->source == a->source && !was_ours) {
        a->spot->line = line;
        return;
    }
    a->is_ours = ar->source == a->source || mg_lua_place_is_ours(ar);
    a->source = ar->source;
    if ((!a->is_ours || !was_ours) && mg_lua_place_find(L, 0, ar)) {
        snprintf(a->spot->source, sizeof a->spot->source, "%s", mg_lua_place_source(ar));
        a->spot->line = ar->currentline;
    }
}

// Raises again and again once the time is over, so that no pcall of the scripts can go on.
static void on_load_hook(lua_State *L, lua_Debug *ar) {
    lua_pushlightuserdata(L, &load_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    mg_lua_app *a = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (ar->event == LUA_HOOKLINE) {
        keep_spot(a, L, ar);
    } else if (*a->give_up || (a->load_ms > 0 && mg_monotonic_ms() > a->load_until_ms) ||
               (a->load_cpu_ms > 0 && mg_thread_ms() > a->load_cpu_until_ms)) {
        end_load(a, L);
    }
}

// Compiled code obeys no hooks: everything is interpreted until the app serves.
static void bound_load(mg_lua_app *a, uint64_t load_ms, uint64_t cpu_ms) {
    luaJIT_setmode(a->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    a->load_ms = load_ms;
    a->load_until_ms = mg_monotonic_ms() + load_ms;
    a->load_cpu_ms = cpu_ms;
    a->load_cpu_until_ms = mg_thread_ms() + cpu_ms;
    lua_pushlightuserdata(a->L, &load_key);
    lua_pushlightuserdata(a->L, a);
    lua_rawset(a->L, LUA_REGISTRYINDEX);
    lua_sethook(a->L, on_load_hook, LUA_MASKCOUNT, LOAD_STEP);
}

// Workers, and the scripts of a reload, are not to draw the same numbers.
static int seed_random(lua_State *L) {
    uint32_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) < 0) {
        seed = (uint32_t)mg_monotonic_ms();
    }
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "randomseed");
    lua_pushnumber(L, (lua_Number)seed);
    lua_call(L, 1, 0);
    return 0;
}

static void push_names(lua_State *L, const mg_upstreams_options *o) {
    lua_createtable(L, (int)o->n, 0);
    for (size_t i = 0; i < o->n; i++) {
        lua_pushstring(L, o->items[i].name);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void push_options(mg_lua_app *a, const mg_lua_app_options *o) {
    lua_State *L = a->L;
    lua_createtable(L, 0, 8);
    lua_pushnumber(L, (lua_Number)o->handler_ms / 1000);
    lua_setfield(L, -2, "handler_seconds");
    lua_pushinteger(L, (lua_Integer)o->generation);
    lua_setfield(L, -2, "generation");
    lua_pushinteger(L, (lua_Integer)o->worker);
    lua_setfield(L, -2, "worker");
    lua_pushboolean(L, o->dev);
    lua_setfield(L, -2, "dev");
    lua_pushstring(L, o->record);
    lua_setfield(L, -2, "record");
    lua_pushboolean(L, o->ffi);
    lua_setfield(L, -2, "ffi");
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "serving");
    if (o->upstreams != NULL) {
        push_names(L, o->upstreams);
        lua_setfield(L, -2, "upstreams");
    }
    if (o->snapshot != NULL) {
        mg_lua_push_read(L, o->snapshot);
        lua_setfield(L, -2, "read");
    }
}

// Leaves what boot.load or boot.load_fault returned: the app, or nil and a message.
static int call_load(mg_lua_app *a, const mg_lua_app_options *o) {
    push_boot(a, o->fault != NULL ? "load_fault" : "load");
    lua_pushstring(a->L, o->root);
    lua_pushstring(a->L, o->fault != NULL ? o->fault : o->path);
    push_options(a, o);
    return lua_pcall(a->L, 3, 2, 0);
}

static int load_app(mg_lua_app *a, const mg_lua_app_options *options, mg_error *err) {
    if (a->spot != NULL) {
        lua_sethook(a->L, on_load_hook, LUA_MASKCOUNT | LUA_MASKLINE, LOAD_STEP);
    }
    if (call_load(a, options) != 0) {
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

static int open_state(mg_lua_app *a, mg_loop *loop, const mg_lua_app_options *o, mg_error *err) {
    a->L = mg_lua_state_new(a->snapshot, err);
    if (a->L == NULL) {
        return MG_ELUA;
    }
    mg_vm *vm = a->vm = mg_vm_new(a->L, loop);
    vm->generation = o->generation;
    vm->jobs = o->jobs;
    vm->jobs_arg = o->jobs_arg;
    if (o->services != NULL) {
        vm->services = o->services;
    }
    vm->on_log = o->on_log;
    vm->log_arg = o->log_arg;
    mg_lua_memory_attach(&vm->memory, a->L, o->memory_bytes);
    mg_lua_state_preload(a->L, "moongate.native", open_native, vm);
    if (a->snapshot != NULL) {
        mg_lua_state_part(a->L);
    }
    bound_load(a, o->load_ms, o->load_cpu_ms);
    return lua_cpcall(a->L, seed_random, NULL) == 0 ? require_boot(a, err) : take_error(a->L, err);
}

int mg_lua_app_new(mg_lua_app **out, mg_loop *loop, const mg_lua_app_options *options,
                   mg_error *err) {
    mg_lua_app *a = mg_calloc(1, sizeof *a);
    a->boot_ref = LUA_NOREF;
    a->served_ref = LUA_NOREF;
    a->snapshot = options->snapshot != NULL ? mg_snapshot_ref(options->snapshot) : NULL;
    a->give_up = options->give_up != NULL ? options->give_up : &never;
    a->spot = options->spot;
    int rc = open_state(a, loop, options, err);
    if (rc == MG_OK) {
        rc = load_app(a, options, err);
    }
    if (rc != MG_OK && a->late[0] != '\0') {
        rc = mg_error_set(err, MG_ELUA, "%s", a->late);
    }
    a->give_up = &never; // it may be gone when the state is closed
    if (rc != MG_OK) {
        mg_lua_app_free(a);
        a = NULL;
    } else {
        lua_sethook(a->L, NULL, 0, 0);
    }
    *out = a;
    return rc;
}

void mg_lua_app_attach(mg_lua_app *a) {
    mg_vm_attach(a->vm);
}

void mg_lua_app_sever(mg_lua_app *a) {
    mg_timer_stop(&a->retire_timer);
    mg_vm_sever(a->vm);
}

static int close_boot(lua_State *L) {
    mg_lua_app *a = lua_touserdata(L, 1);
    bound_load(a, CLOSE_MS, 0);
    push_boot(a, "close");
    lua_call(L, a->served_ref != LUA_NOREF, 0);
    return 0;
}

// Those of scripts, as long as that can be ended: within lua_close no hook reaches them.
static void run_finalizers(mg_lua_app *a) {
    if (a->boot_ref == LUA_NOREF) {
        return;
    }
    luaJIT_setmode(a->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    lua_cpcall(a->L, close_boot, a);
    lua_sethook(a->L, NULL, 0, 0);
    lua_settop(a->L, 0);
}

void mg_lua_app_free(mg_lua_app *a) {
    if (a == NULL) {
        return;
    }
    mg_timer_stop(&a->retire_timer);
    if (a->vm != NULL) {
        mg_vm_sever(a->vm);
    }
    if (a->L != NULL) {
        lua_sethook(a->L, NULL, 0, 0);
        if (a->vm != NULL) {
            mg_lua_memory_detach(&a->vm->memory);
        }
        run_finalizers(a);
        lua_close(a->L);
    }
    mg_vm_free(a->vm);
    mg_snapshot_unref(a->snapshot);
    mg_free(a);
}

mg_app *mg_lua_app_seam(mg_lua_app *a) {
    return mg_vm_seam(a->vm);
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

static void on_unpinned(void *arg) {
    mg_lua_app *a = arg;
    a->vm->front.pins.on_none = NULL;
    a->on_done(a->done_arg);
}

// What others than the scripts still answer holds the generation's routes.
static int tell_done(lua_State *L) {
    mg_lua_app *a = lua_touserdata(L, lua_upvalueindex(1));
    mg_pins *pins = &a->vm->front.pins;
    if (pins->count == 0) {
        a->on_done(a->done_arg);
    } else {
        pins->arg = a;
        pins->on_none = on_unpinned;
    }
    return 0;
}

// Calls the function that was pushed with its `n` arguments.
static void finish_call(mg_lua_app *a, const char *name, int n) {
    if (lua_pcall(a->L, n, 0, 0) != 0) {
        fprintf(stderr, "moongate: boot.%s failed: %s\n", name, lua_tostring(a->L, -1));
        lua_pop(a->L, 1);
    }
    mg_loop_turn_soon(a->vm->loop);
}

static void push_callback(mg_lua_app *a, lua_CFunction callback) {
    lua_pushlightuserdata(a->L, a);
    lua_pushcclosure(a->L, callback, 1);
}

void mg_lua_app_commit(mg_lua_app *a) {
    luaJIT_setmode(a->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
    push_boot(a, "commit");
    finish_call(a, "commit", 1);
    if (a->snapshot != NULL) {
        mg_snapshot_rest(a->snapshot);
    }
}

// Lua counts the requests that it has seen: the queue must be empty first.
static void retire(mg_timer *t) {
    mg_lua_app *a = MG_OF(t, mg_lua_app, retire_timer);
    if (!mg_link_alone(&a->vm->requests)) {
        mg_timer_start(a->vm->loop, t, 1, 0, retire);
        return;
    }
    push_boot(a, "retire");
    lua_pushnumber(a->L, (lua_Number)a->drain_ms / 1000);
    push_callback(a, tell_done);
    finish_call(a, "retire", 3);
}

void mg_lua_app_retire(mg_lua_app *a, uint64_t drain_ms, void (*on_done)(void *arg), void *arg) {
    a->drain_ms = drain_ms;
    a->on_done = on_done;
    a->done_arg = arg;
    mg_timer_start(a->vm->loop, &a->retire_timer, 1, 0, retire);
}

void mg_lua_app_evict(mg_lua_app *a) {
    mg_front_evict(&a->vm->front);
    push_boot(a, "evict");
    finish_call(a, "evict", 1);
}

mg_lua_pins mg_lua_app_pins(mg_lua_app *a) {
    mg_lua_pins pins = {0};
    push_boot(a, "pins");
    if (lua_pcall(a->L, 1, 3, 0) != 0) {
        lua_pop(a->L, 1);
        return pins;
    }
    pins.requests = (uint32_t)lua_tointeger(a->L, -3) + mg_front_apart(&a->vm->front);
    pins.streams = (uint32_t)lua_tointeger(a->L, -2);
    pins.background = (uint32_t)lua_tointeger(a->L, -1);
    lua_pop(a->L, 3);
    return pins;
}

void mg_lua_app_start(mg_lua_app *a, void (*on_ready)(void *arg, const char *message), void *arg) {
    uint64_t now = mg_monotonic_ms();
    a->on_ready = on_ready;
    a->ready_arg = arg;
    push_boot(a, "start");
    push_callback(a, tell_ready);
    if (a->load_ms > 0) { // what loading has left of it
        lua_pushnumber(a->L, (lua_Number)a->load_ms / 1000);
        lua_pushnumber(a->L,
                       now < a->load_until_ms ? (lua_Number)(a->load_until_ms - now) / 1000 : 0);
    }
    finish_call(a, "start", a->load_ms > 0 ? 4 : 2);
}

void mg_lua_app_stop(mg_lua_app *a, uint64_t work_ms, uint64_t stop_ms,
                     void (*on_stopped)(void *arg), void *arg) {
    a->on_stopped = on_stopped;
    a->stopped_arg = arg;
    push_boot(a, "stop");
    push_callback(a, tell_stopped);
    lua_pushnumber(a->L, (lua_Number)work_ms / 1000);
    lua_pushnumber(a->L, (lua_Number)stop_ms / 1000);
    finish_call(a, "stop", 4);
}

void mg_lua_app_announce_stop(mg_lua_app *a) {
    push_boot(a, "announce");
    finish_call(a, "announce", 1);
}

typedef struct evaluation {
    void (*reply)(void *arg, bool ok, mg_str text);
    void *arg;
} evaluation;

static int tell_evaluated(lua_State *L) {
    evaluation *e = lua_touserdata(L, lua_upvalueindex(1));
    size_t n = 0;
    const char *text = luaL_checklstring(L, 2, &n);
    e->reply(e->arg, lua_toboolean(L, 1), (mg_str){text, n});
    return 0;
}

void mg_lua_app_evaluate(mg_lua_app *a, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                         void *arg) {
    push_boot(a, "evaluate");
    mg_lua_push_str(a->L, code);
    evaluation *e = lua_newuserdata(a->L, sizeof *e);
    *e = (evaluation){reply, arg};
    lua_pushcclosure(a->L, tell_evaluated, 1);
    finish_call(a, "evaluate", 3);
}

// Calls what push_boot and `arguments` have pushed, which gives a text.
static void append_text(mg_lua_app *a, int arguments, mg_buf *out) {
    if (lua_pcall(a->L, 1 + arguments, 1, 0) == 0) {
        mg_str text = mg_lua_str(a->L, -1);
        mg_buf_append_str(out, text);
    } else {
        fprintf(stderr, "moongate: %s\n", lua_tostring(a->L, -1));
    }
    lua_pop(a->L, 1);
}

void mg_lua_app_print_routes(mg_lua_app *a, mg_buf *out) {
    push_boot(a, "routes");
    append_text(a, 0, out);
}

void mg_lua_app_print_streams(mg_lua_app *a, mg_buf *out) {
    push_boot(a, "streams");
    append_text(a, 0, out);
}

void mg_lua_app_explain(mg_lua_app *a, const char *method, const char *target, uint64_t body_bytes,
                        mg_buf *out) {
    push_boot(a, "explain");
    lua_pushstring(a->L, method);
    lua_pushstring(a->L, target);
    lua_pushnumber(a->L, (lua_Number)body_bytes);
    append_text(a, 3, out);
}

size_t mg_lua_app_memory(const mg_lua_app *a) {
    return a->vm->memory.used;
}

void mg_lua_app_pace(mg_lua_app *a, bool busy) {
    mg_lua_memory_pace(&a->vm->memory, busy);
}

void mg_lua_app_rest(mg_lua_app *a) {
    mg_lua_memory_rest(&a->vm->memory, mg_loop_now_ms(a->vm->loop));
}
