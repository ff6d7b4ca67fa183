#include "lua/vm.h"

#include "base/mem.h"
#include "lua/bind_router.h"
#include "lua/stream.h"

#include <stdio.h>

enum {
    RETRIES = 8,  // turns of a scheduler that does nothing but fail, until C has something new
    METHODS = 64, // more than there are numbers of methods
};

_Static_assert((int)MG_ROUTE_METHODS <= (int)METHODS, "a method is told together with the time");

// Something that happened to an exchange while its handler runs.
typedef struct signal_op {
    mg_op op;
    uint64_t exchange;
    const char *what;
} signal_op;

static const mg_services no_services;

volatile double mg_vm_note[MG_NOTE_LATE + 1];
mg_vm *volatile mg_vm_running;

// --- the turn ---

static bool has_queued(const mg_vm *vm) {
    return !mg_link_alone(&vm->requests) || !mg_link_alone(&vm->events);
}

static void queue_event(mg_vm *vm, mg_op *op) {
    mg_link_append(&vm->events, &op->link);
    mg_vm_note[MG_NOTE_MORE] = 1;
}

static void signal_exchange(mg_vm *vm, uint64_t exchange, const char *what);

void mg_vm_log(const mg_vm *vm, const mg_log_event *event) {
    if (vm->on_log != NULL) {
        vm->on_log(vm->log_arg, event);
    } else {
        fprintf(stderr, "%.*s\n", (int)event->message.n, event->message.p);
    }
}

static void tell_failure(mg_vm *vm, const char *text) {
    char line[256];
    int n = snprintf(line, sizeof line, "the scheduler was interrupted, and goes on: %s", text);
    mg_log_event event = {
        .level = MG_LOG_ERROR,
        .message = {line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1},
        .wall_ms = mg_loop_wall_ms(vm->loop),
    };
    mg_vm_log(vm, &event);
}

// The scheduler itself never raises; memory may have failed it while a result was pushed, or a
// request taken. What it was told of then is told again, or of its end.
static void recover(mg_vm *vm) {
    mg_op *op = vm->telling;
    vm->telling = NULL;
    if (op != NULL) {
        op->untold++;
        mg_link_append(vm->events.next, &op->link); // it is the first
    } else {
        tell_failure(vm, lua_isstring(vm->L, -1) ? lua_tostring(vm->L, -1) : "an error object");
    }
    if (vm->serving != 0) {
        signal_exchange(vm, vm->serving, "lost");
        vm->serving = 0;
    }
    lua_pop(vm->L, 1);
}

static bool run_scheduler(mg_vm *vm) {
    mg_vm *outer = mg_vm_running;
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, vm->turn_ref);
    mg_vm_running = vm;
    bool good = lua_pcall(vm->L, 0, 0, 0) == 0;
    mg_vm_running = outer;
    vm->serving = good ? 0 : vm->serving;
    return good;
}

static void on_turn(mg_turn *turn) {
    mg_vm *vm = MG_OF(turn, mg_vm, turn);
    if ((!vm->wanted && !has_queued(vm)) || vm->turn_ref == LUA_NOREF) {
        return;
    }
    vm->wanted = false;
    mg_link *l;
    while ((l = mg_link_shift(&vm->later)) != NULL) {
        mg_link_append(&vm->events, l);
    }
    mg_vm_note[MG_NOTE_LATE] = 0;
    if (run_scheduler(vm)) {
        vm->failures = 0;
    } else {
        recover(vm);
        if (++vm->failures <= RETRIES) { // somebody may stand ready behind what failed
            vm->wanted = true;
            mg_loop_turn_soon(vm->loop);
        }
    }
    mg_lua_memory_tend(&vm->memory, mg_loop_now_ms(vm->loop));
}

// --- the seam: record, do not act ---

static void on_request(mg_app *app, mg_exchange *x) {
    mg_vm *vm = (mg_vm *)app;
    mg_link_append(&vm->requests,
                   &x->app_link); // maybe within a turn: an answer lets the next come
    mg_vm_note[MG_NOTE_MORE] = 1;
}

static bool is_waiting(const mg_op *op) {
    return mg_link_alone(&op->link);
}

// The operation stays in its slot until it is told: the exchange may be lost before that.
static void on_body(mg_app *app, mg_exchange *x) {
    (void)app;
    mg_request_state *r = mg_request_of(x);
    if (r->body_op != NULL && is_waiting(&r->body_op->op) && r->body_op->is_ready(r->body_op)) {
        mg_op_finish(&r->body_op->op);
    }
}

