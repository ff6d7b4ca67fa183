#include "lua/bind_tools.h"

#include "base/codec.h"
#include "base/error.h"
#include "base/utf8.h"
#include "lua/args.h"
#include "lua/json_values.h"
#include "lua/missing.h"
#include "lua/number_text.h"
#include "lua/scratch.h"

#include <lauxlib.h>
#include <stdlib.h>

static unsigned check_variant(lua_State *L, int index) {
    static const char *const names[] = {"standard", "url", NULL};
    return luaL_checkoption(L, index, "standard", names) == 1
               ? (unsigned)MG_BASE64_URL | MG_BASE64_UNPADDED
               : 0;
}

static int push_or_message(lua_State *L, int scratch, int rc, const char *message) {
    if (rc == MG_OK) {
        mg_scratch_push(L, scratch);
        return 1;
    }
    mg_scratch_give(L, scratch);
    return mg_lua_refuse(L, message);
}

static int base64_encode(lua_State *L) {
    mg_str s = mg_tools_check_string(L, 1);
    unsigned flags = check_variant(L, 2);
    lua_settop(L, 1);
    mg_base64_encode(mg_scratch_take(L), s, flags);
    mg_scratch_push(L, 2);
    return 1;
}

static int base64_decode(lua_State *L) {
    mg_str s = mg_tools_check_string(L, 1);
    unsigned flags = check_variant(L, 2);
    lua_settop(L, 1);
    int rc = mg_base64_decode(mg_scratch_take(L), s, flags);
    return push_or_message(L, 2, rc, "malformed base64");
}

static int hex_encode(lua_State *L) {
    mg_str s = mg_tools_check_string(L, 1);
    lua_settop(L, 1);
    mg_hex_encode(mg_scratch_take(L), s);
    mg_scratch_push(L, 2);
    return 1;
}

static int hex_decode(lua_State *L) {
    mg_str s = mg_tools_check_string(L, 1);
    lua_settop(L, 1);
    int rc = mg_hex_decode(mg_scratch_take(L), s);
    return push_or_message(L, 2, rc, "malformed hex");
}

// number_text(value) -> text | nil, message
static int number_text(lua_State *L) {
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    mg_buf *out = mg_scratch_take(L);
    int rc = mg_number_text(L, 1, out);
    if (rc == MG_ELUA) {
        mg_scratch_give(L, 2);
        lua_pushnil(L);
        if (mg_missing_is(L, 1)) {
            mg_missing_push(L, 1);
        } else {
            lua_pushfstring(L, "a string or a number is wanted, not a %s", luaL_typename(L, 1));
        }
        return 2;
    }
    return push_or_message(L, 2, rc, "nan and infinities have no text");
}

static int is_utf8(lua_State *L) {
    lua_pushboolean(L, mg_utf8_valid(mg_tools_check_string(L, 1)));
    return 1;
}

static int url_encode(lua_State *L) {
    mg_str s = mg_tools_check_string(L, 1);
    lua_settop(L, 1);
    mg_percent_encode(mg_scratch_take(L), s);
    mg_scratch_push(L, 2);
    return 1;
}

static int url_decode(lua_State *L) {
    mg_str s = mg_tools_check_string(L, 1);
    lua_settop(L, 1);
    int rc = mg_percent_decode(mg_scratch_take(L), s);
    return push_or_message(L, 2, rc, "malformed percent encoding");
}

static int compare_keys(const void *a, const void *b) {
    const mg_str *x = a;
    const mg_str *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

// Pushes a userdata with the sorted keys of the table at 1, which keeps their bytes alive.
static mg_str *push_sorted_keys(lua_State *L, size_t *count) {
    *count = 0;
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "the keys of a query are strings, not a %s", luaL_typename(L, -1));
        }
        (*count)++;
    }
    mg_str *keys = lua_newuserdata(L, (*count + 1) * sizeof *keys);
    size_t i = 0;
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) {
        lua_pop(L, 1);
        keys[i] = mg_lua_str(L, -1);
        i++;
    }
    if (*count > 1) {
        qsort(keys, *count, sizeof *keys, compare_keys);
    }
    return keys;
}

// An exponent may have a plus sign, which would be read as a space.
static void append_number(lua_State *L, mg_buf *out, mg_str key) {
    mg_buf text = {0};
    int rc = mg_number_text(L, -1, &text);
    mg_percent_encode(out, mg_buf_str(&text));
    mg_buf_deinit(&text);
    if (rc == MG_ELUA && mg_missing_is(L, -1)) {
        mg_missing_push(L, -1);
        luaL_error(L, "'%s': %s", key.p, lua_tostring(L, -1));
    } else if (rc == MG_ELUA) {
        luaL_error(L, "the value of '%s' in a query cannot be a %s", key.p, luaL_typename(L, -1));
    } else if (rc != MG_OK) {
        luaL_error(L, "the value of '%s' in a query is not a finite number", key.p);
    }
}

// Appends "key=value" of the value on top.
static void append_pair(lua_State *L, mg_buf *out, mg_str key) {
    if (out->n > 0) {
        mg_buf_append_char(out, '&');
    }
    mg_percent_encode(out, key);
    mg_buf_append_char(out, '=');
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING) {
        mg_percent_encode(out, mg_tools_check_string(L, -1));
    } else if (type == LUA_TBOOLEAN) {
        mg_buf_append_str(out, lua_toboolean(L, -1) ? MG_STR("true") : MG_STR("false"));
    } else {
        append_number(L, out, key);
    }
}

// The table on top is not empty.
static bool has_keys(lua_State *L) {
    lua_pushnil(L);
    bool any = lua_next(L, -2) != 0;
    lua_pop(L, any ? 2 : 0);
    return any;
}

// Appends the pairs of the value on top: one, or one for each item of an array.
static void append_pairs(lua_State *L, mg_buf *out, mg_str key) {
    if (lua_type(L, -1) != LUA_TTABLE || mg_missing_is(L, -1)) {
        append_pair(L, out, key);
        return;
    }
    int n = (int)lua_objlen(L, -1);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, i);
        append_pair(L, out, key);
        lua_pop(L, 1);
    }
    if (n == 0 && has_keys(L)) {
        luaL_error(L, "the value of '%s' in a query is a table but no array", key.p);
    }
}

static int query_encode(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t count;
    const mg_str *keys = push_sorted_keys(L, &count);
    mg_buf *out = mg_scratch_take(L);
    for (size_t i = 0; i < count; i++) {
        mg_lua_push_str(L, keys[i]);
        lua_rawget(L, 1);
        append_pairs(L, out, keys[i]);
        lua_pop(L, 1);
    }
    mg_scratch_push(L, 3);
    return 1;
}

mg_str mg_tools_check_string(lua_State *L, int index) {
    luaL_checktype(L, index, LUA_TSTRING);
    mg_str s = mg_lua_str(L, index);
    return s;
}

int mg_open_tools(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"base64_encode", base64_encode},
        {"base64_decode", base64_decode},
        {"hex_encode", hex_encode},
        {"hex_decode", hex_decode},
        {"url_encode", url_encode},
        {"url_decode", url_decode},
        {"query_encode", query_encode},
        {"number_text", number_text},
        {"is_utf8", is_utf8},
        {NULL, NULL},
    };
    mg_json_values_open(L);
    lua_createtable(L, 0, 18);
    luaL_register(L, NULL, functions);
    mg_tools_add_crypto(L);
    return 1;
}
