#include "lua/bind_http.h"

#include "http/cookie.h"
#include "http/date.h"
#include "http/h1_write.h"
#include "http/mime.h"
#include "http/multipart.h"
#include "http/url.h"

#include <lauxlib.h>

static mg_str check_str(lua_State *L, int index) {
    mg_str s = {0};
    s.p = luaL_checklstring(L, index, &s.n);
    return s;
}

static void push_str(lua_State *L, mg_str s) {
    lua_pushlstring(L, s.p, s.n);
}

// --- queries and forms (application/x-www-form-urlencoded) ---

static void push_decoded(lua_State *L, mg_str s, mg_buf *scratch) {
    if (s.n == 0 || (memchr(s.p, '%', s.n) == NULL && memchr(s.p, '+', s.n) == NULL)) {
        push_str(L, s);
        return;
    }
    mg_buf_clear(scratch);
    mg_url_decode(s, true, scratch);
    push_str(L, mg_buf_str(scratch));
}

// parse_query(text) -> map of the last value of each key, list of { key, value }
static int parse_query(lua_State *L) {
    mg_str rest = check_str(L, 1);
    mg_str key;
    mg_str value;
    mg_buf scratch = {0};
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 1; mg_query_next(&rest, &key, &value); i++) {
        lua_createtable(L, 2, 0);
        push_decoded(L, key, &scratch);
        push_decoded(L, value, &scratch);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -7);
        lua_rawseti(L, -3, 2);
        lua_rawseti(L, -2, 1);
        lua_rawseti(L, -2, i);
    }
    mg_buf_deinit(&scratch);
    return 2;
}

// --- multipart ---

// Collects parts into the list at the top of the stack.
typedef struct parts {
    lua_State *L;
    mg_buf body;
    int count;
} parts;

static void set_field(lua_State *L, const char *key, mg_str value) {
    push_str(L, value);
    lua_setfield(L, -2, key);
}

static void on_part(void *arg, const mg_part *part) {
    parts *p = arg;
    mg_buf_clear(&p->body);
    lua_createtable(p->L, 0, 4);
    set_field(p->L, "name", part->name);
    set_field(p->L, "content_type", part->content_type);
    if (part->has_filename) {
        set_field(p->L, "filename", part->filename);
    }
}

static void on_data(void *arg, mg_str piece) {
    mg_buf_append_str(&((parts *)arg)->body, piece);
}

static void on_part_end(void *arg) {
    parts *p = arg;
    set_field(p->L, "body", mg_buf_str(&p->body));
    lua_rawseti(p->L, -2, ++p->count);
}

// parse_multipart(body, content_type) -> list of { name, filename, content_type, body } | nil, message
static int parse_multipart(lua_State *L) {
    static const mg_multipart_events events = {on_part, on_data, on_part_end};
    mg_str body = check_str(L, 1);
    mg_str type = check_str(L, 2);
    parts p = {.L = L};
    mg_multipart m;
    lua_newtable(L);
    int rc = mg_multipart_init(&m, type, &events, &p);
    if (rc == MG_OK) {
        rc = mg_multipart_feed(&m, body);
    }
    if (rc == MG_OK) {
        rc = mg_multipart_finish(&m);
    }
    const char *error = m.error;
    mg_multipart_deinit(&m);
    mg_buf_deinit(&p.body);
    if (rc == MG_OK) {
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, error);
    return 2;
}

// --- cookies ---

// parse_cookies(text) -> map; of a repeated name the first, which is the one with the longer path (RFC 6265 section 5.4)
static int parse_cookies(lua_State *L) {
    mg_str rest = check_str(L, 1);
    mg_str name;
    mg_str value;
    lua_newtable(L);
    while (mg_cookie_next(&rest, &name, &value)) {
        push_str(L, name);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        bool is_new = lua_isnil(L, -1);
        lua_pop(L, 1);
        if (is_new) {
            push_str(L, value);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 1);
        }
    }
    return 1;
}

static void check_options(lua_State *L, int index) {
    static const char *const known[] = {"path",      "domain",    "max_age",   "expires", "secure",
                                        "http_only", "same_site", "partitioned", NULL};
    lua_pushnil(L);
    while (lua_next(L, index) != 0) {
        lua_pop(L, 1);
        const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
        bool found = false;
        for (size_t i = 0; known[i] != NULL; i++) {
            found |= strcmp(known[i], key) == 0;
        }
        if (!found) {
            luaL_error(L,
                       "cookie: the option '%s' is unknown, allowed are path, domain, max_age, expires, "
                       "secure, http_only, same_site, partitioned",
                       key);
        }
    }
}

