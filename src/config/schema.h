// config/schema.h: every key of a configuration file: type, default, bounds and meaning. For
// config/ alone.
#pragma once

#include "config/config.h"

typedef enum mg_config_kind {
    MG_CONFIG_TABLE,
    MG_CONFIG_OPTIONAL_TABLE, // or false; the field is a bool: it is there
    MG_CONFIG_RESERVED,       // a key of a later version
    MG_CONFIG_LISTEN,         // endpoints
    MG_CONFIG_ADDRESS,
    MG_CONFIG_MODE, // of a file, in octal digits, or false
    MG_CONFIG_WORKERS,
    MG_CONFIG_PATH,
    MG_CONFIG_OPTIONAL_PATH, // or false
    MG_CONFIG_OPTIONAL_FILE, // likewise; what is in it counts
    MG_CONFIG_OPTIONAL_NAME, // of a user, or false
    MG_CONFIG_BOOL,
    MG_CONFIG_SIZE,
    MG_CONFIG_COUNT,
    MG_CONFIG_SECONDS,
    MG_CONFIG_DESCRIPTORS,
    MG_CONFIG_CHOICE,
    MG_CONFIG_OPTIONAL_CHOICE, // or false, which is 0; the first choice is 1
    MG_CONFIG_TLS,             // of an endpoint, or false
    MG_CONFIG_CERTIFICATES,    // a folder, or a list of pairs
    MG_CONFIG_DOMAINS,
    MG_CONFIG_DIRECTORY,       // of RFC 8555
    MG_CONFIG_TARGET,          // of a log
    MG_CONFIG_OPTIONAL_TARGET, // or false
    MG_CONFIG_TEXTS,
    MG_CONFIG_FORWARDED,
    MG_CONFIG_NETWORKS,    // at least one, or false
    MG_CONFIG_DATABASE,    // one, or a table of named ones, or false
    MG_CONFIG_REDIS,       // likewise
    MG_CONFIG_CACHE,       // or false
    MG_CONFIG_NAMESERVERS, // or false
    MG_CONFIG_UPSTREAMS,   // a table of named ones

    // of upstreams alone
    MG_CONFIG_SHARE, // a double; bounds are in thousandths
    MG_CONFIG_OPTIONAL_TEXT,
    MG_CONFIG_SERVERS,
    MG_CONFIG_SERVER_URL,
    MG_CONFIG_SPLIT,
    MG_CONFIG_HASH,
    MG_CONFIG_STICKY,
    MG_CONFIG_STATUSES,
    MG_CONFIG_RETRY_ON,
    MG_CONFIG_HOST,
    MG_CONFIG_HTTP2,
    MG_CONFIG_SERVICE,
    MG_CONFIG_PROXY_PROTOCOL,
} mg_config_kind;

typedef struct mg_config_key {
    const char *path; // "limits.body"
    mg_config_kind kind;
    size_t offset;        // of the field in mg_config (mg_endpoint: config/endpoint.h)
    const char *fallback; // the default as JSON; NULL for tables, reserved and required keys
    uint64_t min;         // bytes, a count or milliseconds
    uint64_t max;
    const char *choices; // "debug|info|warn|error": the field is the place in this list
    const char *about;   // of a reserved one: what to do instead, or NULL
} mg_config_key;

// In the order of `check --defaults`: a table's keys follow it.
extern const mg_config_key mg_config_keys[];
extern const size_t mg_config_key_count;

// NULL if there is no such key.
const mg_config_key *mg_config_find(mg_str path);

// The part of the path behind the last dot.
const char *mg_config_name(const mg_config_key *key);

// True if `key` lies directly in the table `table`; "" is the file itself.
bool mg_config_is_in(const mg_config_key *key, mg_str table);

// Appends what values are allowed: "a size from 256 to 1M".
void mg_config_append_allowed(mg_buf *out, const mg_config_key *key);

// Appends the default, which there is, as Lua has it.
void mg_config_append_default(mg_buf *out, const mg_config_key *key);
