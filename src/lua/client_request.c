#include "lua/client_request.h"

#include "base/version.h"
#include "client/rules.h"
#include "http/uri.h"
#include "lua/args.h"
#include "lua/number_text.h"

#include <lauxlib.h>
#include <stdio.h>
#include <sys/un.h>

enum {
    BODY_BYTES = 16 << 20,
    HEAD_BYTES = 64 << 10,
};

static const char too_large[] = "the header fields are larger than 64 KiB";

// --- header fields ---

// What would contradict the client's own framing or the life of its connections.
static bool is_ours(mg_field_id id) {
    return mg_field_id_is_hop_by_hop(id) || id == MG_FIELD_CONTENT_LENGTH || id == MG_FIELD_EXPECT;
}

// The value is at the top of the stack: a string, or a number, which is left as it is. NULL: it is
// neither.
static mg_str value_at_top(lua_State *L, mg_arena *arena) {
    mg_buf number = {0};
    mg_str value = {0};
    if (lua_type(L, -1) == LUA_TSTRING) {
        value = mg_lua_str(L, -1);
    } else if (mg_number_text(L, -1, &number) == MG_OK) {
        value = (mg_str){mg_arena_copy(arena, mg_buf_str(&number)), number.n};
    }
    mg_buf_deinit(&number);
    return value;
}

static int add_value(lua_State *L, mg_call_options *o, mg_str name) {
    mg_str value = value_at_top(L, o->fields.arena);
    return value.p != NULL ? mg_fields_add(&o->fields, name, value) : MG_ESYNTAX;
}

// One field, or one for each member of a list.
static int add_values(lua_State *L, mg_call_options *o, mg_str name) {
    if (!lua_istable(L, -1)) {
        return add_value(L, o, name);
    }
    for (int i = 1;; i++) {
        lua_rawgeti(L, -1, i);
        bool end = lua_isnil(L, -1);
        int rc = end ? MG_OK : add_value(L, o, name);
        lua_pop(L, 1);
        if (end || rc != MG_OK) {
            return rc;
        }
    }
}

// A host that is named is asked for instead of the URL's. There is one.
static const char *set_host(lua_State *L, mg_call_options *o) {
    if (o->authority.p != NULL || lua_istable(L, -1)) {
        return "headers: one host is wanted";
    }
    o->authority = value_at_top(L, o->fields.arena);
    bool good = o->authority.p != NULL && mg_field_is_value(o->authority);
    return good ? NULL : "headers: the name or value of \"host\" is not allowed in HTTP";
}

static const char *add_field(lua_State *L, mg_call_options *o, char text[256]) {
    mg_str name = {0};
    if (lua_type(L, -2) != LUA_TSTRING) {
        return "headers: a table of names and values is wanted";
    }
    name = mg_lua_str(L, -2);
    mg_field_id id = mg_field_id_of(name);
    if (id == MG_FIELD_HOST) {
        return set_host(L, o);
    }
    if (is_ours(id)) {
        snprintf(text, 256, "headers: %.*s is the client's own to send", (int)name.n, name.p);
        return text;
    }
    int rc = add_values(L, o, name);
    if (rc == MG_ESYNTAX) {
        snprintf(text, 256, "headers: the name or value of \"%.*s\" is not allowed in HTTP",
                 (int)(name.n < 64 ? name.n : 64), name.p);
    }
    return rc == MG_OK ? NULL : rc == MG_ESYNTAX ? text : too_large;
}

static const char *add_fields(lua_State *L, int index, mg_call_options *o, char text[256]) {
    if (!lua_istable(L, index)) {
        return NULL;
    }
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        const char *fault = add_field(L, o, text);
        if (fault != NULL) {
            lua_pop(L, 2);
            return fault;
        }
    }
    return NULL;
}

static void add_own(mg_fields *l, mg_field_id id, mg_str value) {
    if (mg_fields_find(l, id) == NULL) {
        (void)mg_fields_add_id(l, id, value); // the last look at the size is behind it
    }
}

static void add_own_fields(mg_call_options *o) {
    bool part = mg_fields_find(&o->fields, MG_FIELD_RANGE) != NULL;
    o->fields.limit = MG_FIELDS_BYTES;
    add_own(&o->fields, MG_FIELD_USER_AGENT, MG_STR("moongate/" MG_VERSION));
    add_own(&o->fields, MG_FIELD_ACCEPT, MG_STR("*/*"));
    if (o->decode) { // a part of coded content cannot be decoded
        add_own(&o->fields, MG_FIELD_ACCEPT_ENCODING,
                part ? MG_STR("identity") : MG_STR("gzip, deflate"));
    }
}

