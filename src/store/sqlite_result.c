#include "store/sqlite_result.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static void drop_rows(mg_sqlite_result *r) {
    mg_free(r->values);
    mg_arena_deinit(&r->texts);
    r->values = NULL;
    r->cap = 0;
    r->bytes = 0;
    r->rows = (mg_db_rows){0};
}

void mg_sqlite_result_deinit(mg_sqlite_result *r) {
    drop_rows(r);
    mg_buf_deinit(&r->message);
}

bool mg_sqlite_result_fail(mg_sqlite_result *r, const char *code, int native, const char *fmt,
                           ...) {
    drop_rows(r);
    if (r->fault.code != NULL) {
        return false;
    }
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    mg_buf_append(&r->message, text, strlen(text) + 1);
    r->fault = (mg_db_fault){.code = code, .message = r->message.p, .native = native};
    return false;
}

static const char *code_of(int rc) {
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return "constraint";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "busy";
    case SQLITE_TOOBIG:
        return "limit";
    case SQLITE_READONLY:
        return "readonly";
    default:
        return "error";
    }
}

bool mg_sqlite_result_fail_by(mg_sqlite_result *r, sqlite3 *db, int rc) {
    // Some faults are only remembered by the return value.
    bool known = db != NULL && (sqlite3_errcode(db) & 0xff) == (rc & 0xff);
    const char *text = known ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    return mg_sqlite_result_fail(r, code_of(rc), rc, "%s", text);
}

void mg_sqlite_result_add_names(mg_sqlite_result *r, sqlite3_stmt *stmt) {
    int n = sqlite3_column_count(stmt);
    if (n == 0) {
        return;
    }
    mg_str *names = mg_arena_alloc(&r->texts, (size_t)n * sizeof *names);
    for (int i = 0; i < n; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        mg_str s = mg_str_of(name == NULL ? "" : name);
        names[i] = (mg_str){mg_arena_copy(&r->texts, s), s.n};
        r->bytes += sizeof *names + s.n;
    }
    r->rows.columns = (uint32_t)n;
    r->rows.names = names;
}

static mg_db_value *grow(mg_sqlite_result *r, size_t columns) {
    size_t used = (size_t)r->rows.rows * columns;
    if (used + columns > r->cap) {
        r->cap = r->cap == 0 ? 4 * columns : 2 * r->cap;
        r->values = mg_realloc(r->values, r->cap * sizeof *r->values);
        r->rows.values = r->values;
    }
    return r->values + used;
}

static mg_str copy(mg_sqlite_result *r, const void *p, int n) {
    mg_str s = {p, (size_t)n};
    return (mg_str){mg_arena_copy(&r->texts, s), s.n};
}

static mg_db_value read_value(mg_sqlite_result *r, sqlite3_stmt *stmt, int i, bool boolean) {
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER: {
        int64_t n = sqlite3_column_int64(stmt, i);
        bool truth = boolean && (n == 0 || n == 1);
        return (mg_db_value){.kind = truth ? MG_DB_BOOL : MG_DB_I64, .i64 = n};
    }
    case SQLITE_FLOAT:
        return (mg_db_value){.kind = MG_DB_DOUBLE, .number = sqlite3_column_double(stmt, i)};
    case SQLITE_TEXT: {
        const void *p = sqlite3_column_text(stmt, i); // before its bytes are counted
        return (mg_db_value){MG_DB_TEXT, .text = copy(r, p, sqlite3_column_bytes(stmt, i))};
    }
    case SQLITE_BLOB: {
        const void *p = sqlite3_column_blob(stmt, i);
        return (mg_db_value){MG_DB_BLOB, .text = copy(r, p, sqlite3_column_bytes(stmt, i))};
    }
    default:
        return (mg_db_value){.kind = MG_DB_NULL};
    }
}

// Before anything is copied, so that one huge row costs no second memory.
static uint64_t row_bytes(sqlite3_stmt *stmt, int columns) {
    uint64_t n = (uint64_t)columns * sizeof(mg_db_value);
    for (int i = 0; i < columns; i++) {
        int type = sqlite3_column_type(stmt, i);
        n += type == SQLITE_TEXT || type == SQLITE_BLOB ? (uint64_t)sqlite3_column_bytes(stmt, i)
                                                        : 0;
    }
    return n;
}

bool mg_sqlite_result_add_row(mg_sqlite_result *r, sqlite3_stmt *stmt, const bool *booleans,
                              uint64_t max_bytes) {
    int columns = (int)r->rows.columns;
    r->bytes += row_bytes(stmt, columns);
    if (r->bytes > max_bytes) {
        return false;
    }
    mg_db_value *row = grow(r, r->rows.columns);
    for (int i = 0; i < columns; i++) {
        row[i] = read_value(r, stmt, i, booleans[i]);
    }
    r->rows.rows++;
    return true;
}
