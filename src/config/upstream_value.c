#include "config/upstream_value.h"

#include "client/call.h"
#include "config/path.h"
#include "http/cookie.h"
#include "http/uri.h"
#include "http/url.h"
#include "proxy/grpc.h"
#include "proxy/options.h"

#include <stdlib.h>

static mg_arena *arena_of(const mg_config_reading *r) {
    return &r->config->arena;
}

static bool is_text(const mg_config_reading *r, mg_json_token t) {
    return t == MG_JSON_STRING && r->json.text.n > 0 &&
           memchr(r->json.text.p, '\0', r->json.text.n) == NULL;
}

static bool is_whole(const mg_config_reading *r, mg_json_token t, int64_t least, int64_t most) {
    return t == MG_JSON_I64 && r->json.i64 >= least && r->json.i64 <= most;
}

// --- hash, sticky ---

// Takes "kind:name" apart. False: there is no name of that kind.
static bool named(mg_str text, mg_str kind, mg_str *name) {
    if (text.n <= kind.n || !mg_str_starts(text, kind)) {
        return false;
    }
    *name = (mg_str){text.p + kind.n, text.n - kind.n};
    return true;
}

static mg_hash_by hash_of(mg_str text, mg_str *name) {
    if (mg_str_eq(text, MG_STR("ip"))) {
        return MG_HASH_IP;
    }
    if (mg_str_eq(text, MG_STR("path"))) {
        return MG_HASH_PATH;
    }
    if (named(text, MG_STR("header:"), name) && mg_str_is_token(*name)) {
        return MG_HASH_HEADER;
    }
    if (named(text, MG_STR("cookie:"), name) && mg_str_is_token(*name)) {
        return MG_HASH_COOKIE;
    }
    return named(text, MG_STR("query:"), name) ? MG_HASH_QUERY : MG_HASH_NONE;
}

bool mg_config_take_hash(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_upstream_options *o = r->into;
    mg_str name = {0};
    (void)key;
    o->hash_by = is_text(r, t) ? hash_of(r->json.text, &name) : MG_HASH_NONE;
    o->hash_name = name.n > 0 ? mg_arena_copy(arena_of(r), name) : NULL;
    return o->hash_by != MG_HASH_NONE || t == MG_JSON_FALSE;
}

bool mg_config_take_sticky(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    const char **cookie = mg_config_field(r, key);
    mg_str name;
    *cookie = NULL;
    if (is_text(r, t) && named(r->json.text, MG_STR("cookie:"), &name) && mg_str_is_token(name)) {
        *cookie = mg_arena_copy(arena_of(r), name);
    }
    return *cookie != NULL || t == MG_JSON_FALSE;
}

// --- statuses ---

static void add_status(mg_status_set *set, uint64_t status) {
    set->bits[status / 64] |= (uint64_t)1 << (status % 64);
}

// "204" or "200-399"
static bool add_range(mg_status_set *set, mg_str item) {
    const char *dash = memchr(item.p, '-', item.n);
    size_t n = dash != NULL ? (size_t)(dash - item.p) : item.n;
    uint64_t from;
    uint64_t to;
    if (!mg_str_to_u64(mg_str_trim((mg_str){item.p, n}), 599, &from) || from < 100) {
        return false;
    }
    to = from;
    if (dash != NULL && !mg_str_to_u64(mg_str_trim((mg_str){dash + 1, item.n - n - 1}), 599, &to)) {
        return false;
    }
    for (uint64_t status = from; status <= to; status++) {
        add_status(set, status);
    }
    return to >= from;
}

bool mg_config_take_statuses(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_status_set *set = mg_config_field(r, key);
    mg_str item;
    *set = (mg_status_set){0};
    if (is_whole(r, t, 100, 599)) {
        add_status(set, (uint64_t)r->json.i64);
        return true;
    }
    bool good = is_text(r, t);
    for (mg_str rest = r->json.text; good && mg_str_next_item(&rest, &item);) {
        good = add_range(set, item);
    }
    return good;
}

static bool add_reason(mg_retry_options *o, const mg_config_reading *r, mg_json_token t) {
    if (is_whole(r, t, 400, 599)) {
        add_status(&o->on_status, (uint64_t)r->json.i64);
        return true;
    }
    bool connect = is_text(r, t) && mg_str_eq(r->json.text, MG_STR("connect"));
    bool closed = is_text(r, t) && mg_str_eq(r->json.text, MG_STR("closed"));
    bool timeout = is_text(r, t) && mg_str_eq(r->json.text, MG_STR("timeout"));
    mg_grpc_status grpc = is_text(r, t) ? mg_grpc_status_named(r->json.text) : MG_GRPC_STATUSES;
    bool told = grpc != MG_GRPC_OK && grpc < MG_GRPC_STATUSES;
    o->on_connect = o->on_connect || connect;
    o->on_closed = o->on_closed || closed;
    o->on_timeout = o->on_timeout || timeout;
    o->on_grpc |= told ? (uint32_t)1 << grpc : 0;
    return connect || closed || timeout || told;
}