static void finish_write(mg_request_state *r) {
    mg_request_op *o = r->write_op;
    r->write_op = NULL;
    if (o != NULL) {
        mg_op_finish(&o->op);
    }
}

static void on_writable(mg_app *app, mg_exchange *x) {
    (void)app;
    finish_write(mg_request_of(x));
}

static void lose(mg_request_op *o) {
    if (o->on_lost != NULL) {
        o->on_lost(o);
    }
    o->x = NULL;
}

// The exchange is over: whatever waits for it learns that, and forgets it.
static void fail_waiting(mg_request_state *r) {
    mg_request_op *body = r->body_op;
    r->body_op = NULL;
    if (body != NULL) {
        lose(body);
        if (is_waiting(&body->op)) {
            mg_op_finish(&body->op);
        }
    }
    if (r->write_op != NULL) {
        lose(r->write_op);
    }
    finish_write(r);
}

static void on_deadline(mg_app *app, mg_exchange *x) {
    mg_vm *vm = (mg_vm *)app;
    if (!mg_link_alone(&x->app_link)) {
        return; // still in the queue: it will be looked at in this very turn
    }
    signal_exchange(vm, x->app_handle, "deadline");
}

void mg_vm_tell_gone(mg_vm *vm, uint64_t handle, mg_gone why) {
    static const char *const names[] = {[MG_GONE_CLIENT] = "closed", [MG_GONE_STOP] = "stop"};
    signal_exchange(vm, handle, names[why]);
    mg_slots_remove(&vm->exchanges, handle); // requests are told after signals
}

static void on_gone(mg_app *app, mg_exchange *x, mg_gone why) {
    mg_vm *vm = (mg_vm *)app;
    if (!mg_link_alone(&x->app_link)) {
        mg_link_remove(&x->app_link); // nobody has seen it yet
        return;
    }
    mg_vm_tell_gone(vm, x->app_handle, why);
    fail_waiting(mg_request_of(x));
}

static void on_stream(mg_app *app, mg_conn *c) {
    mg_vm_take_stream((mg_vm *)app, c);
}

// --- signals, as operations that nobody started ---

static int push_signal(lua_State *L, mg_op *op) {
    const signal_op *s = (const signal_op *)op;
    lua_pushnumber(L, (lua_Number)s->exchange);
    lua_pushstring(L, s->what);
    return 2;
}

