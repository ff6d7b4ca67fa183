#include "lua/database_values.h"

#include "base/error.h"
#include "base/mem.h"
#include "lua/args.h"
#include "lua/bind_json.h"
#include "lua/json_values.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

// lua.h does not name LuaJIT's own type.
enum { TYPE_CDATA = 10 };

// A double holds every integer up to here.
#define EXACT_INTEGER 9007199254740992.0

// Addresses that serve as registry keys.
static char blob_key;
static char plain_key; // the metatable of rows that only read

// Pushes a metatable that carries the arrays' mark.
static void push_rows_meta(lua_State *L, const mg_db_rows *rows) {
    lua_createtable(L, 0, 1);
    lua_createtable(L, 0, 3);
    mg_json_push_i64(L, rows->affected);
    lua_setfield(L, -2, "affected");
    if (rows->last_id != 0) {
        mg_json_push_i64(L, rows->last_id);
        lua_setfield(L, -2, "last_id");
    }
    lua_pushboolean(L, rows->more);
    lua_setfield(L, -2, "more");
    lua_setfield(L, -2, "__index");
    mg_json_push_array_mark(L);
    lua_setmetatable(L, -2);
}

static int blob_tostring(lua_State *L) {
    lua_rawgeti(L, 1, 1);
    lua_pushfstring(L, "blob of %d bytes", (int)lua_objlen(L, -1));
    return 1;
}

void mg_database_values_open(lua_State *L) {
    mg_json_values_open(L);
    mg_lua_push_kept(L, &blob_key);
    bool ready = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (ready) {
        return;
    }
    push_rows_meta(L, &(mg_db_rows){0});
    mg_lua_keep(L, &plain_key);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, blob_tostring);
    lua_setfield(L, -2, "__tostring");
    mg_lua_keep(L, &blob_key);
}

// --- parameters ---

void mg_database_push_blob(lua_State *L, int index) {
    lua_pushvalue(L, index);
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    mg_lua_push_kept(L, &blob_key);
    lua_setmetatable(L, -2);
}

static const char *read_number(double v, mg_db_value *out) {
    if (isnan(v)) {
        return "nan is no value of a database";
    }
    if (v == floor(v) && fabs(v) <= EXACT_INTEGER) {
        *out = (mg_db_value){.kind = MG_DB_I64, .i64 = (int64_t)v};
    } else {
        *out = (mg_db_value){.kind = MG_DB_DOUBLE, .number = v};
    }
    return NULL;
}

static const char *read_cdata(lua_State *L, int index, mg_db_value *out) {
    uint64_t bits = 0;
    mg_json_wide wide = mg_json_to_wide(L, index, &bits);
    if (wide == MG_JSON_NOT_WIDE) {
        return "of cdata only int64_t and uint64_t are values of a database";
    }
    if (wide == MG_JSON_WIDE_U64 && bits > INT64_MAX) {
        return "an integer beyond 63 bits is no value of a database";
    }
    *out = (mg_db_value){.kind = MG_DB_I64, .i64 = (int64_t)bits};
    return NULL;
}

static mg_db_value text_value(lua_State *L, int index, mg_db_kind kind) {
    mg_db_value v = {.kind = kind};
    v.text = mg_lua_str(L, index);
    return v;
}

// The table at `index` keeps the bytes.
static const char *read_table(lua_State *L, int index, mg_db_value *out) {
    bool is_blob = false;
    if (lua_getmetatable(L, index)) {
        mg_lua_push_kept(L, &blob_key);
        is_blob = lua_rawequal(L, -1, -2) != 0;
        lua_pop(L, 2);
    }
    lua_rawgeti(L, index, 1);
    is_blob = is_blob && lua_type(L, -1) == LUA_TSTRING;
    if (is_blob) {
        *out = text_value(L, lua_gettop(L), MG_DB_BLOB);
    }
    lua_pop(L, 1);
    return is_blob ? NULL
                   : "a table is no value of a database (JSON goes in as text: "
                     "moongate.json.encode, bytes as moongate.blob)";
}

// NULL, or what is wrong.
static const char *read_value(lua_State *L, int index, mg_db_value *out) {
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        *out = (mg_db_value){.kind = MG_DB_NULL};
        return NULL;
    case LUA_TBOOLEAN:
        *out = (mg_db_value){.kind = MG_DB_BOOL, .i64 = lua_toboolean(L, index)};
        return NULL;
    case LUA_TNUMBER:
        return read_number(lua_tonumber(L, index), out);
    case LUA_TSTRING:
        *out = text_value(L, index, MG_DB_TEXT);
        return NULL;
    case TYPE_CDATA:
        return read_cdata(L, index, out);
    case LUA_TTABLE:
        return read_table(L, index, out);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL) {
            *out = (mg_db_value){.kind = MG_DB_NULL};
            return NULL;
        }
        break;
    case LUA_TFUNCTION:
        return "a function is no value of a database";
    default:
        break;
    }
    return "nil, a boolean, a number, a string or moongate.blob is wanted";
}

uint32_t mg_database_read_values(lua_State *L, int first, uint32_t n, mg_db_value *out,
                                 const char **what) {
    for (uint32_t i = 0; i < n; i++) {
        *what = read_value(L, first + (int)i, &out[i]);
        if (*what != NULL) {
            return i + 1;
        }
    }
    return 0;
}

