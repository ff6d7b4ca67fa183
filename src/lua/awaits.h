// lua/awaits.h: forgotten awaits, found in the source of scripts by lua/moongate/core/awaits, in a
// Lua state of its own. Nothing of the scripts runs.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct mg_awaits mg_awaits;

// MG_ELUA and a text if the framework cannot be loaded.
int mg_awaits_open(mg_awaits **out, mg_error *err);
void mg_awaits_close(mg_awaits *a); // accepts NULL

// Appends a line "path:line: what, and what to write" for each one in `text`, with its end.
int mg_awaits_read(mg_awaits *a, const char *path, mg_str text, mg_buf *out, mg_error *err);
