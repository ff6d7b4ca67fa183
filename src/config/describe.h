// config/describe.h: every setting as data, for the reference.
#pragma once

#include "base/buf.h"

// Appends a JSON array of { path, default, allowed, about }, in the order of `check --defaults`.
// Texts of defaults and of what is allowed are those of a configuration file.
void mg_config_describe(mg_buf *out);
