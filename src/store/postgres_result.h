// store/postgres_result.h: a result of PostgreSQL as values.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "store/database.h"
#include "store/libpq.h"

// Rows as values, or a fault. Owns its texts. A zeroed one is empty.
typedef struct mg_pg_result {
    mg_arena arena;
    mg_buf values; // mg_db_value, row by row
    mg_str *names;
    uint32_t *types; // of the columns, by their OIDs
    uint32_t columns, rows;
    uint64_t bytes;
    int64_t affected;
    const char *code; // static; NULL: no fault
    const char *message;
    const char *fields[MG_DB_FIELDS];
} mg_pg_result;

void mg_pg_result_deinit(mg_pg_result *r);
void mg_pg_result_move_rows(mg_pg_result *r, mg_pg_result *to); // the columns stay; `to`: empty
// Adds rows and what was affected. `s`: its `raw` is heeded.
void mg_pg_result_take(mg_pg_result *r, const PGresult *from, const mg_db_statement *s);
void mg_pg_result_take_bytes(mg_pg_result *r, mg_str bytes); // a row of one value
void mg_pg_result_fail(mg_pg_result *r, const char *code, const char *message); // the first counts
void mg_pg_result_fail_by(mg_pg_result *r, const PGresult *from);
mg_db_rows mg_pg_result_rows(const mg_pg_result *r, bool more); // borrowed from `r`
mg_db_fault mg_pg_result_fault(const mg_pg_result *r);          // likewise
