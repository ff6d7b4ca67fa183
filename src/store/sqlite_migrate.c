#include "store/sqlite_migrate.h"

#include "base/mem.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char table[] =
    "CREATE TABLE IF NOT EXISTS moongate_migrations ("
    "number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, "
    "applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)";

// --- the text of a file ---

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// The end of the comment that begins at `at`, or `at`.
static size_t skip_comment(mg_str sql, size_t at) {
    if (at + 1 >= sql.n) {
        return at;
    }
    if (sql.p[at] == '-' && sql.p[at + 1] == '-') {
        const char *end = memchr(sql.p + at, '\n', sql.n - at);
        return end == NULL ? sql.n : (size_t)(end - sql.p) + 1;
    }
    if (sql.p[at] == '/' && sql.p[at + 1] == '*') {
        const char *end = memmem(sql.p + at + 2, sql.n - at - 2, "*/", 2);
        return end == NULL ? sql.n : (size_t)(end - sql.p) + 2;
    }
    return at;
}

// Where the first word stands; sql.n: there is none.
static size_t skip_space(mg_str sql, size_t at) {
    for (;;) {
        size_t before = at;
        while (at < sql.n && (is_space(sql.p[at]) || sql.p[at] == ';')) {
            at++;
        }
        at = skip_comment(sql, at);
        if (at == before) {
            return at;
        }
    }
}

static bool is_complete(mg_str sql) {
    char *copy = mg_strndup(sql.p, sql.n);
    bool complete = sqlite3_complete(copy) != 0;
    mg_free(copy);
    return complete;
}

size_t mg_sqlite_statement_bytes(mg_str sql) {
    size_t at = skip_space(sql, 0);
    if (at == sql.n) {
        return 0;
    }
    const char *semicolon;
    while ((semicolon = memchr(sql.p + at, ';', sql.n - at)) != NULL) {
        at = (size_t)(semicolon - sql.p) + 1;
        if (is_complete((mg_str){sql.p, at})) {
            return at;
        }
    }
    return sql.n;
}

// --- the database ---

static int fault(sqlite3 *db, const char *where, mg_error *err) {
    return mg_error_set(err, MG_ESYNTAX, "%s: %s", where, sqlite3_errmsg(db));
}

static int open_database(sqlite3 **db, const char *path, int flags, uint32_t busy_ms,
                         mg_error *err) {
    int rc = sqlite3_open_v2(path, db, flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(*db, 1);
        sqlite3_busy_timeout(*db, busy_ms != 0 ? (int)busy_ms : MG_MIGRATION_BUSY_MS);
        rc = sqlite3_exec(*db, "PRAGMA foreign_keys = OFF; SELECT 1 FROM sqlite_schema", NULL, NULL,
                          NULL);
    }
    if (rc == SQLITE_OK) {
        return MG_OK;
    }
    int why = *db != NULL ? sqlite3_system_errno(*db) : 0;
    mg_error_set(err, MG_ESYNTAX, "%s: %s%s%s", path, sqlite3_errmsg(*db), why != 0 ? ": " : "",
                 why != 0 ? strerror(why) : "");
    sqlite3_close(*db);
    *db = NULL;
    return MG_ESYNTAX;
}

static bool has_table(sqlite3 *db) {
    return sqlite3_table_column_metadata(db, NULL, "moongate_migrations", "number", NULL, NULL,
                                         NULL, NULL, NULL) == SQLITE_OK;
}

static int read_applied(sqlite3 *db, const char *path, const mg_migrations *m, mg_buf *orphans,
                        mg_error *err) {
    sqlite3_stmt *row = NULL;
    if (!has_table(db)) {
        return MG_OK;
    }
    int rc = sqlite3_prepare_v2(db,
                                "SELECT number, name, checksum, applied_at "
                                "FROM moongate_migrations ORDER BY number",
                                -1, &row, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(row)) == SQLITE_ROW) {
        mg_migration_note(m, (uint64_t)sqlite3_column_int64(row, 0),
                          (const char *)sqlite3_column_text(row, 1),
                          (const char *)sqlite3_column_text(row, 2),
                          (const char *)sqlite3_column_text(row, 3), orphans);
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_DONE) {
        fault(db, path, err);
    }
    sqlite3_finalize(row);
    return rc == SQLITE_DONE ? MG_OK : MG_ESYNTAX;
}

int mg_sqlite_migrations_read(const char *path, mg_migrations *m, mg_buf *orphans, mg_error *err) {
    sqlite3 *db;
    if (access(path, F_OK) != 0) {
        return MG_OK;
    }
    int rc = open_database(&db, path, SQLITE_OPEN_READONLY, m->busy_ms, err);
    if (rc == MG_OK) {
        rc = read_applied(db, path, m, orphans, err);
        sqlite3_close(db);
    }
    return rc;
}

// --- one file ---

// A file is one transaction: it may not end it.
static int authorize(void *ended, int action, const char *a, const char *b, const char *c,
                     const char *d) {
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    if (action == SQLITE_TRANSACTION) {
        *(bool *)ended = true;
        return SQLITE_DENY;
    }
    return SQLITE_OK;
}

typedef struct running {
    sqlite3 *db;
    const mg_migration *file;
    size_t at; // where the statement begins
    bool ends; // it would end the transaction
} running;

