// Redis for scripts: lua/moongate/redis.lua calls these. Its pub/sub is bind_redis_listen.c.
//
// A request is an operation of one command or of several. A lease, which stands for a connection
// that a watch has for itself, is an operation that never finishes: it is cancelled, and with it
// what it runs.

#include "lua/bind_redis.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/number_text.h"
#include "lua/redis_values.h"
#include "lua/scratch.h"

#include <stdio.h>

enum { SLICE_VALUES = 2000 }; // made in one turn

typedef enum shape {
    ONE,         // the reply
    ALL,         // a list of all replies
    TRANSACTION, // of MULTI and EXEC: the list that EXEC gives
} shape;

typedef struct lease_op {
    mg_op op;
    mg_redis *redis;
    mg_redis_conn *conn; // NULL: it has ended
    mg_link requests;
    bool dirty; // something is under way there, or was lost
} lease_op;

typedef struct request_op {
    mg_op op;
    mg_redis_request q; // through the service
    mg_redis_call call; // on a lease
    lease_op *lease;    // NULL: through the service
    mg_link of_lease;
    bool under_way;
    shape shape;
    uint32_t count, got;
    mg_redis_kept *replies;
    const char *reason; // static: a fault; NULL: none
    char *text;
    // the result, which may be made over several turns
    int array;       // of all replies
    uint32_t pushed; // of these
    mg_redis_making *making;
} request_op;

mg_redis *mg_redis_named(const mg_vm *vm, const char *name) {
    const mg_services *services = vm->services;
    for (uint32_t i = 0; i < services->redis_count; i++) {
        if (strcmp(services->redis[i].name, name) == 0) {
            return services->redis[i].redis;
        }
    }
    return NULL;
}

int mg_redis_refuse(lua_State *L, int rc, const char *text) {
    lua_pushnil(L);
    lua_pushstring(L, rc == MG_ELIMIT ? "limit" : rc == MG_ESYNTAX ? "refused" : "down");
    lua_pushstring(L, text);
    return 3;
}

static int refuse_unknown(lua_State *L) {
    return mg_lua_refuse(L, "unknown");
}

// --- what a request came to ---

static int push_fault(lua_State *L, const char *reason, const char *text) {
    mg_lua_push_failure(L, "redis", text);
    lua_createtable(L, 0, 1);
    mg_lua_set_text(L, "reason", mg_str_of(reason));
    return 4;
}

static int push_error(lua_State *L, const mg_redis_reply *r) {
    mg_str text = mg_redis_text(r, r->values);
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "redis");
    mg_lua_push_str(L, text);
    mg_redis_push_reason(L, text);
    return 4;
}

static int push_lost(lua_State *L) {
    return push_fault(L, "limit", "the reply is larger than max_reply=SIZE in the URL allows");
}

static bool is_error(const mg_redis_reply *r) {
    return r->values[0].type == MG_REDIS_ERROR;
}

static int push_one(lua_State *L, request_op *o, const mg_redis_reply *r) {
    int budget = SLICE_VALUES;
    if (r->count == 0) {
        return push_lost(L);
    }
    if (is_error(r)) {
        return push_error(L, r);
    }
    lua_pushboolean(L, 1);
    return mg_redis_make(L, r, false, &o->making, &budget) ? 2 : MG_OP_MORE;
}

static int push_all(lua_State *L, request_op *o) {
    static const mg_redis_value lost = {.type = MG_REDIS_ERROR, .n = 24, .at = 0};
    static const mg_redis_reply instead = {&lost, 1, "LOST larger than allowed", NULL};
    int budget = SLICE_VALUES;
    lua_pushboolean(L, 1);
    if (o->array == LUA_NOREF) {
        mg_redis_push_array(L, o->count);
        o->array = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, o->array);
    while (o->pushed < o->count && budget > 0) {
        const mg_redis_reply *r = &o->replies[o->pushed].reply;
        if (!mg_redis_make(L, r->count > 0 ? r : &instead, true, &o->making, &budget)) {
            return MG_OP_MORE;
        }
        o->pushed++;
        lua_rawseti(L, -2, (int)o->pushed);
    }
    return o->pushed < o->count ? MG_OP_MORE : 2;
}

