// store/migration_files.h: the numbered .sql files of a folder, as 0001_users.sql.
#pragma once

#include "base/arena.h"
#include "store/migration.h"

// Reads them, sorted by number; other files and those that begin with a dot are left alone. All is
// in the arena. MG_ECONFIG and a text that names the file: a .sql file without a number, two with
// one number, one that cannot be read.
int mg_migration_files_read(mg_migrations *out, mg_arena *a, const char *folder, mg_error *err);
