// store/sqlite.h: SQLite as an mg_database: one thread that writes, several that read, each with
// its own connection and its own prepared statements.
#pragma once

#include "store/database.h"

typedef struct mg_sqlite_options {
    const char *path;    // of the file, or ":memory:" (then one connection for all)
    uint32_t readers;    // threads; 0: 4
    uint32_t busy_ms;    // how long another process's lock is waited for; 0: 5000
    uint32_t queue;      // calls waiting at most; 0: 10000
    uint32_t statements; // prepared ones kept for each connection; 0: 128
} mg_sqlite_options;

// Makes the file (not its folder) if it is not there, in WAL mode, foreign keys enforced. A
// negative code and a text that names the file.
int mg_sqlite_open(mg_database **out, mg_loop *loop, const mg_sqlite_options *options,
                   mg_error *err);
