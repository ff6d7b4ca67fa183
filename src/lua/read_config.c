#include "lua/read_config.h"

#include "base/json.h"
#include "base/mem.h"
#include "lua/args.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_BYTES = 1 << 20,
    DEPTH = 16,
    HOOK_STEP = 10000,
    INSTRUCTIONS = 50000000, // some tenths of a second, interpreted
    ITEMS = 100000,
};

// Shown nowhere: a chunk's name is cut to 60 characters in messages, a path may be longer and
// replaces it.
#define CHUNK        "=conf"
#define CHUNK_PREFIX "conf:"

typedef struct reading {
    const char *path;
    mg_str source;
    mg_buf *out;
    mg_buf key; // of the value at hand: "limits.body", "listen[2]"
    int code;   // that a fault has
} reading;

// --- the file's world
// ------------------------------------------------------------------------------------------------

// pcall is missing on purpose: it could catch the end of an endless loop.
static const char *const known[] = {
    "assert", "bit",      "error",    "ipairs", "math", "next",   "pairs", "select",
    "string", "tonumber", "tostring", "table",  "type", "unpack", NULL,
};

static int on_unknown_name(lua_State *L) {
    return luaL_error(L,
                      "%s is not defined here; a configuration file may use string, table, math, "
                      "bit, os.getenv and the like, but neither files nor modules",
                      lua_tostring(L, 2));
}

// Leaves the table of globals on the stack.
static void push_world(lua_State *L) {
    lua_newtable(L);
    for (const char *const *name = known; *name != NULL; name++) {
        lua_getglobal(L, *name);
        lua_setfield(L, -2, *name);
    }
    lua_newtable(L);
    lua_getglobal(L, "os");
    lua_getfield(L, -1, "getenv");
    lua_setfield(L, -3, "getenv");
    lua_pop(L, 1);
    lua_setfield(L, -2, "os");
    lua_newtable(L);
    lua_pushcfunction(L, on_unknown_name);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static void open_libraries(lua_State *L) {
    static const luaL_Reg libraries[] = {
        {"", luaopen_base},
        {LUA_STRLIBNAME, luaopen_string},
        {LUA_TABLIBNAME, luaopen_table},
        {LUA_MATHLIBNAME, luaopen_math},
        {LUA_BITLIBNAME, luaopen_bit},
        {LUA_OSLIBNAME, luaopen_os},
    };
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        lua_pushcfunction(L, libraries[i].func);
        lua_pushstring(L, libraries[i].name);
        lua_call(L, 1, 0);
    }
}

static void on_count(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_getfield(L, LUA_REGISTRYINDEX, "steps");
    lua_Integer steps = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    if (steps > INSTRUCTIONS / HOOK_STEP) {
        luaL_where(L, 0); // a hook is no frame: the running function is level 0
        lua_pushfstring(L, "the configuration does not come to an end (stopped after %d steps)",
                        INSTRUCTIONS);
        lua_concat(L, 2);
        lua_error(L);
    }
    lua_pushinteger(L, steps);
    lua_setfield(L, LUA_REGISTRYINDEX, "steps");
}

// --- values become JSON
// ----------------------------------------------------------------------------------------------

static void write_value(lua_State *L, reading *r, int depth);

static int bad_value(lua_State *L, reading *r, const char *what) {
    r->code = MG_ECONFIG;
    if (r->key.n == 0) {
        lua_pushfstring(L, "%s: %s", r->path, what);
    } else {
        mg_buf_append_char(&r->key, '\0');
        lua_pushfstring(L, "%s: %s: %s", r->path, r->key.p, what);
    }
    return lua_error(L);
}

// Where both at once come to mind: what to write instead.
static const char *mixed_instead(mg_str key) {
    bool of_upstreams = mg_str_starts(key, MG_STR("upstreams."));
    bool is_item = key.n > 0 && key.p[key.n - 1] == ']';
    if (of_upstreams && is_item) {
        return "the table mixes names and list items, allowed: names, as { url = "
               "\"http://host:port\", weight = 3 }";
    } else if (of_upstreams) {
        return "the table mixes names and list items, allowed: names, as { servers = { "
               "\"http://host:port\" }, balance = \"p2c\" }";
    } else if (is_item && mg_str_starts(key, MG_STR("listen["))) {
        return "the table mixes names and list items, allowed: names, as { address = "
               "\"0.0.0.0:8443\", tls = { ... } }";
    }
    return "the table mixes names and list items, allowed: either";
}

