// config/config.h: the configuration as typed, checked, plain data.
//
// Filled from the JSON text that lua/read_config makes of the file; the schema
// (config/schema.c) is the one place that knows keys, defaults and bounds. Owns its texts
// through an arena; paths are absolute.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log_line.h"
#include "proxy/options.h"
#include "server/endpoint.h"

typedef mg_texts mg_config_texts;

typedef struct mg_config_file {
    const char *path; // absolute; NULL: none
    mg_str text;      // its content if a snapshot holds it, which it borrows
} mg_config_file;

typedef enum mg_config_form { MG_CONFIG_PLAIN, MG_CONFIG_JSON } mg_config_form;

enum { MG_CONFIG_WORKERS_AUTO = -1, MG_CONFIG_WORKERS_MAX = 256 };

typedef struct mg_config_share {
    uint64_t count; // 0: `percent` of RLIMIT_NOFILE
    unsigned percent;
} mg_config_share;

// Sizes in bytes.
typedef struct mg_config_limits {
    uint64_t request_line, header_bytes, header_fields, chunk_extensions, trailers;
    uint64_t body, body_rate, answer_rate, output, input, discard, pipeline;
    uint64_t requests_per_connection;
    uint64_t h2_streams, h2_resets, h2_faults, h2_settings, h2_pings, h2_priorities, h2_empty,
        h2_windows;
    uint64_t form_parts, form_fields, json_values;
    uint64_t outbox, topics, subscriptions;
    uint64_t generations, lua_memory; // lua_memory 0: any
    mg_config_share descriptors;
} mg_config_limits;

typedef struct mg_config_timeouts {
    uint64_t handshake_ms, header_ms, body_grace_ms, send_ms, handler_ms, idle_ms, tunnel_ms,
        half_close_ms, drain_ms, linger_ms, ticket_keys_ms, reload_ms, stall_warn_ms,
        stall_abort_ms, stall_kill_ms;
} mg_config_timeouts;

typedef struct mg_config_log {
    mg_log_level level;
    const char *file;             // "stderr", "stdout" or an absolute path
    const char *access;           // likewise; NULL: no access log
    mg_config_form access_format; // plain: combined
    mg_config_form error_format;
    mg_config_texts fields; // of the access log as JSON; none: all
    bool people; // moongate dev: the error log is for whoever reads a terminal, if that is one
} mg_config_log;

typedef struct mg_config_endpoints {
    const mg_endpoint *items;
    size_t n;
} mg_config_endpoints;

typedef struct mg_config_database {
    const char *name; // "default" for the one without a name
    const char *path; // of an SQLite file, absolute, or ":memory:"; NULL: see url
    const char *url;  // of a PostgreSQL server, checked; a secret may be in it; NULL: see path
} mg_config_database;

typedef struct mg_config_databases {
    const mg_config_database *items;
    size_t n;
} mg_config_databases;

typedef struct mg_config_cache {
    uint64_t bytes;  // in memory that all workers share; 0: none
    const char *url; // of Redis, checked; a secret may be in it; NULL: in memory, if anywhere
} mg_config_cache;

// Services of Redis beside the cache; `path` is NULL.
typedef mg_config_databases mg_config_redis;

// Of calls to other servers.
typedef struct mg_config_http {
    uint64_t connections, waiting, idle_connections, idle_ms, ping_ms;
    unsigned http2;          // an mg_http2
    mg_config_file ca;       // none: the system's
    const char *nameservers; // "ip:port,..."; NULL: resolv.conf
    mg_config_texts deny;    // client/rules.h
    mg_config_texts allow;
} mg_config_http;

typedef struct mg_config {
    mg_arena arena;
    const char *file;           // as the operator named it
    const char *root;           // the project's folder: relative paths begin here
    mg_config_endpoints listen; // no address twice; Unix paths are absolute
    int workers;                // or MG_CONFIG_WORKERS_AUTO
    const char *app;
    bool ffi;            // scripts may have it
    const char *user;    // "name" or "name:group" that workers run as; NULL: as they were started
    const char *control; // path of the control socket; NULL: gate/control_path.h finds one
    const char *specs;   // run before each reload; NULL: none
    mg_config_databases databases;
    mg_config_cache cache;
    mg_config_redis redis;
    mg_config_http http;
    mg_upstreams_options upstreams;  // `open` is NULL: see config/options.h
    bool proxy_open;                 // servers that none of them names may be asked
    mg_config_texts scripts;         // paths below the root, or absolute ones
    mg_config_texts trusted_proxies; // unchecked texts: http/forwarded.h reads them
    mg_config_texts forwarded;       // likewise
    mg_config_limits limits;
    mg_config_timeouts timeouts;
    mg_config_log log;
} mg_config;

// What a command line puts above the file. Paths are relative to the working directory.
typedef struct mg_config_overrides {
    const char *const *listen;
    size_t listen_count; // 0: as in the file
    const char *app;     // NULL: as in the file
    bool has_workers;
    int workers;
    bool tls;           // TCP endpoints without certificates speak TLS too
    bool dev;           // moongate dev
    const char *record; // dev: the spec that requests are recorded in; NULL: none
} mg_config_overrides;

// Fills `c` (caller's memory) with the defaults and then with what `json` says. `file` names it in
// faults and fixes the root; it need not exist. Returns MG_ECONFIG if there are faults: all of them
// are appended to `faults`, a line each, as `file: key: what is wrong, what is allowed (did you
// mean "...")`. Deinit in any case.
int mg_config_init(mg_config *c, const char *file, mg_str json, mg_buf *faults);
void mg_config_deinit(mg_config *c);

// The same with a root that is known (empty: it is looked for).
int mg_config_init_below(mg_config *c, const char *file, mg_str root, mg_str json, mg_buf *faults);

// MG_ECONFIG and faults that begin with the option's name if an address is wrong.
int mg_config_override(mg_config *c, const mg_config_overrides *o, mg_buf *faults);

// Appends a commented configuration file in Lua that says what is the default anyway.
void mg_config_print_defaults(mg_buf *out);
