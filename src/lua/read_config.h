// lua/read_config.h: evaluates a configuration file and leaves plain data.
//
// The file runs in a Lua state of its own that knows no files, processes or modules, for a bounded
// count of instructions. What it returns becomes JSON text, so that nothing of Lua is needed to
// check it or to hand it to another process.
#pragma once

#include "base/buf.h"
#include "base/error.h"

// Appends the JSON text of the table that the file `path` returns, keys sorted, to `out`. Otherwise
// a negative errno, MG_ELUA (syntax, runtime, endless loop) or MG_ECONFIG (no table, or a value
// that is no plain data) and a text that begins with the path, the line or key where there is one,
// and says what is wrong; `out` may then hold a part.
int mg_read_config(const char *path, mg_buf *out, mg_error *err);

// The same in two steps: what the file holds, and its evaluation, which opens nothing.
int mg_read_config_text(const char *path, mg_buf *out, mg_error *err);
int mg_evaluate_config(const char *path, mg_str text, mg_buf *out, mg_error *err);
