#include "lua/redis_values.h"

#include "base/mem.h"
#include "lua/args.h"
#include "lua/json_values.h"

static char errors_key;

void mg_redis_values_open(lua_State *L) {
    mg_lua_keep(L, &errors_key);
}

void mg_redis_push_array(lua_State *L, uint32_t n) {
    enum { AT_ONCE = 1 << 16 };
    lua_createtable(L, (int)(n < AT_ONCE ? n : AT_ONCE), 0);
    mg_json_push_array_mark(L);
    lua_setmetatable(L, -2);
}

void mg_redis_push_reason(lua_State *L, mg_str text) {
    lua_createtable(L, 0, 1);
    mg_lua_set_text(L, "reason", mg_str_cut(&text, ' '));
}

static void push_error(lua_State *L, mg_str text) {
    mg_redis_push_reason(L, text);
    mg_lua_set_text(L, "code", MG_STR("redis"));
    mg_lua_set_text(L, "message", text);
    mg_lua_push_kept(L, &errors_key);
    lua_setmetatable(L, -2);
}

// --- one value ---

// What a text costs beyond 1 is for copying it.
static int cost_of(const mg_redis_value *v) {
    enum { BYTES_EACH = 512 };
    return 1 + (mg_redis_is_text(v) ? (int)(v->n / BYTES_EACH) : 0);
}

static bool holds_others(const mg_redis_value *v) {
    return v->type >= MG_REDIS_ARRAY;
}

static void push_simple(lua_State *L, const mg_redis_reply *r, const mg_redis_value *v,
                        bool inside) {
    switch ((mg_redis_type)v->type) {
    case MG_REDIS_STRING:
    case MG_REDIS_NUMBER:
        mg_lua_push_str(L, mg_redis_text(r, v));
        break;
    case MG_REDIS_ERROR:
        push_error(L, mg_redis_text(r, v));
        break;
    case MG_REDIS_INTEGER:
        mg_json_push_i64(L, v->integer);
        break;
    case MG_REDIS_DOUBLE:
        lua_pushnumber(L, v->number);
        break;
    case MG_REDIS_BOOLEAN:
        lua_pushboolean(L, v->integer != 0);
        break;
    default:
        if (inside) {
            lua_pushlightuserdata(L, NULL);
        } else {
            lua_pushnil(L);
        }
    }
}

// --- values in values ---

// A table that is being filled. It lies on Lua's stack, of a map with the key whose value comes
// next above it; what it stands in lies below.
typedef struct frame {
    uint32_t n, filled; // values; of a map keys and values
    bool is_map;
} frame;

struct mg_redis_making {
    uint32_t at; // the next value
    uint32_t depth;
    int kept;                       // in the registry: what lay on the stack
    frame open[MG_REDIS_DEPTH + 1]; // an empty one may lie in the deepest
};

static void begin_table(lua_State *L, mg_redis_making *m, const mg_redis_value *v) {
    enum { AT_ONCE = 1024 };
    bool is_map = v->type == MG_REDIS_MAP;
    luaL_checkstack(L, 8, "a reply of Redis");
    m->open[m->depth++] = (frame){v->n, 0, is_map};
    if (is_map) {
        lua_createtable(L, 0, (int)(v->n / 2 < AT_ONCE ? v->n / 2 : AT_ONCE));
    } else {
        mg_redis_push_array(L, v->n);
    }
}

// Takes the value at the top into the table below it.
static void fill(lua_State *L, frame *f) {
    f->filled++;
    if (!f->is_map) {
        lua_rawseti(L, -2, (int)f->filled);
    } else if (f->filled % 2 == 0) {
        bool is_nan = lua_type(L, -2) == LUA_TNUMBER && lua_tonumber(L, -2) != lua_tonumber(L, -2);
        if (is_nan) {
            lua_pop(L, 2); // which is no key
        } else {
            lua_rawset(L, -3);
        }
    }
}

// Whether all is whole: then it is the value at the top.
static bool end_tables(lua_State *L, mg_redis_making *m) {
    while (m->depth > 0 && m->open[m->depth - 1].filled == m->open[m->depth - 1].n) {
        m->depth--;
        if (m->depth > 0) {
            fill(L, &m->open[m->depth - 1]);
        }
    }
    return m->depth == 0;
}

static bool go_on(lua_State *L, mg_redis_making *m, const mg_redis_reply *r, int *budget) {
    while (*budget > 0) {
        const mg_redis_value *v = &r->values[m->at++];
        *budget -= cost_of(v);
        if (holds_others(v)) {
            begin_table(L, m, v);
        } else {
            push_simple(L, r, v, true);
            fill(L, &m->open[m->depth - 1]);
        }
        if (end_tables(L, m)) {
            return true;
        }
    }
    return false;
}

// --- over several turns ---

// What lies above `base` goes into the registry.
static void put_away(lua_State *L, mg_redis_making *m, int base) {
    int n = lua_gettop(L) - base;
    lua_createtable(L, n, 0);
    for (int i = 1; i <= n; i++) {
        lua_pushvalue(L, base + i);
        lua_rawseti(L, -2, i);
    }
    m->kept = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(L, base);
}

static void take_up(lua_State *L, mg_redis_making *m, int base) {
    luaL_checkstack(L, 2 * MG_REDIS_DEPTH + 8, "a reply of Redis");
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->kept);
    int n = (int)lua_objlen(L, -1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, base + 1, i);
    }
    lua_remove(L, base + 1);
    luaL_unref(L, LUA_REGISTRYINDEX, m->kept);
    m->kept = LUA_NOREF;
}

bool mg_redis_make(lua_State *L, const mg_redis_reply *r, bool inside, mg_redis_making **making,
                   int *budget) {
    if (!holds_others(r->values)) {
        *budget -= cost_of(r->values);
        push_simple(L, r, r->values, inside);
        return true;
    }
    int base = lua_gettop(L);
    mg_redis_making m = {.kept = LUA_NOREF};
    if (*making != NULL) {
        take_up(L, *making, base);
        m = **making;
    }
    if (go_on(L, &m, r, budget)) {
        mg_redis_making_free(L, *making);
        *making = NULL;
        return true;
    }
    put_away(L, &m, base);
    if (*making == NULL) {
        *making = mg_malloc(sizeof m);
    }
    **making = m;
    return false;
}

void mg_redis_making_free(lua_State *L, mg_redis_making *m) {
    if (m != NULL) {
        luaL_unref(L, LUA_REGISTRYINDEX, m->kept);
        mg_free(m);
    }
}
