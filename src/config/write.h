// config/write.h: a value of the configuration as the JSON that gives it again: what a key says can
// be compared, kept and handed on without knowing the key.
#pragma once

#include "config/schema.h"

// Appends what `key` says in `base`, the struct of which its offset counts. Not for tables, nor for
// upstreams, of which proxy/upstream compares what it is made from.
void mg_config_write(mg_buf *out, const mg_config_key *key, const void *base);

// The same for one database alone, which is all that it is made from.
void mg_config_write_database(mg_buf *out, const mg_config_database *d);