static void release_plain(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind signal_kind = {"signal", push_signal, NULL, release_plain};

static void signal_exchange(mg_vm *vm, uint64_t exchange, const char *what) {
    signal_op *s = mg_calloc(1, sizeof *s);
    s->exchange = exchange;
    s->what = what;
    mg_vm_tell(vm, &s->op, &signal_kind, MG_EVENT_SIGNAL);
}

void mg_vm_tell(mg_vm *vm, mg_op *op, const mg_op_kind *kind, int event) {
    op->kind = kind;
    op->event = event;
    op->vm = vm;
    queue_event(vm, op);
}

// --- operations ---

void mg_op_start(mg_vm *vm, mg_op *op, const mg_op_kind *kind) {
    op->kind = kind;
    op->vm = vm;
    mg_link_init(&op->link);
    op->handle = mg_slots_add(&vm->ops, op);
}

void mg_op_finish(mg_op *op) {
    queue_event(op->vm, op);
}

void mg_op_finish_later(mg_op *op) {
    mg_link_append(&op->vm->later, &op->link);
    op->vm->wanted = true;
    mg_loop_turn_soon(op->vm->loop);
}

// Takes an operation out without telling anybody.
static void drop(mg_op *op) {
    if (mg_link_alone(&op->link)) {
        op->kind->cancel(op);
    }
    mg_slots_remove(&op->vm->ops, op->handle);
    mg_link_remove(&op->link);
    op->kind->release(op);
}

// --- life ---

mg_vm *mg_vm_new(lua_State *L, mg_loop *loop) {
    mg_vm *vm = mg_calloc(1, sizeof *vm);
    vm->app = (mg_app){on_request, on_body, on_writable, on_deadline, on_gone, on_stream};
    mg_front_init(&vm->front, &vm->app);
    vm->L = L;
    vm->loop = loop;
    vm->services = &no_services;
    vm->turn_ref = LUA_NOREF;
    vm->router_ref = LUA_NOREF;
    vm->limit_ref = LUA_NOREF;
    mg_link_init(&vm->requests);
    mg_link_init(&vm->events);
    mg_link_init(&vm->later);
    mg_link_init(&vm->holds);
    vm->turn.run = on_turn;
    return vm;
}

void mg_vm_attach(mg_vm *vm) {
    vm->attached = true;
    vm->depth.count = 0; // another thread's
    mg_loop_add_turn(vm->loop, &vm->turn);
    if (vm->wanted) {
        mg_loop_turn_soon(vm->loop);
    }
}

void mg_vm_sever(mg_vm *vm) {
    if (vm->severed) {
        return;
    }
    if (vm->attached) {
        mg_loop_remove_turn(&vm->turn);
    }
    for (uint32_t i = 0; i < vm->ops.count; i++) {
        mg_op *op = vm->ops.slots[i].item;
        if (op != NULL) {
            drop(op);
        }
    }
    while (!mg_link_alone(&vm->holds)) {
        mg_vm_hold *h = MG_OF(vm->holds.next, mg_vm_hold, link);
        h->drop(h);
    }
    mg_link *l;
    while ((l = mg_link_shift(&vm->events)) != NULL) {
        mg_op *op = MG_OF(l, mg_op, link);
        op->kind->release(op); // signals: operations went with their handles
    }
    vm->severed = true;
    vm->depth.count = 0; // another thread may close the state
}

void mg_vm_free(mg_vm *vm) {
    if (vm == NULL) {
        return;
    }
    mg_vm_sever(vm);
    mg_slots_deinit(&vm->exchanges);
    mg_slots_deinit(&vm->ops);
    mg_slots_deinit(&vm->streams);
    mg_slots_deinit(&vm->remotes);
    mg_front_deinit(&vm->front);
    mg_buf_deinit(&vm->json);
    mg_depth_deinit(&vm->depth);
    mg_free(vm);
}

// --- requests ---

mg_exchange *mg_vm_exchange(lua_State *L, mg_vm *vm, int index) {
    return mg_slots_get(&vm->exchanges, (uint64_t)lua_tonumber(L, index));
}

void mg_vm_release_exchange(mg_vm *vm, mg_exchange *x) {
    mg_request_drop_relay(x);
    fail_waiting(mg_request_of(x));
    mg_slots_remove(&vm->exchanges, x->app_handle);
}

void mg_vm_part_with_exchange(mg_vm *vm, mg_exchange *x) {
    fail_waiting(mg_request_of(x));
    mg_slots_reserve(&vm->exchanges, x->app_handle);
}

void mg_vm_forget(mg_vm *vm, uint64_t handle) {
    mg_slots_remove(&vm->exchanges, handle);
}

// Pushes the kind, handle, route id (0: none), without a route the set of methods that its path
// has, with one whether its handler is not to run (1) because the body is refused, the time and the
// method as one number (core/request/slots.lua), and the route's parameters if it has any: whoever
// wrote the route reads them, and a call back into C would cost more than they do. Nothing if the
// server has answered instead: there is no memory for a script that would.
static int push_request(lua_State *L, mg_vm *vm, mg_exchange *x) {
    if (!mg_lua_memory_has_room(&vm->memory, mg_loop_now_ms(vm->loop))) {
        mg_exchange_refuse(x, (mg_refusal){503, "the scripts' memory is used up", 1});
        return 0;
    }
    mg_request_state *r = mg_arena_alloc(&x->arena, sizeof *r);
    *r = (mg_request_state){0};
    x->app_data = r;
    x->app_handle = mg_slots_add(&vm->exchanges, x);
    vm->serving = x->app_handle;
    const mg_routed *routed = x->routed;
    const mg_route_match *match = &routed->match;
    lua_pushinteger(L, MG_EVENT_REQUEST);
    lua_pushnumber(L, (lua_Number)x->app_handle);
    lua_pushinteger(L, (lua_Integer)match->id);
    lua_pushnumber(L, match->id == 0 ? (lua_Number)match->allowed : routed->refused);
    lua_pushnumber(L, (lua_Number)(mg_loop_now_ms(vm->loop) * METHODS + routed->method));
    if (match->id == 0 || match->count == 0) {
        return 5;
    }
    mg_push_params(L, routed->router, match);
    return 6;
}

// Its result finds no room: what has come of it makes some before that is told.
static int push_untold(lua_State *L, mg_vm *vm, mg_op *op) {
    lua_pushinteger(L, MG_EVENT_DONE);
    lua_pushnumber(L, (lua_Number)op->handle);
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "memory");
    mg_slots_remove(&vm->ops, op->handle);
    op->kind->release(op);
    mg_lua_memory_collect(&vm->memory, mg_loop_now_ms(vm->loop));
    return 4;
}

