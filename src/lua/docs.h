// lua/docs.h: the reference, read and written by lua/moongate/core/docs in a Lua state of its own.
#pragma once

#include "base/buf.h"
#include "base/error.h"

// `facts`: what C knows, as JSON: { version, settings, commands }.

// Appends the entry of `name` as text for a terminal. MG_ELUA and a line that says what is wrong,
// and what was probably meant, if there is none.
int mg_docs_help(const char *name, mg_str facts, mg_buf *out, mg_error *err);

// Appends the declarations for TypeScript. MG_ELUA and a text if that fails.
int mg_docs_types(mg_buf *out, mg_error *err);

// Writes Markdown, HTML and man pages below `folder`, which has folders of these names: markdown,
// html, man. MG_ELUA and a text if that fails.
int mg_docs_write(const char *folder, mg_str facts, mg_error *err);