// Puts one step behind the key and returns the length to go back to.
static size_t enter_name(reading *r, mg_str name) {
    size_t before = r->key.n;
    if (before > 0) {
        mg_buf_append_char(&r->key, '.');
    }
    mg_buf_append_str(&r->key, name);
    return before;
}

static size_t enter_item(reading *r, size_t i) {
    size_t before = r->key.n;
    mg_buf_printf(&r->key, "[%zu]", i);
    return before;
}

static void write_string(lua_State *L, reading *r, mg_str s) {
    if (mg_json_write_string(r->out, s) != MG_OK) {
        bad_value(L, r, "the text is not UTF-8");
    }
}

static void write_number(lua_State *L, reading *r, double v) {
    if (mg_json_write_double(r->out, v) != MG_OK) {
        bad_value(L, r, isnan(v) ? "is not a number (0/0)" : "the number is infinite");
    }
}

static void write_list(lua_State *L, reading *r, size_t n, int depth) {
    mg_buf_append_char(r->out, '[');
    for (size_t i = 1; i <= n; i++) {
        if (i > 1) {
            mg_buf_append_char(r->out, ',');
        }
        size_t before = enter_item(r, i);
        lua_rawgeti(L, -1, (int)i);
        write_value(L, r, depth);
        lua_pop(L, 1);
        r->key.n = before;
    }
    mg_buf_append_char(r->out, ']');
}

static int by_name(const void *a, const void *b) {
    const mg_str *x = a;
    const mg_str *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

// Leaves a userdata with the table's `n` keys, sorted; the table keeps their bytes alive.
static const mg_str *push_sorted_keys(lua_State *L, size_t n) {
    mg_str *keys = lua_newuserdata(L, (n + 1) * sizeof *keys);
    size_t i = 0;
    lua_pushnil(L);
    while (lua_next(L, -3) != 0) {
        lua_pop(L, 1);
        keys[i++] = mg_lua_str(L, -1);
    }
    qsort(keys, n, sizeof *keys, by_name);
    return keys;
}

static void write_object(lua_State *L, reading *r, size_t n, int depth) {
    const mg_str *keys = push_sorted_keys(L, n);
    mg_buf_append_char(r->out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            mg_buf_append_char(r->out, ',');
        }
        size_t before = enter_name(r, keys[i]);
        write_string(L, r, keys[i]);
        mg_buf_append_char(r->out, ':');
        mg_lua_push_str(L, keys[i]);
        lua_rawget(L, -3);
        write_value(L, r, depth);
        lua_pop(L, 1);
        r->key.n = before;
    }
    mg_buf_append_char(r->out, '}');
    lua_pop(L, 1);
}

static void write_table(lua_State *L, reading *r, int depth) {
    if (depth > DEPTH) {
        bad_value(L, r, "tables are nested too deep, or contain themselves");
    }
    size_t items = 0;
    size_t names = 0;
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            names++;
        } else if (lua_type(L, -1) == LUA_TNUMBER) {
            items++;
        } else {
            bad_value(L, r, "keys must be names, or the table a list");
        }
    }
    if (items > 0 && names > 0) {
        bad_value(L, r, mixed_instead(mg_buf_str(&r->key)));
    }
    if (items != lua_objlen(L, -1) || items > ITEMS) {
        bad_value(L, r, "the list has gaps, or is far too long");
    }
    if (items > 0) {
        write_list(L, r, items, depth);
    } else {
        write_object(L, r, names, depth);
    }
}

