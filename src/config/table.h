// config/table.h: a table whose keys are listed: the file itself, and what has tables of its own
// inside it. For config/ alone.
#pragma once

#include "config/value.h"

// Keys are told by their paths below the table: "health.interval". Their offsets are into the
// struct that the reading fills (mg_config_reading.into).
typedef struct mg_config_table {
    const mg_config_key *keys;
    size_t count;
} mg_config_table;

// Every default into the struct.
void mg_config_take_defaults(const mg_config_reading *r, const mg_config_table *t);

// What the table says; its opening bracket has been read. It is read to its end. Returns how many
// keys it has.
size_t mg_config_take_table(mg_config_reading *r, const mg_config_table *t);
