// gate/database_url.h: what a database is called in the configuration: "sqlite:build/var/app.db".
#pragma once

#include "base/arena.h"
#include "base/error.h"

// The path of the file, below `root` unless absolute, in the arena; ":memory:" stands for itself.
// NULL and a text that begins with the URL if it is none.
const char *mg_database_url_path(mg_arena *a, const char *root, const char *url, mg_error *err);