// --- options ---

static mg_str text_option(lua_State *L, const char *key) {
    mg_str s = {0};
    lua_getfield(L, 5, key);
    if (lua_type(L, -1) == LUA_TSTRING) {
        s = mg_lua_str(L, -1); // stays where it is: the table holds it
    }
    lua_pop(L, 1);
    return s;
}

static double number_option(lua_State *L, const char *key, double fallback) {
    lua_getfield(L, 5, key);
    double v = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : fallback;
    lua_pop(L, 1);
    return v;
}

static bool bool_option(lua_State *L, const char *key, bool fallback) {
    lua_getfield(L, 5, key);
    bool v = lua_isnil(L, -1) ? fallback : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return v;
}

// Appends the entries of the list `key`, or the one that it is. http.lua has checked their types.
static void append_rules(lua_State *L, const char *key, mg_rules_list list, mg_buf *out) {
    lua_getfield(L, 5, key);
    if (lua_type(L, -1) == LUA_TSTRING) {
        mg_rules_append(out, list, mg_str_of(lua_tostring(L, -1)));
    }
    size_t n = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, -1, (int)i);
        mg_rules_append(out, list, mg_str_of(lua_tostring(L, -1)));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

static const char *read_rules(lua_State *L, mg_arena *arena, mg_call_origin *origin,
                              char text[256]) {
    mg_buf all = {0};
    mg_rules *rules = NULL;
    mg_error err;
    if (lua_istable(L, 5)) {
        append_rules(L, "deny", MG_RULES_DENY, &all);
        append_rules(L, "allow", MG_RULES_ALLOW, &all);
    }
    int rc = mg_rules_new(&rules, mg_buf_str(&all), &err);
    mg_rules_free(rules);
    if (all.n > 0) {
        origin->rules = (mg_str){mg_arena_copy(arena, mg_buf_str(&all)), all.n};
    }
    mg_buf_deinit(&all);
    if (rc != MG_OK) {
        snprintf(text, 256, "deny, allow: %.240s", err.text);
        return text;
    }
    return NULL;
}