// A command that was not accepted says better what is wrong than EXEC does.
static int push_transaction(lua_State *L, request_op *o) {
    const mg_redis_reply *exec = &o->replies[o->count - 1].reply;
    if (mg_redis_is_error(exec, MG_STR("EXECABORT"))) {
        for (uint32_t i = 0; i < o->count; i++) {
            const mg_redis_reply *r = &o->replies[i].reply;
            if (r->count > 0 && is_error(r)) {
                return push_error(L, r);
            }
        }
    }
    return push_one(L, o, exec);
}

static int push_request(lua_State *L, mg_op *op) {
    request_op *o = (request_op *)op;
    if (o->reason != NULL) {
        return push_fault(L, o->reason, o->text);
    }
    switch (o->shape) {
    case ONE:
        return push_one(L, o, &o->replies[0].reply);
    case ALL:
        return push_all(L, o);
    default:
        return push_transaction(L, o);
    }
}

// --- the life of a request ---

static void request_over(request_op *o) {
    o->under_way = false;
    mg_link_remove(&o->of_lease);
    if (o->lease != NULL) {
        o->lease->dirty |= o->reason != NULL;
    }
}

static void take_reply(request_op *o, const mg_redis_reply *r, bool last) {
    mg_redis_keep(r, &o->replies[o->got++]);
    if (last) {
        request_over(o);
        mg_op_finish(&o->op);
    }
}

static void take_fault(request_op *o, const mg_redis_fault *f) {
    o->reason = f->code;
    o->text = mg_strdup(f->text);
    request_over(o);
    mg_op_finish(&o->op);
}

static void on_reply(mg_redis_request *q, uint32_t index, const mg_redis_reply *r, bool last) {
    (void)index;
    take_reply(MG_OF(q, request_op, q), r, last);
}

static void on_fault(mg_redis_request *q, const mg_redis_fault *f) {
    take_fault(MG_OF(q, request_op, q), f);
}

static void on_lease_reply(mg_redis_call *c, const mg_redis_reply *r, uint32_t left) {
    take_reply(MG_OF(c, request_op, call), r, left == 0);
}

static void on_lease_fault(mg_redis_call *c, const mg_redis_fault *f) {
    take_fault(MG_OF(c, request_op, call), f);
}

static void stop_request(request_op *o) {
    if (!o->under_way) {
        return;
    }
    o->reason = "cancelled";
    if (o->lease == NULL) {
        mg_redis_cancel(&o->q);
    } else if (o->call.conn != NULL) {
        mg_redis_call_cancel(&o->call);
    }
    request_over(o);
}

static void cancel_request(mg_op *op) {
    stop_request((request_op *)op);
}

static void release_request(mg_op *op) {
    request_op *o = (request_op *)op;
    luaL_unref(o->op.vm->L, LUA_REGISTRYINDEX, o->array);
    mg_redis_making_free(o->op.vm->L, o->making);
    for (uint32_t i = 0; i < o->got; i++) {
        mg_redis_kept_deinit(&o->replies[i]);
    }
    mg_free(o->replies);
    mg_free(o->text);
    mg_free(o);
}

static const mg_op_kind request_kind = {"redis", push_request, cancel_request, release_request};

static request_op *new_request(uint32_t count, shape as, uint32_t timeout_ms) {
    request_op *o = mg_calloc(1, sizeof *o);
    o->replies = mg_calloc(count, sizeof *o->replies);
    o->count = count;
    o->shape = as;
    o->array = LUA_NOREF;
    o->q = (mg_redis_request){.on_reply = on_reply, .on_fault = on_fault};
    o->q.timeout_ms = timeout_ms;
    o->call.on_reply = on_lease_reply;
    o->call.on_fault = on_lease_fault;
    o->call.timeout_ms = timeout_ms;
    mg_link_init(&o->of_lease);
    return o;
}