// Whatever raises in here does so before the operation is released: see recover.
static int push_event(lua_State *L, mg_vm *vm, mg_op *op) {
    int event = op->event;
    if (event == 0 && op->untold >= 2) {
        return push_untold(L, vm, op);
    }
    int before = lua_gettop(L);
    lua_pushinteger(L, event != 0 ? event : MG_EVENT_DONE);
    if (event == 0) {
        lua_pushnumber(L, (lua_Number)op->handle);
    }
    vm->telling = op;
    int n = op->kind->push(L, op);
    vm->telling = NULL;
    if (n == MG_OP_MORE) {
        lua_settop(L, before);
        mg_op_finish_later(op);
        return 0;
    }
    bool told = event == 0 || n > 0;
    mg_slots_remove(&vm->ops, op->handle);
    op->kind->release(op);
    return told ? lua_gettop(L) - before : 0;
}

static int push_next(lua_State *L, mg_vm *vm) {
    for (;;) {
        mg_link *l = mg_link_shift(&vm->events);
        int n;
        if (l != NULL) {
            n = push_event(L, vm, MG_OF(l, mg_op, link));
        } else {
            l = mg_link_shift(&vm->requests);
            if (l == NULL) {
                return 0;
            }
            n = push_request(L, vm, MG_OF(l, mg_exchange, app_link));
        }
        if (n > 0) {
            return n;
        }
    }
}

// next_event() -> kind, ...: see sched.lua. Nothing: the queues are empty.
static int next_event(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    vm->serving = 0;
    int n = push_next(L, vm);
    mg_vm_note[MG_NOTE_MORE] = has_queued(vm);
    return n;
}

// cancel(op): stops it; it is not told any more. Nothing happens if it has finished already and was
// told.
static int cancel(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_op *op = mg_slots_get(&vm->ops, (uint64_t)luaL_checknumber(L, 1));
    if (op != NULL && op != vm->telling) {
        drop(op);
    }
    return 0;
}

// bind_limit(fn): `fn` raises for whoever begins one operation too many.
static int bind_limit(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_unref(L, LUA_REGISTRYINDEX, vm->limit_ref);
    lua_pushvalue(L, 1);
    vm->limit_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

mg_vm *mg_vm_with_room(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    if (__builtin_expect(vm->ops.used >= MG_OPS_MAX, 0)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, vm->limit_ref);
        lua_pushinteger(L, MG_OPS_MAX);
        lua_call(L, 1, 0);
        luaL_error(L, "more than %d operations are under way", MG_OPS_MAX);
    }
    return vm;
}

// bind_turn(fn): `fn` is called once in each turn that has something for it.
static int bind_turn(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_unref(L, LUA_REGISTRYINDEX, vm->turn_ref);
    lua_pushvalue(L, 1);
    vm->turn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

// turn_soon(): there is work left; the next turn comes without waiting.
static int turn_soon(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    vm->wanted = true;
    if (vm->attached) {
        mg_loop_turn_soon(vm->loop);
    }
    return 0;
}

// note_address() -> where mg_vm_note lies.
static int note_address(lua_State *L) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)mg_vm_note);
    return 1;
}

// coroutine_address(coroutine) -> a number, for mg_vm_note: addresses have at most 52 bits.
static int coroutine_address(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTHREAD);
    lua_pushnumber(L, (lua_Number)(uintptr_t)lua_tothread(L, 1));
    return 1;
}

// is_short() -> memory was refused in this turn.
static int is_short(lua_State *L) {
    lua_pushboolean(L, mg_lua_memory_is_short(&mg_vm_of(L)->memory));
    return 1;
}

// make_room(): collects what a task has left that found no memory.
static int make_room(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_lua_memory_make_room(&vm->memory, mg_loop_now_ms(vm->loop));
    return 0;
}

// is_ended() -> the running coroutine is being made to fail.
static int is_ended(lua_State *L) {
    lua_pushboolean(L, mg_vm_of(L)->stall[0] != '\0');
    return 1;
}

// take_stall() -> why the coroutine that failed was made to fail; nil: it failed by itself.
static int take_stall(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    if (vm->stall[0] == '\0') {
        return 0;
    }
    lua_pushstring(L, vm->stall);
    vm->stall[0] = '\0';
    return 1;
}

void mg_vm_register(lua_State *L, mg_vm *vm, const luaL_Reg *functions) {
    for (; functions->name != NULL; functions++) {
        lua_pushlightuserdata(L, vm);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
}

void mg_bind_vm(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"next_event", next_event},     {"cancel", cancel},
        {"bind_turn", bind_turn},       {"turn_soon", turn_soon},
        {"note_address", note_address}, {"coroutine_address", coroutine_address},
        {"take_stall", take_stall},     {"is_ended", is_ended},
        {"is_short", is_short},         {"make_room", make_room},
        {"bind_limit", bind_limit},     {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
