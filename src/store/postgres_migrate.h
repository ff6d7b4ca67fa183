// store/postgres_migrate.h: brings a PostgreSQL database up to date with numbered files of
// statements. It blocks: a command's work, not the server's.
//
// Each file is one transaction, but one whose first line is "-- moongate: no transaction": for
// CREATE INDEX CONCURRENTLY and its like, one statement after the other; if one of them fails the
// file is applied again from its beginning. An advisory lock keeps others who migrate out.
#pragma once

#include "store/migration.h"

// Only reads: fills in the states; `orphans` gets the names of what was applied and has no file any
// more, a line each.
int mg_postgres_migrations_read(const char *url, mg_migrations *m, mg_buf *orphans, mg_error *err);

// Applies what is pending, in order. Stops at the first fault, "file:line: message", with the files
// before it applied; a file that has changed is a fault before anything is applied.
int mg_postgres_migrate(const char *url, mg_migrations *m, mg_error *err);

// How many of the first bytes of `sql` are one statement, with its semicolon and what stands before
// it; all of them if none ends. Comments and white space alone count as none: 0.
size_t mg_postgres_statement_bytes(mg_str sql);