static void free_request(request_op *o) {
    mg_free(o->replies);
    mg_free(o);
}

// --- leases ---

static void end_lease(lease_op *l, bool clean) {
    mg_redis_conn *conn = l->conn;
    l->conn = NULL;
    while (!mg_link_alone(&l->requests)) {
        request_op *o = MG_OF(l->requests.next, request_op, of_lease);
        clean = false;
        o->lease = NULL;
        mg_link_remove(&o->of_lease);
        if (o->call.conn != NULL) {
            mg_redis_call_cancel(&o->call);
        }
        o->under_way = false;
        o->reason = "closed";
        o->text = mg_strdup("the transaction has ended");
        mg_op_finish(&o->op);
    }
    if (conn != NULL) {
        mg_redis_give_back(l->redis, conn, clean && !l->dirty);
    }
}

static void cancel_lease(mg_op *op) {
    end_lease((lease_op *)op, false);
}

static void release_lease(mg_op *op) {
    mg_free(op);
}

static const mg_op_kind lease_kind = {"redis lease", NULL, cancel_lease, release_lease};

static lease_op *find_lease(lua_State *L, const mg_vm *vm) {
    lease_op *l = mg_slots_get(&vm->ops, (uint64_t)lua_tonumber(L, 1));
    return l != NULL && l->op.kind == &lease_kind && l->conn != NULL ? l : NULL;
}

static int send_leased(request_op *o, lease_op *l, const mg_redis_command *commands,
                       mg_error *err) {
    mg_buf b = {0};
    for (uint32_t i = 0; i < o->count; i++) {
        mg_redis_write(&b, commands[i].words, commands[i].n);
    }
    int rc = mg_redis_conn_send(l->conn, &o->call, mg_buf_str(&b), o->count);
    mg_buf_deinit(&b);
    if (rc != MG_OK) {
        l->dirty = true;
        return mg_error_set(err, rc, "%s", mg_redis_conn_why(l->conn));
    }
    o->lease = l;
    mg_link_append(&l->requests, &o->of_lease);
    return MG_OK;
}

// --- words ---

// The arguments from `first` on as strings; `words` are theirs while they stay on the stack.
// Returns 0, or the number of the first one that is neither a string nor a number.
static int read_words(lua_State *L, int first, mg_str *words, int n) {
    for (int i = 0; i < n; i++) {
        if (lua_type(L, first + i) != LUA_TSTRING) {
            mg_buf *text = mg_scratch_take(L);
            int rc = mg_number_text(L, first + i, text);
            if (rc == MG_OK) {
                lua_pushlstring(L, text->p, text->n);
                lua_replace(L, first + i);
            }
            mg_scratch_give(L, -1);
            lua_pop(L, 1);
            if (rc != MG_OK) {
                return i + 1;
            }
        }
        words[i] = mg_lua_str(L, first + i);
    }
    return 0;
}

static int refuse_word(lua_State *L, int number) {
    lua_pushnil(L);
    lua_pushliteral(L, "word");
    lua_pushinteger(L, number);
    return 3;
}

static int finish_start(lua_State *L, mg_vm *vm, request_op *o, int rc, const mg_error *err) {
    if (rc != MG_OK) {
        free_request(o);
        return mg_redis_refuse(L, rc, err->text);
    }
    o->under_way = true;
    mg_op_start(vm, &o->op, &request_kind);
    lua_pushnumber(L, (lua_Number)o->op.handle);
    return 1;
}

enum { WORDS_ON_STACK = 16 };

static mg_str *words_room(lua_State *L, mg_str *few, int n) {
    return n <= WORDS_ON_STACK ? few : lua_newuserdata(L, (size_t)n * sizeof *few);
}

