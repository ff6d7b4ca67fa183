// store/postgres_words.h: what a statement of PostgreSQL begins with, as far as it matters to
// whoever shares connections.
#pragma once

#include "base/str.h"

// The first `n` words of `sql`, behind comments and white space; a word that is not there is empty.
// They are borrowed.
void mg_pg_words_read(mg_str sql, mg_str *words, size_t n);

// NULL, or why the statement cannot be run on a connection that others use behind it: it begins or
// ends a transaction, changes what stays, or speaks the protocol of COPY.
const char *mg_pg_words_refuse(mg_str sql);

// The same of what is to be a COPY, whose data goes over the connection and not into a file there.
const char *mg_pg_words_refuse_copy(mg_str sql);
