// store/postgres_settings.h: what a PostgreSQL URL asks for: libpq's own options, and those of the
// pool.
//
// postgres://user:password@host:port,other/database?option=value&...
#pragma once

#include "base/arena.h"
#include "base/error.h"

enum { MG_PG_HOSTS = 16, MG_PG_OPTIONS = 64 };

// Read by mg_pg_settings_read; owns its texts.
typedef struct mg_pg_settings {
    mg_arena arena;
    char *name; // "postgres://host:port/database", without secrets: for texts

    // for the pool
    uint32_t pool;       // connections at most
    uint32_t minimum;    // of them kept however long they are idle
    uint32_t idle_ms;    // an idle one above the minimum is closed after this
    uint32_t max_age_ms; // an older one is closed when it is idle; 0: never
    uint32_t wait_ms;    // that a statement waits for a connection
    uint32_t queue;      // statements that wait at most
    uint32_t connect_ms; // for one host
    uint32_t prepared;   // statements kept prepared in each connection; 0: none (pgbouncer)
    char *password_file; // NULL: none; read whenever a connection is opened

    // for libpq
    uint32_t host_count; // 0: its default socket
    const char *hosts[MG_PG_HOSTS];
    const char *ports[MG_PG_HOSTS];
    bool resolved; // addresses are given (hostaddr): no name is asked for
    uint32_t option_count;
    const char *keys[MG_PG_OPTIONS]; // but host and port
    const char *values[MG_PG_OPTIONS];
} mg_pg_settings;

// Caller's memory, zeroed. MG_ECONFIG and a text that says what is allowed, never showing a
// password; deinit it all the same.
int mg_pg_settings_read(mg_pg_settings *s, mg_str url, mg_error *err);
void mg_pg_settings_deinit(mg_pg_settings *s);

// The first line of the password's file, into `size` bytes. MG_ECONFIG and a text.
int mg_pg_password(const mg_pg_settings *s, char *out, size_t size, mg_error *err);
