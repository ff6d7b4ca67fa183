// store/redis_settings.h: what a URL of Redis asks for.
//
//   redis://user:password@host:port/database?option=value&...      rediss:// with TLS
//   redis+unix:///path/of/the/socket?db=1
//   redis+sentinel://host:port,host:port/service/database?...      rediss+sentinel://
//   redis+cluster://host:port,host:port?...                        rediss+cluster://
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { MG_REDIS_HOSTS = 16 };

typedef enum mg_redis_kind { MG_REDIS_SINGLE, MG_REDIS_SENTINEL, MG_REDIS_CLUSTER } mg_redis_kind;

typedef struct mg_redis_host {
    const char *name;
    uint16_t port;
} mg_redis_host;

// Texts are the arena's; NULL: not given. Times in milliseconds.
typedef struct mg_redis_settings {
    mg_arena arena;
    char *name;    // "redis://host:port/0", without secrets: for texts
    uint32_t kind; // mg_redis_kind
    uint32_t host_count;
    mg_redis_host hosts[MG_REDIS_HOSTS]; // of sentinels, where there are some
    char *unix_path;
    char *service; // that sentinels know
    char *user, *password, *password_file;
    char *sentinel_user, *sentinel_password, *sentinel_password_file;
    uint32_t database;

    bool tls, insecure;
    char *ca, *cert, *key, *server_name;

    uint32_t connections; // shared ones a worker has
    uint32_t leases;      // more of them, for transactions and commands that wait
    uint32_t timeout_ms;  // of a call
    uint32_t connect_ms;  // connecting and greeting
    uint32_t backoff_ms;  // the longest between two tries
    uint32_t queue;       // calls under way at most
    uint64_t reply_bytes; // of one reply at most
    uint32_t resp;        // 2, or 3: what the server can
    char *client_name;    // CLIENT SETNAME
    char *prefix;         // of the cache's keys; "" none
    uint64_t near_bytes;  // of the near cache; 0: none
    bool replicas;        // of a cluster: they may answer what only reads
} mg_redis_settings;

// Whether it is for us: its scheme says so.
bool mg_redis_is_url(mg_str url);

// Caller's memory, zeroed. MG_ECONFIG and a text that says what is allowed, never showing a
// password; deinit it all the same.
int mg_redis_settings_read(mg_redis_settings *s, mg_str url, mg_error *err);
void mg_redis_settings_deinit(mg_redis_settings *s);

// Fills `out` with the password, terminated: of a file, as it is now, or of the URL; empty: there
// is none. `sentinel`: theirs. MG_ECONFIG and a text.
int mg_redis_settings_password(const mg_redis_settings *s, bool sentinel, mg_buf *out,
                               mg_error *err);
