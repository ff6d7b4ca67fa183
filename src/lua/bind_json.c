#include "lua/bind_json.h"

#include "base/error.h"
#include "base/json.h"
#include "lua/args.h"
#include "lua/json_encode.h"
#include "lua/json_values.h"
#include "lua/scratch.h"

#include <lauxlib.h>

typedef struct decoder {
    lua_State *L;
    mg_json_reader reader;
    int mark;      // stack index of the metatable that marks arrays
    uint32_t left; // values that may come yet
} decoder;

static const char too_many[] = "more values than are allowed";

static int push_value(decoder *d, mg_json_token token);

static int fail(decoder *d) {
    mg_json_place at = mg_json_where(&d->reader);
    // lua_pushfstring knows no size_t.
    lua_pushfstring(d->L, "%f:%f: %s", (double)at.line, (double)at.column, d->reader.error);
    return d->reader.error == too_many ? MG_ELIMIT : MG_ESYNTAX;
}

static int push_array(decoder *d) {
    lua_State *L = d->L;
    mg_json_token token = mg_json_next(&d->reader);
    lua_createtable(L, token == MG_JSON_ARRAY_END ? 0 : 4, 0);
    for (int i = 1; token != MG_JSON_ARRAY_END; i++) {
        int rc = push_value(d, token);
        if (rc != MG_OK) {
            return rc;
        }
        lua_rawseti(L, -2, i);
        token = mg_json_next(&d->reader);
    }
    lua_pushvalue(L, d->mark);
    lua_setmetatable(L, -2);
    return MG_OK;
}

static int push_object(decoder *d) {
    lua_State *L = d->L;
    mg_json_token token = mg_json_next(&d->reader);
    lua_createtable(L, 0, token == MG_JSON_OBJECT_END ? 0 : 4);
    while (token == MG_JSON_KEY) {
        mg_lua_push_str(L, d->reader.text);
        int rc = push_value(d, mg_json_next(&d->reader));
        if (rc != MG_OK) {
            return rc;
        }
        lua_rawset(L, -3);
        token = mg_json_next(&d->reader);
    }
    return token == MG_JSON_OBJECT_END ? MG_OK : fail(d);
}

// Pushes the value that begins with `token`, or a message on top of what was built so far.
static int push_value(decoder *d, mg_json_token token) {
    lua_State *L = d->L;
    luaL_checkstack(L, 8, "JSON nested too deep");
    if (token != MG_JSON_ERROR && d->left-- == 0) {
        d->reader.error = too_many;
        return fail(d);
    }
    switch (token) {
    case MG_JSON_NULL:
        lua_pushlightuserdata(L, NULL);
        return MG_OK;
    case MG_JSON_FALSE:
    case MG_JSON_TRUE:
        lua_pushboolean(L, token == MG_JSON_TRUE);
        return MG_OK;
    case MG_JSON_I64:
        mg_json_push_i64(L, d->reader.i64);
        return MG_OK;
    case MG_JSON_U64:
        mg_json_push_u64(L, d->reader.u64);
        return MG_OK;
    case MG_JSON_DOUBLE:
        lua_pushnumber(L, d->reader.number);
        return MG_OK;
    case MG_JSON_STRING:
        mg_lua_push_str(L, d->reader.text);
        return MG_OK;
    case MG_JSON_ARRAY:
        return push_array(d);
    case MG_JSON_OBJECT:
        return push_object(d);
    default:
        return fail(d);
    }
}

static int decode_text(lua_State *L, mg_str text, mg_json_bounds bounds, bool any_bytes) {
    luaL_checkstack(L, 8, "JSON nested too deep");
    int top = lua_gettop(L);
    decoder d = {.L = L, .mark = top + 2};
    d.left = bounds.values > 0 ? bounds.values : UINT32_MAX;
    mg_json_reader_init(&d.reader, text, mg_scratch_take(L), bounds.depth);
    d.reader.any_bytes = any_bytes;
    mg_json_push_array_mark(L);
    int rc = push_value(&d, mg_json_next(&d.reader));
    if (rc == MG_OK && mg_json_next(&d.reader) != MG_JSON_END) {
        rc = fail(&d);
    }
    mg_scratch_give(L, top + 1);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return rc;
}

int mg_json_decode_value(lua_State *L, mg_str text, mg_json_bounds bounds) {
    return decode_text(L, text, bounds, false);
}

int mg_json_unpack(lua_State *L, mg_str text) {
    return decode_text(L, text, (mg_json_bounds){0}, true);
}

// Pushes option `name` of the table at `index`, or nil.
static void push_option(lua_State *L, int index, const char *name) {
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    lua_getfield(L, index, name);
}

static int encode(lua_State *L) {
    luaL_checkany(L, 1);
    push_option(L, 2, "pretty");
    push_option(L, 2, "strict");
    mg_json_style style = {.pretty = lua_toboolean(L, -2), .strict = lua_toboolean(L, -1)};
    lua_settop(L, 1);
    mg_buf *out = mg_scratch_take(L);
    int rc = mg_json_encode(L, 1, out, style);
    if (rc != MG_OK) {
        mg_scratch_give(L, 2);
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    mg_scratch_push(L, 2);
    return 1;
}

// pack(value) -> bytes that unpack reads, as the cache keeps values
static int pack(lua_State *L) {
    lua_settop(L, 1);
    mg_buf *out = mg_scratch_take(L);
    if (mg_json_pack(L, 1, out) != MG_OK) {
        mg_scratch_give(L, 2);
        return luaL_error(L, "%s", lua_tostring(L, -1));
    }
    mg_scratch_push(L, 2);
    return 1;
}

static int unpack(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    mg_str text = mg_lua_str(L, 1);
    if (mg_json_unpack(L, text) != MG_OK) {
        return lua_error(L);
    }
    return 1;
}

// 0: it is not given.
static unsigned bound_option(lua_State *L, int index, const char *name, int most) {
    push_option(L, index, name);
    if (lua_isnil(L, -1)) {
        return 0;
    }
    double value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    if (!(value >= 1 && value <= most)) {
        luaL_error(L, "%s must be a number from 1 to %d", name, most);
    }
    return (unsigned)value;
}

// decode(text, { max_depth, max_values } or nil) -> value | nil, message
static int decode(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    mg_str text = mg_lua_str(L, 1);
    mg_json_bounds bounds = {bound_option(L, 2, "max_depth", MG_JSON_DEPTH_MAX),
                             bound_option(L, 2, "max_values", INT32_MAX)};
    if (mg_json_decode_value(L, text, bounds) != MG_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    return 1;
}

static int array(lua_State *L) {
    if (lua_isnone(L, 1)) {
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        luaL_argcheck(L, mg_json_is_array(L, 1), 1, "the table has a metatable of its own");
        lua_settop(L, 1);
        return 1;
    }
    mg_json_push_array_mark(L);
    lua_setmetatable(L, 1);
    return 1;
}

int mg_open_json(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"encode", encode}, {"decode", decode}, {"array", array},
        {"pack", pack},     {"unpack", unpack}, {NULL, NULL},
    };
    mg_json_values_open(L);
    lua_createtable(L, 0, 6);
    luaL_register(L, NULL, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
