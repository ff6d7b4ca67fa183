// Time, the log and the call site: time.lua, log.lua and future.lua call these.

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/missing.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

typedef struct sleep_op {
    mg_op op;
    mg_timer timer;
} sleep_op;

// --- time ---

static void on_sleep_over(mg_timer *t) {
    mg_op_finish(&MG_OF(t, sleep_op, timer)->op);
}

static int push_sleep(lua_State *L, mg_op *op) {
    (void)op;
    lua_pushboolean(L, 1);
    return 1;
}

static void cancel_sleep(mg_op *op) {
    mg_timer_stop(&((sleep_op *)op)->timer);
}

static void release_sleep(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind sleep_kind = {"sleep", push_sleep, cancel_sleep, release_sleep};

// sleep(seconds, for the framework) -> operation
static int runtime_sleep(lua_State *L) {
    double us = ceil(luaL_checknumber(L, 1) * 1e6 - 1e-3);
    mg_vm *vm = lua_toboolean(L, 2) ? mg_vm_of(L) : mg_vm_with_room(L);
    if (vm->ops.used >= MG_SLOTS_MAX) {
        return luaL_error(L, "the framework has too many timers");
    }
    sleep_op *s = mg_calloc(1, sizeof *s);
    mg_op_start(vm, &s->op, &sleep_kind);
    mg_timer_start_exact(vm->loop, &s->timer, us > 0 ? (uint64_t)us : 0, on_sleep_over);
    lua_pushnumber(L, (lua_Number)s->op.handle);
    return 1;
}

static int runtime_now(lua_State *L) {
    lua_pushnumber(L, (lua_Number)mg_loop_now_us(mg_vm_of(L)->loop) / 1e6);
    return 1;
}

static int runtime_wall(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    struct timespec t;
    if (vm->attached) {
        lua_pushnumber(L, (lua_Number)mg_loop_wall_ms(vm->loop) / 1e3);
    } else { // another thread loads the scripts: the loop is out of bounds
        clock_gettime(CLOCK_REALTIME, &t);
        lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)(t.tv_nsec / 1000000) / 1e3);
    }
    return 1;
}

// --- log ---

enum { LOG_FIELDS = 32 };

// Reads { key, value, literal, key, value, literal, ... } at `index`; the texts stay where they are
// in Lua.
static size_t read_log_fields(lua_State *L, int index, mg_log_field *out) {
    size_t n = lua_istable(L, index) ? lua_objlen(L, index) / 3 : 0;
    n = n < LOG_FIELDS ? n : LOG_FIELDS;
    luaL_checkstack(L, (int)n * 2 + 4, "log");
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (int)i * 3 + 1);
        lua_rawgeti(L, index, (int)i * 3 + 2);
        lua_rawgeti(L, index, (int)i * 3 + 3);
        out[i] =
            (mg_log_field){mg_lua_check_str(L, -3), mg_lua_check_str(L, -2), lua_toboolean(L, -1)};
        lua_pop(L, 1);
    }
    return n;
}

static mg_log_level check_level(lua_State *L, int index) {
    lua_Integer level = luaL_checkinteger(L, index);
    luaL_argcheck(L, level >= MG_LOG_DEBUG && level <= MG_LOG_ERROR, index,
                  "a level from 0 (debug) to 3 (error) is wanted");
    return (mg_log_level)level;
}

// log(level, message, fields); level 0 debug to 3 error
static int runtime_log(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_log_field fields[LOG_FIELDS];
    mg_log_event event = {
        .level = check_level(L, 1),
        .message = mg_lua_check_str(L, 2),
        .wall_ms = vm->attached ? mg_loop_wall_ms(vm->loop) : 0,
        .fields = fields,
        .field_count = read_log_fields(L, 3, fields),
    };
    if (vm->on_log != NULL) {
        vm->on_log(vm->log_arg, &event);
    } else if (event.level >= MG_LOG_WARN) {
        fprintf(stderr, "%.*s\n", (int)event.message.n, event.message.p);
    }
    return 0;
}

// --- jobs, the process ---

// job_begin(name, each_worker, seconds, where) -> may it run now; job_end(name) follows each that
// may.
static int runtime_job_begin(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    const mg_vm_job job = {
        .name = mg_lua_check_str(L, 1),
        .each_worker = lua_toboolean(L, 2),
        .seconds = luaL_checknumber(L, 3),
        .where = mg_lua_check_str(L, 4),
    };
    lua_pushboolean(L, vm->jobs == NULL || vm->jobs->begin(vm->jobs_arg, vm, &job));
    return 1;
}

// job_wait(name, seconds) -> seconds until its next tick: less than a period behind a reload.
static int runtime_job_wait(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    double seconds = luaL_checknumber(L, 2);
    lua_pushnumber(L, vm->jobs == NULL
                          ? seconds
                          : vm->jobs->wait(vm->jobs_arg, vm, mg_lua_check_str(L, 1), seconds));
    return 1;
}

// job_claim(name): it is declared, and runs once a service
static int runtime_job_claim(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    if (vm->jobs != NULL) {
        vm->jobs->claim(vm->jobs_arg, vm, mg_lua_check_str(L, 1));
    }
    return 0;
}

static int runtime_job_end(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    if (vm->jobs != NULL) {
        vm->jobs->end(vm->jobs_arg, vm, mg_lua_check_str(L, 1));
    }
    return 0;
}

static int runtime_pid(lua_State *L) {
    lua_pushinteger(L, getpid());
    return 1;
}

// deeper(): a function of C is about to call a script. How deep that would be, if it is too deep;
// else nothing.
static int runtime_deeper(lua_State *L) {
    mg_depth *depth = &((mg_vm *)lua_touserdata(L, lua_upvalueindex(1)))->depth;
    if (mg_depth_enter(depth)) {
        return 0;
    }
    lua_pushnumber(L, depth->count);
    return 1;
}

// finalize(fn, object): calls fn(object). No await crosses a function of C.
static int runtime_finalize(lua_State *L) {
    lua_settop(L, 2);
    lua_call(L, 1, 0);
    return 0;
}

// --- the caller's place ---

// where(level) -> source, line of the function at that level of the stack: cheap enough for every
// Future.
static int runtime_where(lua_State *L) {
    lua_Debug ar;
    if (!lua_getstack(L, (int)luaL_checkinteger(L, 1), &ar) || !lua_getinfo(L, "Sl", &ar)) {
        return 0;
    }
    const char *source = ar.source[0] == '@' || ar.source[0] == '=' ? ar.source + 1 : ar.short_src;
    lua_pushstring(L, source);
    lua_pushinteger(L, ar.currentline);
    return 2;
}

// --- Futures ---

// bind_future(class): what instances have as metatable
static int runtime_bind_future(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mg_missing_keep(L);
    return 0;
}

// missing(future, place) -> "a Future made at lua/app.lua:5 (read_file): :await() is missing"
static int runtime_missing(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    mg_missing_push_made(L, 1, luaL_optstring(L, 2, NULL));
    return 1;
}

void mg_bind_runtime(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"sleep", runtime_sleep},
        {"now", runtime_now},
        {"wall", runtime_wall},
        {"log", runtime_log},
        {"where", runtime_where},
        {"job_begin", runtime_job_begin},
        {"job_end", runtime_job_end},
        {"job_wait", runtime_job_wait},
        {"job_claim", runtime_job_claim},
        {"pid", runtime_pid},
        {"finalize", runtime_finalize},
        {"deeper", runtime_deeper},
        {"bind_future", runtime_bind_future},
        {"missing", runtime_missing},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
