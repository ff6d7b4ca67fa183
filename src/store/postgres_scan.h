// store/postgres_scan.h: SQL as PostgreSQL cuts it into tokens (section 4.1 of its manual), as far
// as it takes to know where a statement begins and ends.
#pragma once

#include "base/str.h"

// Behind the token at `at`, which is before the end: a comment, something quoted, or one byte.
// `*blank`: it is white space, a semicolon or a comment.
size_t mg_pg_scan_token(mg_str sql, size_t at, bool *blank);
