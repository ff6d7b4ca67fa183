#include "config/schema.h"

#include <stdlib.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

enum { LEAST_MS = 10, DAY_MS = 86400000 };

#define AT(field) offsetof(mg_config, field)
#define TABLE(path, about)                                                                         \
    { path, MG_CONFIG_TABLE, 0, NULL, 0, 0, NULL, about }
#define RESERVED(path)                                                                             \
    { path, MG_CONFIG_RESERVED, 0, NULL, 0, 0, NULL, NULL }
#define OTHER(path, kind, at, fallback, about)                                                     \
    { path, MG_CONFIG_##kind, at, fallback, 0, 0, NULL, about }
#define CHOICE(path, at, fallback, choices, about)                                                 \
    { path, MG_CONFIG_CHOICE, at, fallback, 0, 0, choices, about }
#define LIMIT(name, kind, fallback, min, max, about)                                               \
    { "limits." #name, MG_CONFIG_##kind, AT(limits.name), fallback, min, max, NULL, about }
#define HTTP(name, kind, fallback, min, max, about)                                                \
    { "http." #name, MG_CONFIG_##kind, AT(http.name), fallback, min, max, NULL, about }
#define TIMEOUT(name, fallback, min, about)                                                        \
    {                                                                                              \
        "timeouts." #name, MG_CONFIG_SECONDS, AT(timeouts.name##_ms), fallback, min, DAY_MS, NULL, \
            about                                                                                  \
    }

const mg_config_key mg_config_keys[] = {
    OTHER("listen", LISTEN, AT(listen), "[\"0.0.0.0:8080\"]", "Where to listen"),
    OTHER("workers", WORKERS, AT(workers), "\"auto\"",
          "Processes that serve; 0: one alone, without a master"),
    OTHER("app", PATH, AT(app), "\"lua/app.lua\"", "The script that returns the app"),
    OTHER("scripts", TEXTS, AT(scripts), "[\".\"]",
          "Where scripts are read, files and folders; \".\": all below the project's root"),
    OTHER("ffi", BOOL, AT(ffi), "false",
          "May scripts use LuaJIT's ffi: a mistake in it ends the worker"),
    OTHER("user", OPTIONAL_NAME, AT(user), "false", "Workers run as \"name\" or \"name:group\""),
    OTHER("control", OPTIONAL_PATH, AT(control), "false",
          "The control socket; false: a private place is found"),
    OTHER("trusted_proxies", TEXTS, AT(trusted_proxies), "[]",
          "Peers that are believed about the client, as \"10.0.0.0/8\", \"unix\""),
    OTHER("forwarded", FORWARDED, AT(forwarded), "\"x-forwarded-for\"",
          "... in these fields alone"),

    OTHER("database", DATABASE, AT(databases), "false", "For ctx:query_database"),
    OTHER("cache", CACHE, AT(cache), "\"memory:64M\"", "Of all workers; a size needs a restart"),
    OTHER("redis", REDIS, AT(redis), "false", "For moongate.redis(); else the cache's"),

    TABLE("http", "Calls to other servers: ctx:http_request"),
    HTTP(connections, COUNT, "64", 1, 4096, "Connections of a worker to one origin"),
    HTTP(waiting, COUNT, "1024", 0, 1000000, "Calls that wait for one of them; beyond it an error"),
    HTTP(idle_connections, COUNT, "32", 0, 4096, "Connections kept to one origin"),
    {"http.idle", MG_CONFIG_SECONDS, AT(http.idle_ms), "30", LEAST_MS, DAY_MS, NULL,
     "... for so long, in seconds"},
    OTHER("http.http2", HTTP2, AT(http.http2), "\"auto\"",
          "\"auto\": over TLS, if the server offers it; true: without TLS too"),
    {"http.ping", MG_CONFIG_SECONDS, AT(http.ping_ms), "15", 0, DAY_MS, NULL,
     "HTTP/2: a server that is silent for so long gets a PING; 0: none"},
    OTHER("http.ca", OPTIONAL_FILE, AT(http.ca), "false",
          "Certificates that are trusted, PEM; false: the system's"),
    OTHER("http.nameservers", NAMESERVERS, AT(http.nameservers), "false",
          "Asked for names; false: as resolv.conf says"),
    OTHER("http.deny", TEXTS, AT(http.deny), "[]",
          "Never called: \"10.0.0.0/8\", \"private\", \"loopback\", \"unix\""),
    OTHER("http.allow", TEXTS, AT(http.allow), "[]",
          "... but for these; without http.deny: no others are"),

    OTHER("upstreams", UPSTREAMS, AT(upstreams), "{}", "Servers for app:proxy and ctx:proxy"),
    TABLE("proxy", "Servers that no upstream names: ctx:proxy(url)"),
    OTHER("proxy.open", BOOL, AT(proxy_open), "false",
          "They may be asked, but for http.deny; private addresses only by http.allow"),

    TABLE("limits", "How much one peer may ask for"),
    LIMIT(request_line, SIZE, "\"8K\"", 256, MIB, "The request line; beyond it 414"),
    LIMIT(header_bytes, SIZE, "\"32K\"", KIB, 16 * MIB, "All header fields; beyond it 431"),
    LIMIT(header_fields, COUNT, "100", 1, 10000, "Count of header fields; beyond it 431"),
    LIMIT(chunk_extensions, SIZE, "\"16K\"", 0, MIB, "Chunk extensions of a body; beyond it 400"),
    LIMIT(trailers, SIZE, "\"16K\"", 0, MIB, "Trailer fields; beyond it 431"),
    LIMIT(body, SIZE, "\"16M\"", 0, TIB,
          "The request's body; beyond it 413; a route may set its own"),
    LIMIT(body_rate, SIZE, "500", 0, GIB,
          "Bytes a second; a slower body is answered 408; 0: any rate"),
    LIMIT(answer_rate, SIZE, "500", 0, GIB,
          "Bytes a second, over timeouts.send; a slower reader is cut off"),
    LIMIT(output, SIZE, "\"256M\"", 0, TIB,
          "Answers not yet taken, of a worker; beyond it the slowest go; 0: any"),
    LIMIT(input, SIZE, "\"256M\"", 0, TIB,
          "Bodies and messages not yet whole, of a worker; beyond it 503; 0: any"),
    LIMIT(discard, SIZE, "\"256K\"", 0, GIB, "Body that no handler read is read away up to this"),
    LIMIT(pipeline, SIZE, "\"64K\"", 4 * KIB, 16 * MIB, "Bytes held of requests sent ahead"),
    LIMIT(requests_per_connection, COUNT, "10000", 1, 1000000000,
          "After so many a connection is closed, announced"),
    LIMIT(h2_streams, COUNT, "100", 1, 65536, "Requests at a time on a connection of HTTP/2"),
    LIMIT(h2_resets, COUNT, "2000", 1, 1000000,
          "Requests cancelled unanswered, at once; a tenth a second"),
    LIMIT(h2_faults, COUNT, "500", 1, 1000000, "... that had to be reset for faults, likewise"),
    LIMIT(h2_settings, COUNT, "100", 1, 1000000, "... SETTINGS frames, likewise"),
    LIMIT(h2_pings, COUNT, "1000", 1, 1000000, "... PING frames, likewise"),
    LIMIT(h2_priorities, COUNT, "5000", 1, 1000000, "... PRIORITY frames, likewise"),
    LIMIT(h2_empty, COUNT, "1000", 1, 1000000, "... frames without content, likewise"),
    LIMIT(h2_windows, COUNT, "10000", 1, 1000000, "... WINDOW_UPDATE frames, likewise"),
    LIMIT(form_parts, COUNT, "128", 1, 100000, "Parts of a multipart form; beyond it 413"),
    LIMIT(form_fields, COUNT, "4096", 1, 1000000, "Fields of a urlencoded form; beyond it 413"),
    LIMIT(json_values, COUNT, "500000", 1, 1000000000,
          "Values in the JSON of a body; beyond it 413"),
    LIMIT(outbox, SIZE, "\"256K\"", 4 * KIB, 16 * MIB,
          "Messages that wait for one WebSocket or event stream"),
    LIMIT(topics, COUNT, "32768", 1, 49152, "Topics that anybody in a worker subscribes to"),
    LIMIT(subscriptions, COUNT, "100", 1, 10000, "Topics of one WebSocket or event stream"),
    LIMIT(descriptors, DESCRIPTORS, "\"95%\"", 16, 100000000, "Open at once, of ulimit -n"),

    LIMIT(generations, COUNT, "4", 1, 7, "Replaced scripts still in use; beyond it the oldest end"),
    LIMIT(lua_memory, SIZE, "\"512M\"", 0, TIB, "Memory of a worker's scripts; 0: any"),

    TABLE("timeouts", "How long one peer may take, in seconds"),
    TIMEOUT(handshake, "10", LEAST_MS, "A handshake of TLS, in total; then close"),
    TIMEOUT(header, "10", LEAST_MS, "The whole head of a request, in total; beyond it 408"),
    TIMEOUT(body_grace, "20", 0, "A body's rate is not judged before this"),
    TIMEOUT(send, "60", LEAST_MS, "The peer takes nothing of the answer; then close"),
    TIMEOUT(handler, "30", LEAST_MS, "A handler until its answer begins; beyond it 504"),
    TIMEOUT(idle, "75", LEAST_MS, "A connection between two requests"),
    TIMEOUT(tunnel, "3600", LEAST_MS,
            "Nothing moves on what is no HTTP: tunnels, upgrades, streams"),
    TIMEOUT(half_close, "1", LEAST_MS,
            "A peer that sent a FIN takes nothing of its answer; then close"),
    TIMEOUT(drain, "30", 0, "Requests in progress at a stop"),
    TIMEOUT(linger, "2", LEAST_MS,
            "Reading on after an error's answer, so that the peer can see it"),
    TIMEOUT(ticket_keys, "14400", LEAST_MS, "A key seals TLS tickets; twice as long it opens them"),
    TIMEOUT(reload, "30", LEAST_MS, "New scripts until all workers have them ready"),
    TIMEOUT(stall_warn, "0.25", 0, "A stuck script is named in the log; 0: never"),
    TIMEOUT(stall_abort, "2", 0, "... is made to fail, its request gets 503; 0: never"),
    TIMEOUT(stall_kill, "10", 0, "... and its worker is replaced; 0: never"),

    TABLE("reload", "What happens before scripts are replaced"),
    OTHER("reload.specs", OPTIONAL_PATH, AT(specs), "false",
          "Specs that must pass on the new scripts, as \"spec/\""),

    TABLE("log", "The error log and the access log"),
    CHOICE("log.level", AT(log.level), "\"info\"", "debug|info|warn|error",
           "The least level that is logged"),
    OTHER("log.file", TARGET, AT(log.file), "\"stderr\"", "The error log"),
    CHOICE("log.error_format", AT(log.error_format), "\"text\"", "text|json",
           "The form of the error log"),
    OTHER("log.access", OPTIONAL_TARGET, AT(log.access), "\"stdout\"", "The access log"),
    CHOICE("log.format", AT(log.access_format), "\"combined\"", "combined|json",
           "The form of the access log"),
    OTHER("log.fields", TEXTS, AT(log.fields), "[]",
          "Fields of its JSON form and of ctx:log_field, in that order; []: all"),

    RESERVED("admin"),
};
const size_t mg_config_key_count = sizeof mg_config_keys / sizeof mg_config_keys[0];

const mg_config_key *mg_config_find(mg_str path) {
    for (size_t i = 0; i < mg_config_key_count; i++) {
        if (mg_str_eq(mg_str_of(mg_config_keys[i].path), path)) {
            return &mg_config_keys[i];
        }
    }
    return NULL;
}

const char *mg_config_name(const mg_config_key *key) {
    const char *dot = strrchr(key->path, '.');
    return dot == NULL ? key->path : dot + 1;
}

bool mg_config_is_in(const mg_config_key *key, mg_str table) {
    size_t n = (size_t)(mg_config_name(key) - key->path);
    if (n == 0 || table.n == 0) {
        return n == table.n;
    }
    return mg_str_eq((mg_str){key->path, n - 1}, table);
}

static void append_size(mg_buf *out, uint64_t v) {
    const char *unit = "";
    for (const char *u = "KMGT"; *u != '\0' && v > 0 && v % KIB == 0; u++) {
        v /= KIB;
        unit = u;
    }
    mg_buf_append_u64(out, v);
    mg_buf_append(out, unit, *unit == '\0' ? 0 : 1);
}

static void append_bound(mg_buf *out, mg_config_kind kind, uint64_t v) {
    if (kind == MG_CONFIG_SIZE) {
        append_size(out, v);
    } else if (kind == MG_CONFIG_SECONDS || kind == MG_CONFIG_SHARE) {
        mg_buf_printf(out, "%g", (double)v / 1000);
    } else {
        mg_buf_append_u64(out, v);
    }
}

// "a|b|c" as `"a", "b" or "c"`.
static void append_choices(mg_buf *out, const char *choices) {
    for (const char *at = choices; *at != '\0';) {
        size_t n = strcspn(at, "|");
        bool last = at[n] == '\0';
        if (at != choices) {
            mg_buf_append_str(out, last ? MG_STR(" or ") : MG_STR(", "));
        }
        mg_buf_printf(out, "\"%.*s\"", (int)n, at);
        at += last ? n : n + 1;
    }
}

void mg_config_append_allowed(mg_buf *out, const mg_config_key *key) {
    static const char *const texts[] = {
        [MG_CONFIG_TABLE] = "a table",
        [MG_CONFIG_OPTIONAL_TABLE] = "a table or false",
        [MG_CONFIG_LISTEN] =
            "a list of addresses as \"0.0.0.0:8080\", \"[::]:8080\", \"unix:run/x.sock\"",
        [MG_CONFIG_ADDRESS] = "an address as \"0.0.0.0:8080\", \"[::]:8080\", \"unix:run/x.sock\"",
        [MG_CONFIG_MODE] = "octal digits as \"0660\", or false",
        [MG_CONFIG_WORKERS] = "\"auto\" or a number from 0 to 256",
        [MG_CONFIG_PATH] = "a path",
        [MG_CONFIG_OPTIONAL_PATH] = "a path or false",
        [MG_CONFIG_OPTIONAL_FILE] = "a path or false",
        [MG_CONFIG_OPTIONAL_NAME] = "a name or false",
        [MG_CONFIG_BOOL] = "true or false",
        [MG_CONFIG_SIZE] = "a size",
        [MG_CONFIG_COUNT] = "a whole number",
        [MG_CONFIG_SECONDS] = "seconds",
        [MG_CONFIG_DESCRIPTORS] = "\"1%\" to \"100%\", or a number",
        [MG_CONFIG_TARGET] = "\"stderr\", \"stdout\" or a path",
        [MG_CONFIG_OPTIONAL_TARGET] = "\"stdout\", \"stderr\", a path or false",
        [MG_CONFIG_TEXTS] = "a list of texts",
        [MG_CONFIG_FORWARDED] =
            "a field, or a list as { \"x-forwarded-for\", \"x-forwarded-proto\" }",
        [MG_CONFIG_NETWORKS] = "a list of networks as { \"10.0.0.0/8\", \"unix\" }, or false",
        [MG_CONFIG_DATABASE] =
            "\"sqlite:PATH\", \"postgres://HOST/NAME\", { name = ... }, or false",
        [MG_CONFIG_NAMESERVERS] = "an address as \"127.0.0.1:53\", a list, or false",
        [MG_CONFIG_TLS] = "a table as { cert = \"a.pem\", key = \"a.key\" }, or false",
        [MG_CONFIG_CERTIFICATES] = "a folder, or a list of { cert, key }",
        [MG_CONFIG_DOMAINS] = "a list of names as { \"www.example.com\" }",
        [MG_CONFIG_DIRECTORY] = "a URL as \"https://acme.example.com/directory\"",
        [MG_CONFIG_REDIS] = "\"redis://HOST\", a table of named ones, or false",
        [MG_CONFIG_CACHE] = "\"memory:1M\" to \"memory:64G\", \"redis://HOST\", or false",
        [MG_CONFIG_UPSTREAMS] = "a table as { users = { \"http://127.0.0.1:9001\" } }",
        [MG_CONFIG_SHARE] = "a number",
        [MG_CONFIG_OPTIONAL_TEXT] = "a text or false",
        [MG_CONFIG_SERVERS] = "a list as { \"http://127.0.0.1:9001\" }",
        [MG_CONFIG_SERVER_URL] =
            "\"http://host:port\", \"https://host:port\" or \"unix:run/x.sock\"",
        [MG_CONFIG_SPLIT] = "a list as { { \"old\", 95 }, { \"new\", 5 } }",
        [MG_CONFIG_HASH] =
            "\"ip\", \"path\", \"header:NAME\", \"cookie:NAME\", \"query:NAME\" or false",
        [MG_CONFIG_STICKY] = "\"cookie:NAME\" or false",
        [MG_CONFIG_STATUSES] = "statuses as \"200-399\" or \"200, 204\"",
        [MG_CONFIG_RETRY_ON] = "a list of \"connect\", \"closed\", \"timeout\", statuses, and "
                               "those of gRPC (\"unavailable\")",
        [MG_CONFIG_HOST] = "\"client\", \"upstream\" or a host",
        [MG_CONFIG_SERVICE] = "the name of a service, \"\" (the server as a whole) or false",
        [MG_CONFIG_HTTP2] = "\"auto\", true or false",
        [MG_CONFIG_PROXY_PROTOCOL] = "false, true (version 1), 1 or 2",
    };
    if (key->kind == MG_CONFIG_CHOICE || key->kind == MG_CONFIG_OPTIONAL_CHOICE) {
        append_choices(out, key->choices);
        if (key->kind == MG_CONFIG_OPTIONAL_CHOICE) {
            mg_buf_append_str(out, MG_STR(", or false"));
        }
        return;
    }
    mg_buf_append_str(out, mg_str_of(texts[key->kind]));
    if (key->max > 0 && key->kind != MG_CONFIG_MODE) {
        mg_buf_append_str(out, MG_STR(" from "));
        append_bound(out, key->kind, key->min);
        mg_buf_append_str(out, MG_STR(" to "));
        append_bound(out, key->kind, key->max);
    }
}

// Of JSON only the brackets of lists differ.
void mg_config_append_default(mg_buf *out, const mg_config_key *key) {
    mg_str json = mg_str_of(key->fallback);
    bool list = json.p[0] == '[';
    if (list && json.n > 2) {
        mg_buf_printf(out, "{ %.*s }", (int)json.n - 2, json.p + 1);
    } else {
        mg_buf_append_str(out, list ? MG_STR("{}") : json);
    }
}
