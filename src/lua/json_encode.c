#include "lua/json_encode.h"

#include "base/error.h"
#include "base/json.h"
#include "lua/args.h"
#include "lua/bind_json.h"
#include "lua/json_values.h"
#include "lua/missing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// lua.h does not name LuaJIT's own type.
enum { TYPE_CDATA = 10 };

// A table being written: where it is on the Lua stack, and where in it we are.
typedef struct level {
    const struct level *up;
    int table;
    int position; // in an array, else 0
    mg_str key;   // in an object
    int order;    // where the places of its keys lie on the Lua stack, or 0
    unsigned depth;
} level;

typedef struct encoder {
    lua_State *L;
    mg_buf *out;
    mg_json_style style;
    mg_error error;
} encoder;

static int encode_value(encoder *e, int index, const level *up);

static bool is_name(mg_str s) {
    bool good = s.n > 0 && (s.p[0] < '0' || s.p[0] > '9');
    for (size_t i = 0; good && i < s.n; i++) {
        char c = s.p[i];
        good = (mg_lower(c) >= 'a' && mg_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_';
    }
    return good;
}

// Appends "[3]", ".name" or "["odd name"]" of each level, outermost first, as far as there is room.
static void write_path(const level *at, char *path, size_t size) {
    if (at == NULL) {
        snprintf(path, size, "$");
        return;
    }
    write_path(at->up, path, size);
    size_t n = strlen(path);
    if (at->position > 0) {
        snprintf(path + n, size - n, "[%d]", at->position);
    } else if (is_name(at->key)) {
        snprintf(path + n, size - n, ".%.*s", (int)at->key.n, at->key.p);
    } else {
        snprintf(path + n, size - n, "[\"%.*s\"]", (int)at->key.n, at->key.p);
    }
}

static int fail(encoder *e, const level *at, const char *message) {
    char path[512];
    write_path(at, path, sizeof path);
    return mg_error_set(&e->error, MG_ELUA, "%s: %s", path, message);
}

static int fail_type(encoder *e, const level *at, int type) {
    char message[64];
    snprintf(message, sizeof message, "a %s cannot be JSON", lua_typename(e->L, type));
    return fail(e, at, message);
}

// Too deep: mostly a table that holds itself. Then the fault is shown where it first comes back to
// itself.
static int fail_depth(encoder *e, const level *at) {
    const level *cycle = NULL;
    for (const level *inner = at; inner != NULL; inner = inner->up) {
        for (const level *outer = inner->up; outer != NULL; outer = outer->up) {
            if (lua_rawequal(e->L, inner->table, outer->table)) {
                cycle = inner->up;
            }
        }
    }
    if (cycle != NULL) {
        return fail(e, cycle, "a table that holds itself cannot be JSON");
    }
    return fail(e, at->up, "tables nested deeper than 128 levels cannot be JSON");
}

static void write_line(encoder *e, unsigned depth) {
    if (e->style.pretty) {
        mg_buf_append_char(e->out, '\n');
        memset(mg_buf_reserve(e->out, (size_t)depth * 2), ' ', (size_t)depth * 2);
        e->out->n += (size_t)depth * 2;
    }
}

static int encode_number(encoder *e, int index, const level *up) {
    double v = lua_tonumber(e->L, index);
    if (mg_json_write_double(e->out, v) != MG_OK) {
        return fail(e, up, isnan(v) ? "nan cannot be JSON" : "infinity cannot be JSON");
    }
    return MG_OK;
}

static int encode_text(encoder *e, mg_str s, const level *up) {
    if (e->style.raw) {
        mg_json_write_raw(e->out, s);
    } else if (!e->style.strict) {
        mg_json_write_replaced(e->out, s);
    } else if (mg_json_write_string(e->out, s) != MG_OK) {
        return fail(e, up, "a string that is not UTF-8 cannot be JSON");
    }
    return MG_OK;
}

static int encode_cdata(encoder *e, int index, const level *up) {
    uint64_t bits = 0;
    switch (mg_json_to_wide(e->L, index, &bits)) {
    case MG_JSON_WIDE_I64:
        mg_json_write_i64(e->out, (int64_t)bits);
        return MG_OK;
    case MG_JSON_WIDE_U64:
        mg_json_write_u64(e->out, bits);
        return MG_OK;
    default:
        return fail_type(e, up, TYPE_CDATA);
    }
}

// Writes what stands before an element: a comma, and its own line.
static void write_separator(encoder *e, const level *at, bool first) {
    if (!first) {
        mg_buf_append_char(e->out, ',');
    }
    write_line(e, at->depth);
}

// --- objects ---

// A member as it was written: where it lies in the output. Its key stays in the table.
typedef struct member {
    mg_str key;
    uint32_t place; // as told by json.object; the same for all others
    size_t from;
    size_t to;
} member;

enum { FEW = 16 };

// The members of one object. Lua keeps keys in an order that no reader should see: it changes from
// one process to the next.
typedef struct members {
    size_t n;
    bool sorted;     // they were written in their order
    member few[FEW]; // in their order
    mg_buf many;     // all of them, once there are more
} members;

static int compare_members(const void *a, const void *b) {
    uint32_t first = ((const member *)a)->place;
    uint32_t second = ((const member *)b)->place;
    if (first != second) {
        return first < second ? -1 : 1;
    }
    mg_str x = ((const member *)a)->key;
    mg_str y = ((const member *)b)->key;
    size_t n = x.n < y.n ? x.n : y.n;
    int order = n > 0 ? (uint8_t)x.p[0] - (uint8_t)y.p[0] : 0; // mostly that will do
    order = order != 0 ? order : memcmp(x.p, y.p, n);
    return order != 0 ? order : (x.n > y.n) - (x.n < y.n);
}

// Where it belongs among few.
static void insert_member(members *all, const member *m) {
    size_t k = all->n;
    for (; k > 0 && compare_members(&all->few[k - 1], m) > 0; k--) {
        all->few[k] = all->few[k - 1];
        all->sorted = false;
    }
    all->few[k] = *m;
}

static void append_member(members *all, const member *m) {
    if (all->n == FEW) {
        mg_buf_append(&all->many, (const char *)all->few, sizeof all->few);
    }
    mg_buf_append(&all->many, (const char *)m, sizeof *m);
    all->sorted = false; // mostly
}

static void note_member(members *all, member m) {
    if (all->n < FEW) {
        insert_member(all, &m);
    } else {
        append_member(all, &m);
    }
    all->n++;
}

// Puts what was written from `begin` on into order: writes it again behind, and moves it there.
static void sort_members(encoder *e, const level *at, members *all, size_t begin) {
    mg_buf *out = e->out;
    size_t end = out->n;
    if (all->n > FEW) {
        qsort(all->many.p, all->n, sizeof(member), compare_members);
    }
    mg_buf_reserve(out, end - begin); // then nothing moves while parts of it are copied
    const member *items = all->n <= FEW ? all->few : (const member *)(void *)all->many.p;
    for (size_t i = 0; i < all->n; i++) {
        write_separator(e, at, i == 0);
        mg_buf_append(out, out->p + items[i].from, items[i].to - items[i].from);
    }
    memmove(out->p + begin, out->p + end, end - begin);
    out->n = end;
}

// Of the key at `index`: what is not named goes behind what is.
static uint32_t place_of(encoder *e, int index, const level *at) {
    if (at->order == 0) {
        return 0;
    }
    lua_pushvalue(e->L, index);
    lua_rawget(e->L, at->order);
    double place = lua_tonumber(e->L, -1);
    lua_pop(e->L, 1);
    return place > 0 ? (uint32_t)place : UINT32_MAX;
}

static int encode_member(encoder *e, int value, level *at) {
    int rc = encode_text(e, at->key, at);
    if (rc != MG_OK) {
        return rc;
    }
    mg_buf_append_char(e->out, ':');
    if (e->style.pretty) {
        mg_buf_append_char(e->out, ' ');
    }
    return encode_value(e, value, at);
}

// Stands behind lua_next: the first key and its value are on top. Pops them all.
static int encode_members(encoder *e, level *at, members *all) {
    lua_State *L = e->L;
    int value = lua_gettop(L);
    do {
        if (lua_type(L, value - 1) != LUA_TSTRING) {
            return fail(e, at->up,
                        "a table with other keys beside strings cannot be JSON "
                        "(allowed: strings alone, or 1 to n without a gap)");
        }
        at->key = mg_lua_str(L, value - 1);
        write_separator(e, at, all->n == 0);
        size_t from = e->out->n;
        int rc = encode_member(e, value, at);
        if (rc != MG_OK) {
            return rc;
        }
        note_member(all, (member){at->key, place_of(e, value - 1, at), from, e->out->n});
        lua_pop(L, 1);
    } while (lua_next(L, at->table) != 0);
    return MG_OK;
}

// As encode_members, whole. Nothing on the way raises, so that what was allocated is freed.
static int encode_object(encoder *e, level *at) {
    members all;
    all.n = 0;
    all.sorted = true;
    all.many = (mg_buf){0};
    mg_buf_append_char(e->out, '{');
    size_t begin = e->out->n;
    int rc = encode_members(e, at, &all);
    if (rc == MG_OK && !all.sorted && !e->style.raw) {
        sort_members(e, at, &all, begin);
    }
    mg_buf_deinit(&all.many);
    if (rc == MG_OK) {
        write_line(e, at->depth - 1);
        mg_buf_append_char(e->out, '}');
    }
    return rc;
}

// --- arrays ---

// The length of the table at `at` if its keys are 1 to n, else -1 and a fault.
static int count_positions(encoder *e, const level *at) {
    lua_State *L = e->L;
    int count = 0;
    double last = 0;
    lua_pushnil(L);
    while (lua_next(L, at->table) != 0) {
        lua_pop(L, 1);
        double key = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
        if (key < 1 || key != floor(key)) {
            fail(e, at->up,
                 "a table with other keys beside positions cannot be JSON "
                 "(allowed: strings alone, or 1 to n without a gap)");
            return -1;
        }
        last = key > last ? key : last;
        count++;
    }
    if (last > count) {
        fail(e, at->up, "an array with gaps cannot be JSON (moongate.json.null may fill them)");
        return -1;
    }
    return count;
}

// For arrays that Lua keeps in another order.
static int encode_positions(encoder *e, level *at) {
    int count = count_positions(e, at);
    if (count < 0) {
        return MG_ELUA;
    }
    mg_buf_append_char(e->out, '[');
    for (int i = 1; i <= count; i++) {
        at->position = i;
        write_separator(e, at, i == 1);
        lua_rawgeti(e->L, at->table, i);
        int rc = encode_value(e, lua_gettop(e->L), at);
        if (rc != MG_OK) {
            return rc;
        }
        lua_pop(e->L, 1);
    }
    write_line(e, at->depth - 1);
    mg_buf_append_char(e->out, ']');
    return MG_OK;
}

// Stands behind lua_next, as encode_object. Nearly always the keys come as 1, 2, 3 to n and one
// pass will do.
static int encode_array(encoder *e, level *at) {
    lua_State *L = e->L;
    size_t before = e->out->n;
    int value = lua_gettop(L);
    at->position = 1;
    mg_buf_append_char(e->out, '[');
    do {
        if (lua_type(L, value - 1) != LUA_TNUMBER || lua_tonumber(L, value - 1) != at->position) {
            e->out->n = before;
            lua_pop(L, 2);
            return encode_positions(e, at);
        }
        write_separator(e, at, at->position == 1);
        int rc = encode_value(e, value, at);
        if (rc != MG_OK) {
            return rc;
        }
        lua_pop(L, 1);
        at->position++;
    } while (lua_next(L, at->table) != 0);
    write_line(e, at->depth - 1);
    mg_buf_append_char(e->out, ']');
    return MG_OK;
}

// Pushes the places that json.object gave to the keys of the table at `index`, or nothing.
static bool push_order(lua_State *L, int index) {
    lua_getmetatable(L, index);
    lua_pushliteral(L, "__json_order");
    lua_rawget(L, -2);
    lua_remove(L, -2);
    bool found = lua_istable(L, -1);
    lua_pop(L, !found);
    return found;
}

static int encode_elements(encoder *e, level *at, bool marked) {
    lua_State *L = e->L;
    lua_pushnil(L);
    if (lua_next(L, at->table) == 0) {
        mg_buf_append(e->out, marked ? "[]" : "{}", 2);
        return MG_OK;
    }
    if (!marked && lua_type(L, -2) == LUA_TSTRING) {
        return encode_object(e, at);
    }
    return encode_array(e, at);
}

static int encode_table(encoder *e, int index, const level *up) {
    lua_State *L = e->L;
    level at = {.up = up, .table = index, .depth = up == NULL ? 1 : up->depth + 1};
    if (at.depth > MG_JSON_DEPTH) {
        return fail_depth(e, &at);
    }
    if (!lua_checkstack(L, 8)) {
        return fail(e, up, "the Lua stack is full");
    }
    bool plain = !lua_getmetatable(L, index);
    bool marked = !plain && mg_json_is_array(L, index);
    if (!plain && mg_missing_is(L, index)) {
        mg_missing_push(L, index);
        return fail(e, up, lua_tostring(L, -1)); // the caller settles the stack
    }
    lua_pop(L, !plain);
    bool ordered = !plain && !marked && push_order(L, index);
    at.order = ordered ? lua_gettop(L) : 0;
    int rc = encode_elements(e, &at, marked);
    lua_pop(L, ordered && rc == MG_OK); // after a fault the caller settles the stack
    return rc;
}

static int encode_value(encoder *e, int index, const level *up) {
    lua_State *L = e->L;
    int type = lua_type(L, index);
    switch (type) {
    case LUA_TSTRING:
        return encode_text(e, mg_lua_str(L, index), up);
    case LUA_TNUMBER:
        return encode_number(e, index, up);
    case LUA_TTABLE:
        return encode_table(e, index, up);
    case LUA_TBOOLEAN:
        mg_buf_append_str(e->out, lua_toboolean(L, index) ? MG_STR("true") : MG_STR("false"));
        return MG_OK;
    case LUA_TNIL:
        mg_buf_append(e->out, "null", 4);
        return MG_OK;
    case TYPE_CDATA:
        return encode_cdata(e, index, up);
    default:
        break;
    }
    if (type == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == NULL) {
        mg_buf_append(e->out, "null", 4);
        return MG_OK;
    }
    return fail_type(e, up, type);
}

int mg_json_encode(lua_State *L, int index, mg_buf *out, mg_json_style style) {
    encoder e;
    e.L = L;
    e.out = out;
    e.style = style;
    size_t before = out->n;
    int top = lua_gettop(L);
    int absolute = index < 0 && index > LUA_REGISTRYINDEX ? top + index + 1 : index;
    int rc = lua_checkstack(L, 6) ? encode_value(&e, absolute, NULL)
                                  : fail(&e, NULL, "the Lua stack is full");
    lua_settop(L, top);
    if (rc != MG_OK) {
        out->n = before;
        lua_pushstring(L, e.error.text);
    }
    return rc;
}

int mg_json_pack(lua_State *L, int index, mg_buf *out) {
    return mg_json_encode(L, index, out, (mg_json_style){.raw = true});
}

int mg_json_encode_value(lua_State *L, int index, mg_buf *out) {
    return mg_json_encode(L, index, out, (mg_json_style){0});
}
