// The shared cache: lua/moongate/cache.lua calls these.
//
// Each but cache_release and cache_stats gives what the operation came to, if it is settled: true
// and a value, or false, a code and a message; else its handle. Its end says the same.

#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind.h"
#include "lua/bind_json.h"
#include "lua/json_values.h"
#include "lua/scratch.h"

#include <errno.h>

// Pushes the value of an operation that went well. False, and nothing is pushed: it did not.
typedef bool (*push_value)(lua_State *L, const mg_cache_result *r);

typedef struct cache_op {
    mg_op op;
    mg_cache_call *call; // NULL: done
    push_value push;
    mg_cache_result result; // its texts are these:
    mg_buf value;
    char *text;
} cache_op;

// --- what an operation came to ---

static bool push_found(lua_State *L, const mg_cache_result *r) {
    if (r->code != MG_OK && r->code != -ENOENT) {
        return false;
    }
    if (r->code == -ENOENT) {
        lua_pushnil(L);
    } else if (r->tag == MG_CACHE_STRING) {
        mg_lua_push_str(L, r->value);
    } else if (mg_json_unpack(L, r->value) != MG_OK) {
        lua_pop(L, 1);
        if (r->tag == MG_CACHE_UNSURE) {
            mg_lua_push_str(L, r->value);
        } else {
            lua_pushnil(L); // scribbled over: as if it were not there
        }
    }
    return true;
}

static bool push_done(lua_State *L, const mg_cache_result *r) {
    if (r->code == MG_OK) {
        lua_pushboolean(L, 1);
    }
    return r->code == MG_OK;
}

// `no`: the code that says no.
static bool push_whether(lua_State *L, const mg_cache_result *r, int no) {
    if (r->code != MG_OK && r->code != no) {
        return false;
    }
    lua_pushboolean(L, r->code == MG_OK);
    return true;
}

static bool push_was_there(lua_State *L, const mg_cache_result *r) {
    return push_whether(L, r, -ENOENT);
}

static bool push_sum(lua_State *L, const mg_cache_result *r) {
    if (r->code == MG_OK) {
        mg_json_push_i64(L, r->sum);
    }
    return r->code == MG_OK;
}

static bool push_leased(lua_State *L, const mg_cache_result *r) {
    return push_whether(L, r, MG_EAGAIN);
}

static int push_fault(lua_State *L, const mg_cache_result *r) {
    switch (r->code) {
    case MG_EAGAIN:
        return mg_lua_push_failure(L, "cache", "busy: the shard of this key is locked");
    case MG_ELIMIT:
        return mg_lua_push_failure(
            L, "limit",
            r->text != NULL
                ? r->text
                : "the key is longer than 1 KiB, or the value is too large: at most 1 MiB, of a "
                  "small cache less");
    case -ERANGE:
        return mg_lua_push_failure(L, "cache", "the sum does not fit into 64 bits");
    case MG_ESYNTAX:
        return mg_lua_push_failure(L, "cache", "the value there is no integer");
    default:
        return mg_lua_push_failure(L, "cache", r->text != NULL ? r->text : mg_strerror(r->code));
    }
}

static inline int push_result(lua_State *L, push_value push, const mg_cache_result *r) {
    lua_pushboolean(L, 1);
    if (push(L, r)) {
        return 2;
    }
    lua_pop(L, 1);
    return push_fault(L, r);
}

static int push_no_cache(lua_State *L) {
    return mg_lua_push_failure(
        L, "cache", "no cache is configured: cache = \"memory:64M\" in the configuration");
}

// --- what is not settled at once ---

static void on_done(void *arg, const mg_cache_result *r) {
    cache_op *o = arg;
    o->call = NULL;
    o->result = *r;
    mg_buf_append_str(&o->value, r->value);
    o->result.value = mg_buf_str(&o->value);
    o->text = r->text != NULL ? mg_strdup(r->text) : NULL;
    o->result.text = o->text;
    mg_op_finish(&o->op);
}

static int push_op(lua_State *L, mg_op *op) {
    const cache_op *o = (const cache_op *)op;
    return push_result(L, o->push, &o->result);
}

static void cancel_op(mg_op *op) {
    cache_op *o = (cache_op *)op;
    if (o->call != NULL) {
        mg_cache_cancel(o->call);
    }
}

static void release_op(mg_op *op) {
    cache_op *o = (cache_op *)op;
    mg_buf_deinit(&o->value);
    mg_free(o->text);
    mg_free(o);
}

static const mg_op_kind op_kind = {"cache", push_op, cancel_op, release_op};

static int push_handle(lua_State *L, push_value push, mg_cache_call *call) {
    mg_vm *vm = mg_vm_of(L);
    if (vm->ops.used >= MG_OPS_MAX) {
        mg_cache_cancel(call);
        mg_vm_with_room(L); // raises
    }
    cache_op *o = mg_calloc(1, sizeof *o);
    o->call = call;
    o->push = push;
    mg_op_start(vm, &o->op, &op_kind);
    mg_cache_await(call, on_done, o);
    lua_pushnumber(L, (lua_Number)o->op.handle);
    return 1;
}

// "down" instead of "cache" where it was not even asked: cached goes on without it.
static int push_down(lua_State *L, const mg_cache_result *r) {
    return mg_lua_push_failure(L, "down", r->text);
}

static inline int push_outcome(lua_State *L, push_value push, mg_cache_call *call,
                               const mg_cache_result *r) {
    if (call == NULL && r->code == MG_ECLOSED) {
        return push_down(L, r);
    }
    return call == NULL ? push_result(L, push, r) : push_handle(L, push, call);
}