static mg_str option_str(lua_State *L, int index, const char *key) {
    mg_str s = {0};
    lua_getfield(L, index, key);
    if (lua_isstring(L, -1)) {
        s.p = lua_tolstring(L, -1, &s.n);
    }
    lua_pop(L, 1); // the options' table keeps it
    return s;
}

static bool option_flag(lua_State *L, int index, const char *key) {
    lua_getfield(L, index, key);
    bool on = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

static bool option_number(lua_State *L, int index, const char *key, int64_t *out) {
    lua_getfield(L, index, key);
    bool is_number = lua_type(L, -1) == LUA_TNUMBER;
    if (is_number) {
        *out = (int64_t)lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
    return is_number;
}

static mg_same_site same_site_of(lua_State *L, mg_str text) {
    static const char *const names[] = {[MG_SAME_SITE_STRICT] = "strict",
                                        [MG_SAME_SITE_LAX] = "lax",
                                        [MG_SAME_SITE_NONE] = "none"};
    for (int i = MG_SAME_SITE_STRICT; i <= MG_SAME_SITE_NONE; i++) {
        if (mg_str_ieq(text, mg_str_of(names[i]))) {
            return (mg_same_site)i;
        }
    }
    if (text.n > 0) {
        luaL_error(L, "cookie: same_site is \"strict\", \"lax\" or \"none\"");
    }
    return MG_SAME_SITE_UNSET;
}

static void read_options(lua_State *L, int index, mg_cookie *c) {
    check_options(L, index);
    c->path = option_str(L, index, "path");
    c->domain = option_str(L, index, "domain");
    c->same_site = same_site_of(L, option_str(L, index, "same_site"));
    c->secure = option_flag(L, index, "secure");
    c->http_only = option_flag(L, index, "http_only");
    c->partitioned = option_flag(L, index, "partitioned");
    c->has_max_age = option_number(L, index, "max_age", &c->max_age_s);
    c->has_expires = option_number(L, index, "expires", &c->expires_s);
}

// set_cookie(name, value, options or nil) -> the value of a Set-Cookie field; raises, naming what is wrong. The path is "/" unless
// given.
static int set_cookie(lua_State *L) {
    mg_cookie c = {.name = check_str(L, 1), .value = check_str(L, 2)};
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        read_options(L, 3, &c);
    }
    if (c.path.n == 0) {
        c.path = MG_STR("/");
    }
    mg_buf out = {0};
    mg_error err;
    int rc = mg_cookie_write(&out, &c, &err);
    if (rc != MG_OK) {
        mg_buf_deinit(&out);
        return luaL_error(L, "%s", err.text);
    }
    push_str(L, mg_buf_str(&out));
    mg_buf_deinit(&out);
    return 1;
}

// --- dates, types ---

// date(seconds since 1970) -> IMF-fixdate
static int date(lua_State *L) {
    char text[30];
    mg_date_write(text, (int64_t)luaL_checknumber(L, 1));
    lua_pushlstring(L, text, MG_DATE_BYTES);
    return 1;
}

// parse_date(text) -> seconds | nil
static int parse_date(lua_State *L) {
    int64_t seconds;
    if (!mg_date_parse(check_str(L, 1), &seconds)) {
        return 0;
    }
    lua_pushnumber(L, (lua_Number)seconds);
    return 1;
}

static int mime(lua_State *L) {
    push_str(L, mg_mime_of(check_str(L, 1)));
    return 1;
}

static int status_phrase(lua_State *L) {
    push_str(L, mg_status_phrase((int)luaL_checkinteger(L, 1)));
    return 1;
}

int mg_open_http(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"parse_query", parse_query},     {"parse_form", parse_query},
        {"parse_cookies", parse_cookies}, {"parse_multipart", parse_multipart},
        {"set_cookie", set_cookie},       {"date", date},
        {"parse_date", parse_date},       {"mime", mime},
        {"status_phrase", status_phrase}, {NULL, NULL},
    };
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