static uint32_t ms_option(lua_State *L, const char *key, uint32_t fallback_ms) {
    double s = number_option(L, key, (double)fallback_ms / 1000);
    double ms = s * 1000;
    return ms < 1 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

// options.lua has checked that it is one of these.
static mg_http2 http2_option(lua_State *L) {
    lua_getfield(L, 5, "http2");
    mg_http2 given = lua_isnil(L, -1)        ? MG_HTTP2_UNSAID
                     : !lua_isboolean(L, -1) ? MG_HTTP2_AUTO
                     : lua_toboolean(L, -1)  ? MG_HTTP2_ALWAYS
                                             : MG_HTTP2_NEVER;
    lua_pop(L, 1);
    return given;
}

static void read_options(lua_State *L, mg_call_options *o, mg_call_origin *origin) {
    o->timeouts = (mg_call_timeouts){
        .connect_ms = MG_CALL_CONNECT_MS, .total_ms = MG_CALL_TOTAL_MS, .idle_ms = MG_CALL_IDLE_MS};
    o->max_bytes = BODY_BYTES;
    o->decode = true;
    o->length = -1;
    if (!lua_istable(L, 5)) {
        return;
    }
    o->timeouts.total_ms = ms_option(L, "timeout", MG_CALL_TOTAL_MS);
    o->timeouts.connect_ms = ms_option(L, "connect_timeout", MG_CALL_CONNECT_MS);
    o->timeouts.idle_ms = ms_option(L, "idle_timeout", MG_CALL_IDLE_MS);
    o->timeouts.first_byte_ms = ms_option(L, "first_byte_timeout", o->timeouts.total_ms);
    o->length = (int64_t)number_option(L, "length", -1);
    o->decode = bool_option(L, "decompress", true);
    o->stream = bool_option(L, "stream", false);
    double most = number_option(L, "max", -1);
    if (most >= 0) {
        o->max_bytes = (uint64_t)most;
    } else if (o->stream) {
        o->max_bytes = UINT64_MAX; // it is not gathered
    }
    o->upload = bool_option(L, "upload", false);
    origin->insecure = bool_option(L, "insecure", false);
    origin->http2 = http2_option(L);
    origin->ca = text_option(L, "ca");
    origin->server_name = text_option(L, "server_name");
    origin->unix_path = text_option(L, "unix");
}

// --- streams without HTTP ---

const char *mg_client_raw_read(lua_State *L, mg_arena *arena, mg_raw_options *out,
                               uint32_t *idle_ms, char text[256]) {
    mg_call_origin *origin = &out->origin;
    if (!lua_isnil(L, 1)) {
        origin->host = mg_lua_check_str(L, 1);
    }
    origin->port = (uint16_t)lua_tonumber(L, 2);
    if (!lua_isnil(L, 3)) {
        origin->unix_path = mg_lua_check_str(L, 3);
    }
    origin->tls = bool_option(L, "tls", false);
    origin->insecure = bool_option(L, "insecure", false);
    origin->ca = text_option(L, "ca");
    origin->cert = text_option(L, "cert");
    origin->key = text_option(L, "key");
    origin->server_name = text_option(L, "server_name");
    if (!lua_isnil(L, 4)) {
        out->alpn = mg_lua_check_str(L, 4);
    }
    out->timeout_ms = ms_option(L, "timeout", MG_CALL_CONNECT_MS);
    *idle_ms = number_option(L, "idle", 0) > 0 ? ms_option(L, "idle", 0) : 0;
    return read_rules(L, arena, origin, text);
}

// --- the request line ---

static bool one_of(mg_str s, const char *const *names) {
    for (; *names != NULL; names++) {
        if (mg_str_eq(s, mg_str_of(*names))) {
            return true;
        }
    }
    return false;
}

static const char *read_method(mg_call_options *o) {
    static const char *const idempotent[] = {"GET",    "HEAD",  "OPTIONS", "PUT",
                                             "DELETE", "TRACE", NULL};
    static const char *const with_body[] = {"POST", "PUT", "PATCH", NULL};
    mg_str method = o->method;
    if (!mg_str_is_token(method) || mg_str_eq(method, MG_STR("CONNECT"))) {
        return "method: a name such as \"GET\" is wanted (not CONNECT)";
    }
    o->idempotent = one_of(method, idempotent);
    o->has_body = o->body.p != NULL || one_of(method, with_body);
    return NULL;
}

static const char *read_head(lua_State *L, const mg_uri *uri, mg_arena *arena, mg_call_options *o,
                             char text[256]) {
    mg_fields_init(&o->fields, arena);
    o->fields.limit = HEAD_BYTES;
    o->target = uri->target;
    const char *fault = add_fields(L, 3, o, text);
    if (o->authority.p == NULL) {
        o->authority = uri->authority;
    }
    add_own_fields(o);
    bool small = o->method.n + o->target.n + o->authority.n + o->fields.bytes <= HEAD_BYTES;
    return fault == NULL && !small ? too_large : fault;
}

const char *mg_client_request_read(lua_State *L, mg_arena *arena, mg_call_options *o,
                                   char text[256]) {
    *o = (mg_call_options){0};
    o->method = mg_lua_check_str(L, 1);
    mg_str url = mg_lua_check_str(L, 2);
    if (!lua_isnoneornil(L, 4)) {
        o->body = mg_lua_check_str(L, 4);
    }
    mg_uri uri;
    const char *why;
    mg_call_origin *origin = mg_arena_alloc(arena, sizeof *origin);
    *origin = (mg_call_origin){0};
    o->origin = origin;
    read_options(L, o, origin);
    const char *fault = read_method(o);
    fault = fault != NULL ? fault : read_rules(L, arena, origin, text);
    if (fault == NULL && mg_uri_parse(url, arena, &uri, &why) != MG_OK) {
        snprintf(text, 256, "url: %s", why);
        fault = text;
    }
    if (fault == NULL && origin->unix_path.n >= sizeof((struct sockaddr_un *)0)->sun_path) {
        fault = "unix: the path is longer than 107 bytes";
    }
    if (fault != NULL) {
        return fault;
    }
    origin->tls = uri.tls;
    origin->port = uri.port;
    origin->host = uri.host;
    return read_head(L, &uri, arena, o, text);
}