static int send_one(lua_State *L, bool alone) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_str few[WORDS_ON_STACK];
    mg_error err = {""};
    int n = lua_gettop(L) - 2;
    mg_redis *redis = mg_redis_named(vm, luaL_checkstring(L, 1));
    if (redis == NULL) {
        return refuse_unknown(L);
    }
    mg_str *words = words_room(L, few, n);
    int wrong = read_words(L, 3, words, n);
    if (wrong > 0) {
        return refuse_word(L, wrong);
    }
    request_op *o = new_request(1, ONE, mg_lua_milliseconds(L, 2));
    o->q.alone = alone;
    const mg_redis_command c = {words, (uint32_t)n};
    return finish_start(L, vm, o, mg_redis_send(redis, &o->q, &c, 1, &err), &err);
}

// redis_command(name, seconds or nil, word, ...) -> operation, or nil and "unknown"; or nil,
// "limit" | "down" | "refused" and a text; or nil, "word" and the number of one that is none
static int command(lua_State *L) {
    return send_one(L, false);
}

// redis_waiting(name, seconds or nil, word, ...): likewise, of a command that waits at the server;
// without seconds it may wait for ever.
static int waiting(lua_State *L) {
    return send_one(L, true);
}

// --- several commands ---

typedef struct several {
    mg_redis_command *commands;
    uint32_t count;
    mg_str *words;
} several;

static void several_deinit(several *s) {
    mg_free(s->commands);
    mg_free(s->words);
}

// The list of lists of strings at `index`, which keeps them; with MULTI and EXEC around it.
static several read_several(lua_State *L, int index, bool transaction) {
    static const mg_str multi = {"MULTI", 5};
    static const mg_str exec = {"EXEC", 4};
    size_t n = lua_objlen(L, index);
    size_t words = 0;
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, index, (int)i);
        words += lua_objlen(L, -1);
        lua_pop(L, 1);
    }
    several s = {.commands = mg_calloc(n + 2, sizeof *s.commands),
                 .words = mg_calloc(words + 1, sizeof *s.words)};
    mg_str *w = s.words;
    if (transaction) {
        s.commands[s.count++] = (mg_redis_command){&multi, 1};
    }
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, index, (int)i);
        size_t of_this = lua_objlen(L, -1);
        s.commands[s.count++] = (mg_redis_command){w, (uint32_t)of_this};
        for (size_t k = 1; k <= of_this; k++) {
            lua_rawgeti(L, -1, (int)k);
            *w++ = mg_lua_str(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    if (transaction) {
        s.commands[s.count++] = (mg_redis_command){&exec, 1};
    }
    return s;
}

static int send_list(lua_State *L, shape as, bool alone) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_error err = {""};
    mg_redis *redis = mg_redis_named(vm, luaL_checkstring(L, 1));
    luaL_checktype(L, 3, LUA_TTABLE);
    if (redis == NULL) {
        return refuse_unknown(L);
    }
    luaL_checkstack(L, 4, "commands");
    several s = read_several(L, 3, as == TRANSACTION);
    request_op *o = new_request(s.count, as, mg_lua_milliseconds(L, 2));
    o->q.alone = alone;
    int rc = mg_redis_send(redis, &o->q, s.commands, s.count, &err);
    several_deinit(&s);
    return finish_start(L, vm, o, rc, &err);
}

// redis_several(name, seconds or nil, list of lists of strings, some of them wait): as
// redis_command, or redis_waiting
static int send_several(lua_State *L) {
    return send_list(L, ALL, lua_toboolean(L, 4));
}

// redis_transaction(name, seconds or nil, list of lists of strings): as redis_command
static int send_transaction(lua_State *L) {
    return send_list(L, TRANSACTION, false);
}