static int statement_fault(const running *r, mg_error *err) {
    int offset = sqlite3_error_offset(r->db);
    mg_str text = r->file->text;
    size_t at = offset >= 0 ? r->at + (size_t)offset : skip_space(text, r->at);
    const char *what = r->ends ? "BEGIN, COMMIT and ROLLBACK are not for migrations: each file is "
                                 "one transaction already"
                               : sqlite3_errmsg(r->db);
    return mg_error_set(err, MG_ESYNTAX, "%s:%u: %s", r->file->path, mg_migration_line(text, at),
                        what);
}

// Runs the statement at r->at and moves on. False: there is a fault.
static bool run_statement(running *r) {
    mg_str text = r->file->text;
    sqlite3_stmt *s = NULL;
    const char *tail = NULL;
    int rc = sqlite3_prepare_v2(r->db, text.p + r->at, (int)(text.n - r->at) + 1, &s, &tail);
    if (rc != SQLITE_OK) {
        return false;
    }
    if (s != NULL) {
        do {
            rc = sqlite3_step(s);
        } while (rc == SQLITE_ROW);
        if (rc != SQLITE_DONE) {
            sqlite3_finalize(s); // the fault stays with the connection
            return false;
        }
        sqlite3_finalize(s);
    }
    r->at = (size_t)(tail - text.p);
    return true;
}

static int run_statements(running *r, mg_error *err) {
    mg_str text = r->file->text;
    if (memchr(text.p, '\0', text.n) != NULL) {
        return mg_error_set(err, MG_ESYNTAX, "%s: a NUL byte: this is no text", r->file->path);
    }
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
        r->at = 3;
    }
    sqlite3_set_authorizer(r->db, authorize, &r->ends);
    int rc = MG_OK;
    while (rc == MG_OK && r->at < text.n) {
        rc = run_statement(r) ? MG_OK : statement_fault(r, err);
    }
    sqlite3_set_authorizer(r->db, NULL, NULL);
    return rc;
}

static int check_foreign_keys(sqlite3 *db, const mg_migration *f, mg_error *err) {
    sqlite3_stmt *row = NULL;
    int rc = MG_OK;
    if (sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &row, NULL) != SQLITE_OK) {
        return fault(db, f->path, err);
    }
    if (sqlite3_step(row) == SQLITE_ROW) {
        rc = mg_error_set(err, MG_ESYNTAX, "%s: rows of %s refer to rows that %s has not", f->path,
                          sqlite3_column_text(row, 0), sqlite3_column_text(row, 2));
    }
    sqlite3_finalize(row);
    return rc;
}

// SQLITE_DONE, or whatever else stepping the only row gives.
static int note_done(sqlite3 *db, const mg_migration *f) {
    char checksum[MG_MIGRATION_CHECKSUM + 1] = "";
    sqlite3_stmt *s = NULL;
    mg_migration_checksum(f->text, checksum);
    int rc = sqlite3_prepare_v2(
        db, "INSERT INTO moongate_migrations (number, name, checksum) VALUES (?, ?, ?)", -1, &s,
        NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)f->number);
        sqlite3_bind_text(s, 2, f->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 3, checksum, -1, SQLITE_STATIC);
        rc = sqlite3_step(s);
    }
    sqlite3_finalize(s);
    return rc;
}

// Another process may have been quicker; now that the lock is held that is certain.
static bool is_done_already(sqlite3 *db, const mg_migration *f) {
    sqlite3_stmt *s = NULL;
    bool done = false;
    if (sqlite3_prepare_v2(db, "SELECT 1 FROM moongate_migrations WHERE number = ?", -1, &s,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_int64(s, 1, (sqlite3_int64)f->number);
        done = sqlite3_step(s) == SQLITE_ROW;
    }
    sqlite3_finalize(s);
    return done;
}

static int fill_transaction(sqlite3 *db, mg_migration *f, mg_error *err) {
    running r = {.db = db, .file = f};
    int rc = run_statements(&r, err);
    if (rc == MG_OK) {
        rc = check_foreign_keys(db, f, err);
    }
    if (rc == MG_OK && note_done(db, f) != SQLITE_DONE) {
        rc = fault(db, f->path, err);
    }
    return rc;
}

static int apply(sqlite3 *db, mg_migration *f, mg_error *err) {
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) {
        return fault(db, f->path, err);
    }
    if (is_done_already(db, f)) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        f->state = MG_MIGRATION_APPLIED;
        return MG_OK;
    }
    int rc = fill_transaction(db, f, err);
    if (rc == MG_OK && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        rc = fault(db, f->path, err);
    }
    if (rc != MG_OK) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return rc;
    }
    f->state = MG_MIGRATION_DONE;
    return MG_OK;
}

// --- all of them ---

static int apply_pending(sqlite3 *db, const char *path, const mg_migrations *m, mg_error *err) {
    if (!has_table(db) && sqlite3_exec(db, table, NULL, NULL, NULL) != SQLITE_OK) {
        return fault(db, path, err);
    }
    int rc = MG_OK;
    for (size_t i = 0; rc == MG_OK && i < m->n; i++) {
        if (m->items[i].state == MG_MIGRATION_PENDING) {
            rc = apply(db, &m->items[i], err);
        }
    }
    return rc;
}

int mg_sqlite_migrate(const char *path, mg_migrations *m, mg_error *err) {
    sqlite3 *db;
    int rc = open_database(&db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, m->busy_ms, err);
    if (rc != MG_OK) {
        return rc;
    }
    rc = read_applied(db, path, m, NULL, err);
    if (rc == MG_OK) {
        rc = mg_migration_refuse_changed(m, err);
    }
    if (rc == MG_OK) {
        rc = apply_pending(db, path, m, err);
    }
    sqlite3_close(db);
    return rc;
}
