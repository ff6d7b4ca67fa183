// store/sqlite_result.h: what a statement gave: rows, or a fault. Filled in a thread, read on the
// loop; owns all that it points at.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "store/database.h"

#include <sqlite3.h>

// Zeroed it is empty.
typedef struct mg_sqlite_result {
    mg_db_rows rows;
    mg_db_value *values; // what rows.values shows, while it grows
    size_t cap;
    mg_arena texts;
    uint64_t bytes;
    mg_db_fault fault; // .code NULL: there is none
    mg_buf message;
} mg_sqlite_result;

void mg_sqlite_result_deinit(mg_sqlite_result *r);

// Drops the rows; the first fault stays. Both return false.
bool mg_sqlite_result_fail(mg_sqlite_result *r, const char *code, int native, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

// The fault of the last call to `db`, whose (extended) code was `rc`.
bool mg_sqlite_result_fail_by(mg_sqlite_result *r, sqlite3 *db, int rc);

// Copies the row that `stmt` stands on. `booleans` says which columns are declared so. False: the
// result is then larger than `max_bytes`.
bool mg_sqlite_result_add_row(mg_sqlite_result *r, sqlite3_stmt *stmt, const bool *booleans,
                              uint64_t max_bytes);
void mg_sqlite_result_add_names(mg_sqlite_result *r, sqlite3_stmt *stmt);
