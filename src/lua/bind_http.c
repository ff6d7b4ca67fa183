#include "lua/bind_http.h"

#include "http/content_type.h"
#include "http/date.h"
#include "http/form.h"
#include "http/mime.h"
#include "http/multipart.h"
#include "http/status.h"
#include "lua/args.h"
#include "lua/scratch.h"
#include "proxy/grpc.h"

#include <lauxlib.h>

static const char parser_type[] = "moongate.multipart";

// --- queries and urlencoded forms ---

// Pushes a map of the last value of each key, and the list of { key, value }. False if there are
// more than `max` pairs.
static bool push_pairs(lua_State *L, mg_str rest, int max) {
    lua_settop(L, 1);
    mg_buf *scratch = mg_scratch_take(L);
    lua_newtable(L);
    lua_newtable(L);
    mg_str key;
    mg_str value;
    int n = 0;
    while (n < max && mg_form_next(&rest, scratch, &key, &value)) {
        lua_createtable(L, 2, 0);
        mg_lua_push_str(L, key);
        mg_lua_push_str(L, value);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 3);
        lua_rawseti(L, -3, 2);
        lua_rawseti(L, -2, 1);
        lua_rawseti(L, 4, ++n);
    }
    bool more = rest.n > 0 && mg_form_next(&rest, scratch, &key, &value);
    mg_scratch_give(L, 2);
    return !more;
}

// parse_query(text) -> map of the last values, list of { key, value }. The limit of the request
// line is its limit too.
static int parse_query(lua_State *L) {
    push_pairs(L, mg_lua_check_str(L, 1), INT32_MAX);
    return 2;
}

static int refuse_count(lua_State *L, int most, const char *what) {
    lua_pushnil(L);
    lua_pushfstring(L, "the form has more than %d %s", most, what);
    lua_pushliteral(L, "limit");
    return 3;
}

// parse_form(text, most fields or nil) -> the same | nil, message, "limit"
static int parse_form(lua_State *L) {
    int most = (int)luaL_optinteger(L, 2, MG_FORM_PAIRS);
    return push_pairs(L, mg_lua_check_str(L, 1), most) ? 2 : refuse_count(L, most, "fields");
}

// --- multipart forms ---

// A userdata, so that nothing leaks when Lua raises in the middle.
typedef struct parser {
    mg_multipart multipart;
    lua_State *L; // the part under way is at the top of its stack, the list below
    mg_buf body;
    int count;
} parser;

static void release(parser *p) {
    mg_multipart_deinit(&p->multipart);
    mg_buf_deinit(&p->body);
}

static int collect(lua_State *L) {
    release(lua_touserdata(L, 1));
    return 0;
}

// Registered only when it is complete: Lua may raise in between.
static void make_parser_type(lua_State *L) {
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_setfield(L, LUA_REGISTRYINDEX, parser_type);
}

static parser *push_parser(lua_State *L) {
    parser *p = lua_newuserdata(L, sizeof *p);
    *p = (parser){.L = L};
    luaL_getmetatable(L, parser_type);
    lua_setmetatable(L, -2);
    return p;
}

static void on_part(void *arg, const mg_part *part) {
    parser *p = arg;
    mg_buf_clear(&p->body);
    lua_createtable(p->L, 0, 5);
    mg_lua_set_text(p->L, "name", part->name);
    mg_lua_set_text(p->L, "content_type", part->content_type);
    if (part->has_filename) {
        mg_lua_set_text(p->L, "filename", part->filename);
    }
    if (part->transfer_encoding.p != NULL) {
        mg_lua_set_text(p->L, "transfer_encoding", part->transfer_encoding);
    }
}

static void on_data(void *arg, mg_str piece) {
    mg_buf_append_str(&((parser *)arg)->body, piece);
}

static void on_part_end(void *arg) {
    parser *p = arg;
    mg_lua_set_text(p->L, "body", mg_buf_str(&p->body));
    lua_rawseti(p->L, -2, ++p->count);
}

// parse_multipart(body, content_type, most parts or nil) -> list of { name, filename, content_type,
// transfer_encoding, body } | nil, message, "limit" or nil
static int parse_multipart(lua_State *L) {
    static const mg_multipart_events events = {on_part, on_data, on_part_end};
    mg_str body = mg_lua_check_str(L, 1);
    mg_str type = mg_lua_check_str(L, 2);
    int most = (int)luaL_optinteger(L, 3, MG_MULTIPART_PARTS);
    lua_settop(L, 2);
    parser *p = push_parser(L);
    lua_newtable(L);
    int rc = mg_multipart_init(&p->multipart, type, &events, p);
    if (rc == MG_OK) {
        p->multipart.max_parts = most;
        mg_multipart_feed(&p->multipart, body);
        rc = mg_multipart_finish(&p->multipart);
    }
    bool too_many = p->multipart.parts > most;
    release(p);
    if (too_many) {
        return refuse_count(L, most, "parts");
    }
    return rc == MG_OK ? 1 : mg_lua_refuse(L, p->multipart.error);
}

// --- the same as they come ---

// What has come of a form: at most one piece of the body at once. The list of events of the piece
// being fed is at the top of the stack: a table begins a part, texts are its content, false ends
// it.
static const char form_type[] = "moongate.form";

static void note(parser *p) {
    lua_rawseti(p->L, -2, ++p->count);
}

