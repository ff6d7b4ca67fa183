// store/postgres.h: PostgreSQL as an mg_database: a pool of connections over libpq, without
// threads.
//
// Statements are pipelined over few connections, each with a Sync of its own, so that one's failure
// touches no other. A transaction, and rows that are read piece by piece, have a connection for
// themselves. Nothing whose outcome is unknown is ever sent again.
#pragma once

#include "store/database.h"

typedef struct mg_postgres_options {
    const char *url;         // store/postgres_settings.h; copied
    const char *nameservers; // event/dns.h; NULL: resolv.conf. Copied
    bool impatient;          // what waits fails with the first connection that is not to be had
} mg_postgres_options;

// MG_ECONFIG and a text that says what is allowed, without a word of the URL that could be secret.
int mg_postgres_check(mg_str url, mg_error *err);

// Opens the pool, not a connection: the first statement does. A negative code and a text as above.
//
// Of rows read piece by piece: a statement that writes is committed when its last row has come, and
// undone if the session is dropped before.
int mg_postgres_open(mg_database **out, mg_loop *loop, const mg_postgres_options *options,
                     mg_error *err);