// --- functions ---

static uint64_t ttl_at(lua_State *L, int index) {
    double ms = luaL_optnumber(L, index, 0) * 1000;
    return ms <= 0 ? 0 : ms < 1 ? 1 : (uint64_t)ms;
}

static mg_cache *cache_of(lua_State *L) {
    return mg_vm_of(L)->services->cache;
}

// cache_get(key): the value, or nil
static int cache_get(lua_State *L) {
    mg_cache *c = cache_of(L);
    mg_cache_result r;
    if (c == NULL) {
        return push_no_cache(L);
    }
    mg_str key = mg_lua_check_str(L, 1);
    lua_settop(L, 1);
    mg_cache_call *call = mg_cache_get(c, key, mg_scratch_take(L), &r);
    int n = push_outcome(L, push_found, call, &r);
    mg_scratch_give(L, 2);
    return n;
}

// cache_set(key, value, ttl): true
static int cache_set(lua_State *L) {
    mg_cache *c = cache_of(L);
    mg_cache_entry e = {
        .key = mg_lua_check_str(L, 1), .tag = MG_CACHE_STRING, .ttl_ms = ttl_at(L, 3)};
    mg_cache_result r;
    if (c == NULL) {
        return push_no_cache(L);
    }
    lua_settop(L, 3);
    mg_buf *packed = mg_scratch_take(L);
    if (lua_type(L, 2) == LUA_TSTRING) {
        e.value = mg_lua_str(L, 2);
    } else if (mg_json_pack(L, 2, packed) == MG_OK) {
        e.value = mg_buf_str(packed);
        e.tag = MG_CACHE_JSON;
    } else {
        mg_scratch_give(L, 4);
        return mg_lua_push_failure(L, "json", lua_tostring(L, -1));
    }
    mg_cache_call *call = mg_cache_set(c, &e, &r);
    mg_scratch_give(L, 4);
    return push_outcome(L, push_done, call, &r);
}

// cache_delete(key): whether it was there
static int cache_delete(lua_State *L) {
    mg_cache *c = cache_of(L);
    mg_cache_result r;
    if (c == NULL) {
        return push_no_cache(L);
    }
    mg_cache_call *call = mg_cache_delete(c, mg_lua_check_str(L, 1), &r);
    return push_outcome(L, push_was_there, call, &r);
}

// cache_increment(key, by, initial, ttl): the sum
static int cache_increment(lua_State *L) {
    mg_cache *c = cache_of(L);
    mg_cache_result r;
    if (c == NULL) {
        return push_no_cache(L);
    }
    const mg_cache_step step = {
        .key = mg_lua_check_str(L, 1),
        .by = (int64_t)luaL_checknumber(L, 2),
        .initial = (int64_t)luaL_checknumber(L, 3),
        .tag = MG_CACHE_JSON,
        .ttl_ms = ttl_at(L, 4),
    };
    mg_cache_call *call = mg_cache_increment(c, &step, &r);
    return push_outcome(L, push_sum, call, &r);
}

// cache_lease(key, seconds): whether this worker may make the value
static int cache_lease(lua_State *L) {
    mg_cache *c = cache_of(L);
    mg_cache_result r;
    if (c == NULL) {
        return push_no_cache(L);
    }
    mg_cache_call *call = mg_cache_lease(c, mg_lua_check_str(L, 1), ttl_at(L, 2), &r);
    return push_outcome(L, push_leased, call, &r);
}

static int cache_release(lua_State *L) {
    mg_cache *c = cache_of(L);
    if (c != NULL) {
        mg_cache_release(c, mg_lua_check_str(L, 1));
    }
    return 0;
}

// cache_clear(): true
static int cache_clear(lua_State *L) {
    mg_cache *c = cache_of(L);
    mg_cache_result r = {0}; // without a cache there is nothing to forget
    mg_cache_call *call = c != NULL ? mg_cache_clear(c, &r) : NULL;
    return push_outcome(L, push_done, call, &r);
}

// cache_stats() -> true, table | false, code, message
static int cache_stats(lua_State *L) {
    const mg_cache *c = cache_of(L);
    mg_cache_stats s;
    if (c == NULL) {
        return push_no_cache(L);
    }
    mg_cache_read_stats(c, &s);
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"entries", s.entries},
        {"bytes", s.bytes},
        {"capacity", s.capacity_bytes},
        {"hits", s.hits},
        {"misses", s.misses},
        {"sets", s.sets},
        {"busy", s.busy},
        {"evicted", s.evicted},
        {"expired", s.expired},
        {"emptied", s.emptied},
        {"near_hits", s.near_hits},
        {"near_keys", s.near_keys},
        {"near_flushes", s.near_flushes},
    };
    lua_pushboolean(L, 1);
    lua_createtable(L, 0, 14);
    if (s.state != NULL) {
        lua_pushstring(L, s.state);
        lua_setfield(L, -2, "state");
    }
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        lua_pushnumber(L, (lua_Number)figures[i].value);
        lua_setfield(L, -2, figures[i].name);
    }
    return 2;
}

void mg_bind_cache(lua_State *L, mg_vm *vm) {
    static const luaL_Reg functions[] = {
        {"cache_get", cache_get},
        {"cache_set", cache_set},
        {"cache_delete", cache_delete},
        {"cache_increment", cache_increment},
        {"cache_lease", cache_lease},
        {"cache_release", cache_release},
        {"cache_clear", cache_clear},
        {"cache_stats", cache_stats},
        {NULL, NULL},
    };
    mg_vm_register(L, vm, functions);
}
