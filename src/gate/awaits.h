// gate/awaits.h: forgotten awaits in the scripts of a project, for `moongate check` and `moongate
// dev`.
#pragma once

#include "base/snapshot.h"
#include "config/config.h"

// Appends a line for each one in `scripts`, those of the framework and specs left out. MG_ELUA and
// a text if they cannot be looked at at all.
int mg_awaits_check(const mg_snapshot_writer *scripts, const char *root, mg_buf *out,
                    mg_error *err);

// The same of the project of `config`, whose scripts are read from the disk. What of them is left
// out is said on stderr.
int mg_awaits_check_project(const mg_config *config, mg_buf *out, mg_error *err);