// Writes the value on top of the stack and leaves it there.
static void write_value(lua_State *L, reading *r, int depth) {
    luaL_checkstack(L, 8, "configuration");
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
        write_table(L, r, depth + 1);
        break;
    case LUA_TSTRING:
        write_string(L, r, mg_lua_str(L, -1));
        break;
    case LUA_TNUMBER:
        write_number(L, r, lua_tonumber(L, -1));
        break;
    case LUA_TBOOLEAN:
        mg_buf_append_str(r->out, lua_toboolean(L, -1) ? MG_STR("true") : MG_STR("false"));
        break;
    default:
        lua_pushfstring(L, "a %s cannot be configuration", luaL_typename(L, -1));
        bad_value(L, r, lua_tostring(L, -1));
    }
}

// --- one file
// --------------------------------------------------------------------------------------------------------

// Runs protected; the argument is the reading.
static int evaluate(lua_State *L) {
    reading *r = lua_touserdata(L, 1);
    open_libraries(L);
    if (luaL_loadbufferx(L, r->source.p, r->source.n, CHUNK, "t") != 0) {
        return lua_error(L);
    }
    push_world(L);
    lua_setfenv(L, -2);
    lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_STEP);
    lua_call(L, 0, 1);
    lua_sethook(L, NULL, 0, 0);
    if (!lua_istable(L, -1)) {
        return bad_value(L, r, "the file must return one table: return { listen = ... }");
    }
    write_value(L, r, 0);
    return 0;
}

// Messages about the chunk begin with its name, which becomes the path; others are given the path
// in front.
static int fault(lua_State *L, const reading *r, mg_error *err) {
    const char *message = lua_tostring(L, -1);
    if (message == NULL) {
        return mg_error_set(err, r->code, "%s: the error is a %s", r->path, luaL_typename(L, -1));
    }
    if (r->code == MG_ECONFIG) {
        return mg_error_set(err, r->code, "%s", message);
    }
    if (strncmp(message, CHUNK_PREFIX, strlen(CHUNK_PREFIX)) == 0) {
        return mg_error_set(err, r->code, "%s:%s", r->path, message + strlen(CHUNK_PREFIX));
    }
    return mg_error_set(err, r->code, "%s: %s", r->path, message);
}

static int run(reading *r, mg_error *err) {
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return mg_error_set(err, -ENOMEM, "%s: no memory for a Lua state", r->path);
    }
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF); // compiled code obeys no hooks
    int rc = MG_OK;
    if (lua_cpcall(L, evaluate, r) != 0) {
        rc = fault(L, r, err);
    }
    lua_close(L);
    return rc;
}

int mg_read_config_text(const char *path, mg_buf *out, mg_error *err) {
    int rc = MG_OK;
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        out->n = fread(mg_buf_reserve(out, FILE_BYTES), 1, FILE_BYTES, f);
        rc = ferror(f) ? -errno : MG_OK;
        fclose(f);
    } else {
        rc = -errno;
    }
    if (rc == MG_OK && out->n == FILE_BYTES) {
        rc = -EFBIG;
    }
    return rc == MG_OK ? rc : mg_error_set(err, rc, "%s: %s", path, mg_strerror(rc));
}

// A line for the shell ("#!...") and a byte order mark are no Lua; the line end stays, for the
// count of lines.
static mg_str skip_preamble(mg_str s) {
    if (mg_str_starts(s, MG_STR("\xef\xbb\xbf"))) {
        s = (mg_str){s.p + 3, s.n - 3};
    }
    if (s.n > 0 && s.p[0] == '#') {
        const char *end = memchr(s.p, '\n', s.n);
        size_t n = end == NULL ? s.n : (size_t)(end - s.p);
        s = (mg_str){s.p + n, s.n - n};
    }
    return s;
}

int mg_evaluate_config(const char *path, mg_str text, mg_buf *out, mg_error *err) {
    reading r = {.path = path, .out = out, .code = MG_ELUA};
    r.source = skip_preamble(text);
    int rc = run(&r, err);
    mg_buf_deinit(&r.key);
    return rc;
}

int mg_read_config(const char *path, mg_buf *out, mg_error *err) {
    mg_buf source = {0};
    int rc = mg_read_config_text(path, &source, err);
    if (rc == MG_OK) {
        rc = mg_evaluate_config(path, mg_buf_str(&source), out, err);
    }
    mg_buf_deinit(&source);
    return rc;
}