// --- rows ---

static bool has_text(const mg_db_value *v) {
    return v->kind >= MG_DB_TEXT;
}

static mg_str copy_text(char **at, mg_str s) {
    mg_str copy = {*at, s.n};
    if (s.n > 0) {
        memcpy(*at, s.p, s.n);
        *at += s.n;
    }
    return copy;
}

mg_db_rows *mg_database_copy_rows(const mg_db_rows *rows) {
    size_t cells = (size_t)rows->rows * rows->columns;
    size_t bytes = 0;
    for (uint32_t i = 0; i < rows->columns; i++) {
        bytes += rows->names[i].n;
    }
    for (size_t i = 0; i < cells; i++) {
        bytes += has_text(&rows->values[i]) ? rows->values[i].text.n : 0;
    }
    size_t types = rows->types != NULL ? rows->columns * sizeof *rows->types : 0;
    mg_db_rows *copy = mg_malloc(sizeof *copy + rows->columns * sizeof(mg_str) +
                                 cells * sizeof(mg_db_value) + types + bytes);
    mg_str *names = (mg_str *)(copy + 1);
    mg_db_value *values = (mg_db_value *)(names + rows->columns);
    char *at = (char *)(values + cells) + types;
    *copy = *rows;
    if (types > 0) {
        copy->types = memcpy(values + cells, rows->types, types);
    }
    copy->names = names;
    copy->values = values;
    for (uint32_t i = 0; i < rows->columns; i++) {
        names[i] = copy_text(&at, rows->names[i]);
    }
    for (size_t i = 0; i < cells; i++) {
        values[i] = rows->values[i];
        if (has_text(&values[i])) {
            values[i].text = copy_text(&at, values[i].text);
        }
    }
    return copy;
}

// What JSON in a column means; its text if that is too deep, or has numbers that Lua has not.
static void push_json(lua_State *L, mg_str text) {
    if (mg_json_decode_value(L, text, (mg_json_bounds){0}) != MG_OK) {
        lua_pop(L, 1);
        mg_lua_push_str(L, text);
    }
}

static void push_value(lua_State *L, const mg_db_value *v) {
    switch (v->kind) {
    case MG_DB_NULL:
        lua_pushlightuserdata(L, NULL);
        break;
    case MG_DB_I64:
        mg_json_push_i64(L, v->i64);
        break;
    case MG_DB_DOUBLE:
        lua_pushnumber(L, v->number);
        break;
    case MG_DB_BOOL:
        lua_pushboolean(L, v->i64 != 0);
        break;
    case MG_DB_JSON:
        push_json(L, v->text);
        break;
    default:
        mg_lua_push_str(L, v->text);
        break;
    }
}

// The names stay on the stack from `names` on, so that no row looks them up again. False: no room.
static bool push_names(lua_State *L, const mg_db_rows *rows, int *names) {
    if (rows->columns > 4000 || !lua_checkstack(L, (int)rows->columns + 10)) {
        return false;
    }
    *names = lua_gettop(L) + 1;
    for (uint32_t i = 0; i < rows->columns; i++) {
        mg_lua_push_str(L, rows->names[i]);
    }
    return true;
}

static void push_row(lua_State *L, const mg_db_rows *rows, uint32_t row, int names) {
    const mg_db_value *values = rows->values + (size_t)row * rows->columns;
    lua_createtable(L, 0, (int)rows->columns);
    for (uint32_t i = 0; i < rows->columns; i++) {
        lua_pushvalue(L, names + (int)i);
        push_value(L, &values[i]);
        lua_rawset(L, -3);
    }
}

void mg_database_push_array(lua_State *L, const mg_db_rows *rows) {
    lua_createtable(L, (int)rows->rows, 0);
    if (rows->affected == 0 && rows->last_id == 0 && !rows->more) {
        mg_lua_push_kept(L, &plain_key);
    } else {
        push_rows_meta(L, rows);
    }
    lua_setmetatable(L, -2);
}

bool mg_database_add_rows(lua_State *L, const mg_db_rows *rows, uint32_t from, uint32_t n) {
    int array = lua_gettop(L);
    int names;
    if (!push_names(L, rows, &names)) {
        return false;
    }
    for (uint32_t i = from; i < from + n; i++) {
        push_row(L, rows, i, names);
        lua_rawseti(L, array, (int)i + 1);
    }
    lua_settop(L, array);
    return true;
}

bool mg_database_push_rows(lua_State *L, const mg_db_rows *rows) {
    mg_database_push_array(L, rows);
    if (mg_database_add_rows(L, rows, 0, rows->rows)) {
        return true;
    }
    lua_pop(L, 1);
    return false;
}

bool mg_database_push_first(lua_State *L, const mg_db_rows *rows) {
    int names;
    if (rows->rows == 0) {
        lua_pushnil(L);
        return true;
    }
    if (!push_names(L, rows, &names)) {
        return false;
    }
    push_row(L, rows, 0, names);
    if (rows->columns > 0) {
        lua_replace(L, names);
        lua_settop(L, names);
    }
    return true;
}
