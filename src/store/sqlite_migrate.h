// store/sqlite_migrate.h: brings a SQLite file up to date with numbered files of statements, each
// applied once, in a transaction of its own. It blocks: a command's work, not the server's.
//
// Foreign keys are not enforced while a file runs (tables can be rebuilt),
// but none may be violated at its end.
#pragma once

#include "store/migration.h"

// Only reads: fills in the states; `orphans` gets the names of what was applied and has no file any
// more, a line each. A database that is not there has had nothing applied.
int mg_sqlite_migrations_read(const char *path, mg_migrations *m, mg_buf *orphans, mg_error *err);

// Applies what is pending, in order; makes the database if it is not there. Stops at the first
// fault, "file:line: message", with the files before it applied; a file that has changed is a fault
// before anything is applied.
int mg_sqlite_migrate(const char *path, mg_migrations *m, mg_error *err);

// How many of the first bytes of `sql` are one statement, with its semicolon and what stands before
// it; all of them if none ends. Comments and white space alone at the end count as none: 0.
size_t mg_sqlite_statement_bytes(mg_str sql);