// redis_lease(name, key) -> lease, or nil and why not, as redis_command
static int open_lease(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_error err = {""};
    mg_redis *redis = mg_redis_named(vm, luaL_checkstring(L, 1));
    if (redis == NULL) {
        return refuse_unknown(L);
    }
    mg_str key = mg_lua_check_str(L, 2);
    lease_op *l = mg_calloc(1, sizeof *l);
    l->redis = redis;
    mg_link_init(&l->requests);
    int rc = mg_redis_lease(redis, key, &l->conn, &err);
    if (rc != MG_OK) {
        mg_free(l);
        return mg_redis_refuse(L, rc, err.text);
    }
    mg_op_start(vm, &l->op, &lease_kind);
    lua_pushnumber(L, (lua_Number)l->op.handle);
    return 1;
}

// lease_several(lease, seconds, list of lists of strings, as a transaction, only the first reply)
static int lease_several(lua_State *L) {
    mg_vm *vm = mg_vm_with_room(L);
    mg_error err = {""};
    lease_op *l = find_lease(L, vm);
    bool transaction = lua_toboolean(L, 4);
    luaL_checktype(L, 3, LUA_TTABLE);
    if (l == NULL) {
        return mg_redis_refuse(L, MG_ECLOSED, "the transaction has ended");
    }
    luaL_checkstack(L, 4, "commands");
    several s = read_several(L, 3, transaction);
    shape as = transaction ? TRANSACTION : lua_toboolean(L, 5) ? ONE : ALL;
    uint32_t ms = mg_lua_milliseconds(L, 2);
    ms = ms > 0 ? ms : mg_redis_settings_of(l->redis)->timeout_ms;
    request_op *o = new_request(s.count, as, ms);
    int rc = send_leased(o, l, s.commands, &err);
    several_deinit(&s);
    return finish_start(L, vm, o, rc, &err);
}

// lease_end(lease): it is as it was found
static int lease_end(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    lease_op *l = find_lease(L, vm);
    if (l != NULL) {
        end_lease(l, true);
        mg_slots_remove(&vm->ops, l->op.handle);
        mg_free(l);
    }
    return 0;
}

// --- questions ---

// redis_names() -> list
static int names(lua_State *L) {
    const mg_services *services = mg_vm_of(L)->services;
    lua_createtable(L, (int)services->redis_count, 0);
    for (uint32_t i = 0; i < services->redis_count; i++) {
        lua_pushstring(L, services->redis[i].name);
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static void set_number(lua_State *L, const char *name, uint64_t n) {
    lua_pushnumber(L, (lua_Number)n);
    lua_setfield(L, -2, name);
}

// redis_stats(name) -> table, or nil and "unknown"
static int stats(lua_State *L) {
    const mg_redis *redis = mg_redis_named(mg_vm_of(L), luaL_checkstring(L, 1));
    mg_redis_stats s;
    if (redis == NULL) {
        return refuse_unknown(L);
    }
    mg_redis_read_stats(redis, &s);
    lua_createtable(L, 0, 10);
    mg_lua_set_text(L, "state", mg_str_of(s.state));
    mg_lua_set_text(L, "why", mg_str_of(s.why));
    set_number(L, "connections", s.connections);
    set_number(L, "leased", s.leased);
    set_number(L, "waiting", s.waiting);
    set_number(L, "subscriptions", s.subscriptions);
    set_number(L, "calls", s.calls);
    set_number(L, "faults", s.faults);
    set_number(L, "timeouts", s.timeouts);
    set_number(L, "reconnects", s.reconnects);
    return 1;
}

// redis_errors(metatable): of errors inside of replies
static int errors(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mg_redis_values_open(L);
    return 0;
}

void mg_bind_redis(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"redis_command", command},
        {"redis_waiting", waiting},
        {"redis_several", send_several},
        {"redis_transaction", send_transaction},
        {"redis_lease", open_lease},
        {"lease_several", lease_several},
        {"lease_end", lease_end},
        {"redis_names", names},
        {"redis_stats", stats},
        {"redis_errors", errors},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
    mg_bind_redis_listen(L, vm);
}