static void on_form_part(void *arg, const mg_part *part) {
    on_part(arg, part);
    note(arg);
}

static void on_form_data(void *arg, mg_str piece) {
    mg_lua_push_str(((parser *)arg)->L, piece);
    note(arg);
}

static void on_form_part_end(void *arg) {
    lua_pushboolean(((parser *)arg)->L, 0);
    note(arg);
}

// form(content_type, most parts) -> a form | nil, message
static int new_form(lua_State *L) {
    static const mg_multipart_events events = {on_form_part, on_form_data, on_form_part_end};
    mg_str type = mg_lua_check_str(L, 1);
    int most = (int)luaL_checkinteger(L, 2);
    parser *p = lua_newuserdata(L, sizeof *p);
    *p = (parser){.L = L};
    luaL_getmetatable(L, form_type);
    lua_setmetatable(L, -2);
    if (mg_multipart_init(&p->multipart, type, &events, p) != MG_OK) {
        return mg_lua_refuse(L, p->multipart.error);
    }
    p->multipart.max_parts = most;
    return 1;
}

// form:feed(piece, or nil at the end of the body) -> list of events, nil or a message, "limit" or
// nil
static int feed_form(lua_State *L) {
    parser *p = luaL_checkudata(L, 1, form_type);
    bool over = lua_isnoneornil(L, 2);
    mg_str piece = over ? (mg_str){NULL, 0} : mg_lua_check_str(L, 2);
    lua_settop(L, 2);
    lua_newtable(L);
    p->L = L;
    p->count = 0;
    int rc = over ? mg_multipart_finish(&p->multipart) : mg_multipart_feed(&p->multipart, piece);
    if (rc == MG_OK) {
        return 1;
    }
    lua_pushstring(L, p->multipart.error);
    lua_pushstring(L, rc == MG_ELIMIT ? "limit" : NULL);
    return 3;
}

static void make_form_type(lua_State *L) {
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, feed_form);
    lua_setfield(L, -2, "feed");
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_setfield(L, LUA_REGISTRYINDEX, form_type);
}

// --- media types ---

static void push_lower(lua_State *L, mg_str s) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < s.n; i++) {
        luaL_addchar(&b, mg_lower(s.p[i]));
    }
    luaL_pushresult(&b);
}

void mg_http_set_first(lua_State *L, mg_str value) {
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    bool is_new = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (is_new) {
        mg_lua_push_str(L, value);
        lua_rawset(L, -3);
    } else {
        lua_pop(L, 1);
    }
}

// parse_content_type(text) -> "type/subtype", map of its parameters | nil, message. Type and names
// in lower case; of a repeated name the first.
static int parse_content_type(lua_State *L) {
    mg_str params;
    mg_str type = mg_media_type(mg_lua_check_str(L, 1), &params);
    mg_str name;
    mg_str value;
    lua_settop(L, 1);
    mg_buf *scratch = mg_scratch_take(L);
    push_lower(L, type);
    lua_newtable(L);
    while (mg_param_next(&params, &name, &value, scratch)) {
        push_lower(L, name);
        mg_http_set_first(L, value);
    }
    mg_scratch_give(L, 2);
    return mg_media_type_valid(type) && params.n == 0
               ? 2
               : mg_lua_refuse(L, "the media type is malformed");
}

// mime(path) -> the media type of a file of that name
static int mime(lua_State *L) {
    mg_lua_push_str(L, mg_mime_of(mg_lua_check_str(L, 1)));
    return 1;
}

// --- dates, phrases ---

// date(seconds since 1970) -> IMF-fixdate
static int date(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
    bool known = seconds >= (double)MG_DATE_MIN && seconds < (double)MG_DATE_MAX + 1;
    luaL_argcheck(L, known, 1, "a time in the years 0 to 9999 expected");
    char text[MG_DATE_BYTES + 1];
    mg_date_write(text, (int64_t)seconds);
    lua_pushlstring(L, text, MG_DATE_BYTES);
    return 1;
}

// parse_date(text) -> seconds since 1970 | nil, message
static int parse_date(lua_State *L) {
    int64_t seconds;
    if (!mg_date_parse(mg_lua_check_str(L, 1), &seconds)) {
        return mg_lua_refuse(L, "not a date of HTTP");
    }
    lua_pushnumber(L, (lua_Number)seconds);
    return 1;
}

static int status_phrase(lua_State *L) {
    mg_lua_push_str(L, mg_status_phrase((int)luaL_checkinteger(L, 1)));
    return 1;
}

// How a call of gRPC is told of a fault that has this status elsewhere.
static int grpc_status(lua_State *L) {
    lua_pushinteger(L, mg_grpc_status_of((int)luaL_checkinteger(L, 1)));
    return 1;
}

int mg_open_http(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"parse_query", parse_query},
        {"parse_form", parse_form},
        {"parse_multipart", parse_multipart},
        {"form", new_form},
        {"parse_content_type", parse_content_type},
        {"mime", mime},
        {"date", date},
        {"parse_date", parse_date},
        {"status_phrase", status_phrase},
        {"grpc_status", grpc_status},
        {NULL, NULL},
    };
    make_parser_type(L);
    make_form_type(L);
    lua_createtable(L, 0, 12);
    luaL_register(L, NULL, functions);
    mg_http_add_cookies(L);
    return 1;
}