bool mg_config_take_retry_on(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_retry_options *o = &((mg_upstream_options *)r->into)->retries;
    (void)key;
    o->on_connect = o->on_closed = o->on_timeout = false;
    o->on_status = (mg_status_set){0};
    o->on_grpc = 0;
    if (t != MG_JSON_ARRAY) {
        return false;
    }
    size_t before = r->path.n;
    mg_json_token item = mg_json_next(&r->json);
    for (size_t i = 1; item != MG_JSON_ARRAY_END && item != MG_JSON_ERROR; i++) {
        if (!add_reason(o, r, item)) {
            mg_buf_printf(&r->path, "[%zu]", i);
            mg_config_skip(r, item);
            mg_config_fault(r, "is no reason for a retry, allowed: \"connect\", \"closed\", "
                               "\"timeout\", a status from 400 to 599, or one of gRPC, "
                               "such as \"unavailable\"");
            r->path.n = before;
        }
        item = mg_json_next(&r->json);
    }
    return true;
}

// --- host and protocols ---

bool mg_config_take_host(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_upstream_options *o = r->into;
    (void)key;
    if (!is_text(r, t) || !mg_host_valid(r->json.text)) {
        return false;
    }
    o->host = mg_str_eq(r->json.text, MG_STR("client"))     ? MG_HOST_CLIENT
              : mg_str_eq(r->json.text, MG_STR("upstream")) ? MG_HOST_UPSTREAM
                                                            : MG_HOST_LITERAL;
    o->host_literal = mg_arena_copy(arena_of(r), r->json.text);
    return true;
}

enum { SERVICE_BYTES = 100 };

bool mg_config_take_service(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    const char **service = mg_config_field(r, key);
    bool named = t == MG_JSON_STRING && r->json.text.n <= SERVICE_BYTES &&
                 memchr(r->json.text.p, '\0', r->json.text.n) == NULL;
    *service = named ? mg_arena_copy(arena_of(r), r->json.text) : NULL;
    return named || t == MG_JSON_FALSE;
}

bool mg_config_take_http2(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    unsigned *http2 = mg_config_field(r, key);
    bool automatic = is_text(r, t) && mg_str_eq(r->json.text, MG_STR("auto"));
    *http2 = automatic ? MG_HTTP2_AUTO : t == MG_JSON_TRUE ? MG_HTTP2_ALWAYS : MG_HTTP2_NEVER;
    return automatic || t == MG_JSON_TRUE || t == MG_JSON_FALSE;
}

// `true` is what others call so: version 1.
bool mg_config_take_proxy_protocol(mg_config_reading *r, const mg_config_key *key,
                                   mg_json_token t) {
    unsigned *version = mg_config_field(r, key);
    bool is_version = is_whole(r, t, 1, 2);
    *version = t == MG_JSON_TRUE ? 1 : is_version ? (unsigned)r->json.i64 : 0;
    return is_version || t == MG_JSON_TRUE || t == MG_JSON_FALSE;
}

// --- a server's URL ---

static const char a_url[] =
    "allowed: \"http://host:port\", \"https://host:port\" or \"unix:run/x.sock\"";

static const char *check_unix(mg_config_reading *r, mg_upstream_server_options *o) {
    mg_str path = {r->json.text.p + 5, r->json.text.n - 5};
    mg_error err;
    if (mg_config_address(arena_of(r), r->config->root, r->json.text, &err) == NULL) {
        return "the path of the socket is too long or empty";
    }
    o->host = "";
    o->unix_path = mg_config_absolute(arena_of(r), r->config->root, path);
    return NULL;
}

static const char *check_uri(mg_config_reading *r, mg_upstream_server_options *o) {
    mg_uri uri;
    const char *why = NULL;
    if (mg_uri_parse(r->json.text, arena_of(r), &uri, &why) != MG_OK) {
        return why;
    }
    mg_str url = r->json.text;
    if (uri.target.n > 1 || memchr(url.p, '?', url.n) != NULL ||
        memchr(url.p, '#', url.n) != NULL) {
        return "a server has no path, the route says which one is asked for (strip)";
    }
    url.n -= url.p[url.n - 1] == '/';
    o->url = mg_arena_copy(arena_of(r), url);
    o->tls = uri.tls;
    o->port = uri.port;
    o->host = mg_arena_copy(arena_of(r), uri.host);
    return NULL;
}

// The text of the reader lies in its buffer: it is copied before anything else is read.
bool mg_config_take_server_url(mg_config_reading *r, const mg_config_key *key, mg_json_token t) {
    mg_upstream_server_options *o = r->into;
    (void)key;
    if (!is_text(r, t)) {
        return false;
    }
    o->url = mg_arena_copy(arena_of(r), r->json.text);
    const char *why =
        mg_str_starts(r->json.text, MG_STR("unix:")) ? check_unix(r, o) : check_uri(r, o);
    if (why != NULL) { // a password may be in it, which no fault shows
        bool secret = memchr(r->json.text.p, '@', r->json.text.n) != NULL;
        mg_config_fault(r, "%s%s%s is no URL of a server: %s; %s", secret ? "" : "\"",
                        secret ? "it" : o->url, secret ? "" : "\"", why, a_url);
    }
    return true;
}
