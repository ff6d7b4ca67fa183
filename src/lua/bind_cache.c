// The shared cache: lua/moongate/cache.lua calls these. Memory answers at once: no operations.

#include "lua/bind.h"
#include "lua/bind_json.h"
#include "lua/json_values.h"
#include "lua/scratch.h"

#include <errno.h>

// How a value was stored.
enum { TAG_STRING = 1, TAG_JSON = 2 }; // a counter is JSON too: its decimal digits

static mg_str str_at(lua_State *L, int index) {
    mg_str s = {0};
    s.p = luaL_checklstring(L, index, &s.n);
    return s;
}

static int failure(lua_State *L, const char *code, const char *text) {
    lua_pushnil(L);
    lua_pushstring(L, code);
    lua_pushstring(L, text);
    return 3;
}

static int no_cache(lua_State *L) {
    return failure(L, "cache",
                   "no cache is configured: cache = \"memory:64M\" in the configuration");
}

static int failure_of(lua_State *L, int rc) {
    switch (rc) {
    case MG_EAGAIN:
        return failure(L, "cache", "busy: the shard of this key is locked");
    case MG_ELIMIT:
        return failure(
            L, "limit",
            "the key is longer than 1 KiB, or the value is too large: at most 1 MiB, of a "
            "small cache less");
    case -ERANGE:
        return failure(L, "cache", "the sum does not fit into 64 bits");
    default:
        return failure(L, "cache", "the value there is no integer");
    }
}

static uint64_t ttl_at(lua_State *L, int index) {
    double ms = luaL_optnumber(L, index, 0) * 1000;
    return ms <= 0 ? 0 : ms < 1 ? 1 : (uint64_t)ms;
}

// cache_get(key) -> true, value | false | nil, code, message
static int cache_get(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_memory_cache *c = vm->services->cache;
    uint8_t tag = 0;
    if (c == NULL) {
        return no_cache(L);
    }
    mg_str key = str_at(L, 1);
    lua_settop(L, 1);
    mg_buf *found = mg_scratch_take(L);
    int rc = mg_memory_cache_get(c, key, mg_loop_now_ms(vm->loop), found, &tag);
    lua_pushboolean(L, rc == MG_OK);
    if (rc == MG_OK && tag == TAG_STRING) {
        lua_pushlstring(L, found->p, found->n);
    } else if (rc == MG_OK && mg_json_unpack(L, mg_buf_str(found)) != MG_OK) {
        rc = MG_ESYNTAX; // scribbled over: as if it were not there
        lua_pushboolean(L, 0);
    }
    mg_scratch_give(L, 2);
    return rc == MG_OK ? 2 : 1;
}

// cache_set(key, value, ttl) -> true | nil, code, message
static int cache_set(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_memory_cache *c = vm->services->cache;
    mg_str key = str_at(L, 1);
    uint64_t ttl_ms = ttl_at(L, 3);
    mg_str value = {0};
    bool text = lua_type(L, 2) == LUA_TSTRING;
    if (c == NULL) {
        return no_cache(L);
    }
    lua_settop(L, 3);
    mg_buf *packed = mg_scratch_take(L);
    if (text) {
        value.p = lua_tolstring(L, 2, &value.n);
    } else if (mg_json_pack(L, 2, packed) == MG_OK) {
        value = mg_buf_str(packed);
    } else {
        mg_scratch_give(L, 4);
        return failure(L, "json", lua_tostring(L, -1));
    }
    int rc = mg_memory_cache_set(c, key, value, text ? TAG_STRING : TAG_JSON,
                                 mg_loop_now_ms(vm->loop), ttl_ms);
    mg_scratch_give(L, 4);
    if (rc != MG_OK) {
        return failure_of(L, rc);
    }
    lua_pushboolean(L, 1);
    return 1;
}

// cache_delete(key) -> whether it was there | nil, code, message
static int cache_delete(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_memory_cache *c = vm->services->cache;
    if (c == NULL) {
        return no_cache(L);
    }
    int rc = mg_memory_cache_delete(c, str_at(L, 1), mg_loop_now_ms(vm->loop));
    if (rc != MG_OK && rc != -ENOENT) {
        return failure_of(L, rc);
    }
    lua_pushboolean(L, rc == MG_OK);
    return 1;
}

// cache_increment(key, by, initial, ttl) -> sum | nil, code, message
static int cache_increment(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_memory_cache *c = vm->services->cache;
    int64_t sum = 0;
    if (c == NULL) {
        return no_cache(L);
    }
    int rc = mg_memory_cache_increment(c, str_at(L, 1), (int64_t)luaL_checknumber(L, 2),
                                       (int64_t)luaL_checknumber(L, 3), TAG_JSON,
                                       mg_loop_now_ms(vm->loop), ttl_at(L, 4), &sum);
    if (rc != MG_OK) {
        return failure_of(L, rc);
    }
    mg_json_push_i64(L, sum);
    return 1;
}

// cache_lease(key, seconds) -> whether this worker may make the value
static int cache_lease(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    mg_memory_cache *c = vm->services->cache;
    lua_pushboolean(L,
                    c == NULL || mg_memory_cache_lease(c, str_at(L, 1), vm->services->cache_holder,
                                                       mg_loop_now_ms(vm->loop), ttl_at(L, 2)));
    return 1;
}

static int cache_release(lua_State *L) {
    mg_vm *vm = mg_vm_of(L);
    if (vm->services->cache != NULL) {
        mg_memory_cache_release(vm->services->cache, str_at(L, 1), vm->services->cache_holder);
    }
    return 0;
}

static int cache_clear(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    if (vm->services->cache != NULL) {
        mg_memory_cache_clear(vm->services->cache);
    }
    return 0;
}

// cache_stats() -> table | nil, code, message
static int cache_stats(lua_State *L) {
    const mg_vm *vm = mg_vm_of(L);
    if (vm->services->cache == NULL) {
        return no_cache(L);
    }
    mg_cache_stats s;
    mg_memory_cache_read_stats(vm->services->cache, &s);
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"entries", s.entries}, {"bytes", s.bytes},     {"capacity", s.capacity_bytes},
        {"hits", s.hits},       {"misses", s.misses},   {"sets", s.sets},
        {"busy", s.busy},       {"evicted", s.evicted}, {"expired", s.expired},
        {"emptied", s.emptied},
    };
    lua_createtable(L, 0, 10);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        lua_pushnumber(L, (lua_Number)figures[i].value);
        lua_setfield(L, -2, figures[i].name);
    }
    return 1;
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
