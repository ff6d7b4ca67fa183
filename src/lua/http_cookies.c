#include "http/cookie.h"
#include "lua/args.h"
#include "lua/bind_http.h"
#include "lua/scratch.h"

#include <lauxlib.h>

// Seconds; beyond the years that a date can tell, and exact in a double.
#define MAX_AGE_LIMIT 1e12

// parse_cookies(text) -> map; of a repeated name the first, which has the longer path (RFC 6265
// section 5.4)
static int parse_cookies(lua_State *L) {
    mg_str rest = mg_lua_check_str(L, 1);
    mg_str name;
    mg_str value;
    lua_newtable(L);
    while (mg_cookie_next(&rest, &name, &value)) {
        mg_lua_push_str(L, name);
        mg_http_set_first(L, value);
    }
    return 1;
}

// --- options of set_cookie: a table at index 3 ---

static void check_names(lua_State *L) {
    static const char *const known[] = {"path",      "domain",      "max_age",
                                        "expires",   "secure",      "http_only",
                                        "same_site", "partitioned", NULL};
    lua_pushnil(L);
    while (lua_next(L, 3) != 0) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], key) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            luaL_error(L,
                       "cookie: the option '%s' is unknown, allowed are path, domain, max_age, "
                       "expires, secure, http_only, same_site and partitioned",
                       key);
        }
    }
}

// Pushes the option. False if there is none.
static bool push_option(lua_State *L, const char *key, int type) {
    lua_getfield(L, 3, key);
    if (lua_isnil(L, -1)) {
        return false;
    }
    if (lua_type(L, -1) != type) {
        luaL_error(L, "cookie: %s is a %s, not a %s", key, lua_typename(L, type),
                   luaL_typename(L, -1));
    }
    return true;
}

// Borrows from the stack, where it stays: a metatable may have made it just now.
static mg_str option_str(lua_State *L, const char *key) {
    mg_str s = {0};
    if (push_option(L, key, LUA_TSTRING)) {
        s = mg_lua_str(L, -1);
    }
    return s;
}

static bool option_flag(lua_State *L, const char *key) {
    bool on = push_option(L, key, LUA_TBOOLEAN) && lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return on;
}

static bool option_seconds(lua_State *L, const char *key, int64_t *out) {
    bool given = push_option(L, key, LUA_TNUMBER);
    if (given) {
        double seconds = lua_tonumber(L, -1);
        if (!(seconds >= -MAX_AGE_LIMIT && seconds <= MAX_AGE_LIMIT)) {
            luaL_error(L, "cookie: %s is out of range", key);
        }
        *out = (int64_t)seconds;
    }
    lua_pop(L, 1);
    return given;
}

static mg_same_site option_same_site(lua_State *L) {
    static const char *const names[] = {
        [MG_SAME_SITE_STRICT] = "strict", [MG_SAME_SITE_LAX] = "lax", [MG_SAME_SITE_NONE] = "none"};
    mg_str text = option_str(L, "same_site");
    if (text.p == NULL) {
        return MG_SAME_SITE_UNSET;
    }
    for (int i = MG_SAME_SITE_STRICT; i <= MG_SAME_SITE_NONE; i++) {
        if (mg_str_ieq(text, mg_str_of(names[i]))) {
            return (mg_same_site)i;
        }
    }
    luaL_error(L, "cookie: same_site is \"strict\", \"lax\" or \"none\"");
    return MG_SAME_SITE_UNSET;
}

static void read_options(lua_State *L, mg_cookie *c) {
    check_names(L);
    c->path = option_str(L, "path");
    c->domain = option_str(L, "domain");
    c->same_site = option_same_site(L);
    c->secure = option_flag(L, "secure");
    c->http_only = option_flag(L, "http_only");
    c->partitioned = option_flag(L, "partitioned");
    c->has_max_age = option_seconds(L, "max_age", &c->max_age_s);
    c->has_expires = option_seconds(L, "expires", &c->expires_s);
}

// set_cookie(name, value, options or nil) -> the value of a Set-Cookie field; raises, naming what
// is wrong. The path is "/" unless given: a browser's own guess, the folder of the request,
// surprises.
static int set_cookie(lua_State *L) {
    mg_cookie c = {.name = mg_lua_check_str(L, 1), .value = mg_lua_check_str(L, 2)};
    lua_settop(L, 3);
    if (!lua_isnil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        read_options(L, &c);
    }
    if (c.path.n == 0) {
        c.path = MG_STR("/");
    }
    mg_error err;
    mg_buf *line = mg_scratch_take(L);
    int taken = lua_gettop(L);
    if (mg_cookie_write(line, &c, &err) != MG_OK) {
        mg_scratch_give(L, taken);
        return luaL_error(L, "%s", err.text);
    }
    mg_scratch_push(L, taken);
    return 1;
}

void mg_http_add_cookies(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"parse_cookies", parse_cookies},
        {"set_cookie", set_cookie},
        {NULL, NULL},
    };
    luaL_register(L, NULL, functions);
}
