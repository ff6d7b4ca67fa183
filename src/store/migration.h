// store/migration.h: numbered files of statements that bring a database up to date, each applied
// once: what every kind of database has in common.
//
// The table moongate_migrations(number, name, checksum, applied_at) says what was applied; checksum
// is the file's SHA-256.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef enum mg_migration_state {
    MG_MIGRATION_PENDING,
    MG_MIGRATION_APPLIED, // before
    MG_MIGRATION_CHANGED, // applied, and the file is another one since
    MG_MIGRATION_DONE,    // now
} mg_migration_state;

typedef struct mg_migration {
    uint64_t number;
    const char *name;         // "0001_users.sql"
    const char *path;         // for faults
    mg_str text;              // a NUL stands behind it
    mg_migration_state state; // filled in
    char applied_at[24];      // likewise: "2026-11-23 15:04:05", UTC
} mg_migration;

typedef struct mg_migrations {
    mg_migration *items; // sorted by number, each number once
    size_t n;
    uint32_t busy_ms; // how long other processes' locks are waited for; 0: 30000
} mg_migrations;

enum { MG_MIGRATION_CHECKSUM = 64, MG_MIGRATION_BUSY_MS = 30000 };

// "0f1e..." of a file's text, terminated.
void mg_migration_checksum(mg_str text, char out[MG_MIGRATION_CHECKSUM + 1]);

// A row of the table, any of its texts NULL: fills in the file's state, or appends a line with the
// name to `orphans` (may be NULL).
void mg_migration_note(const mg_migrations *m, uint64_t number, const char *name,
                       const char *checksum, const char *applied_at, mg_buf *orphans);

// MG_ESYNTAX and a text if a file has changed since it was applied.
int mg_migration_refuse_changed(const mg_migrations *m, mg_error *err);

// The line, from 1, of the byte `at`.
unsigned mg_migration_line(mg_str text, size_t at);
