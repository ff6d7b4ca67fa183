// store/migration_files.h: the numbered .sql files of a folder, as 0001_users.sql. What one kind of
// database has in words of its own stands in a file for it alone: 0001_users.postgres.sql.
#pragma once

#include "base/arena.h"
#include "store/migration.h"

#define MG_MIGRATION_SQLITE   "sqlite"
#define MG_MIGRATION_POSTGRES "postgres"

// Reads those for a database of that kind, sorted by number; other files and those that begin with
// a dot are left alone. All is in the arena. MG_ECONFIG and a text that names the file: a .sql file
// without a number, two with one number, one that cannot be read.
int mg_migration_files_read(mg_migrations *out, mg_arena *a, const char *folder, const char *kind,
                            mg_error *err);
