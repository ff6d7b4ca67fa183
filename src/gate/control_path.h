// gate/control_path.h: where a server's control socket lies.
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

// `configured`, or with NULL a name made of the configuration's path, absolute but with the links
// that were named (a link that is switched to the next release names the same server), below
// $XDG_RUNTIME_DIR/moongate, /run/moongate (root) or /tmp/moongate-UID. `make_folder`, for a
// server: makes that folder with mode 0700, and refuses one that others could write to. Without it,
// for those who speak to a server: nothing is made, and one that was started without
// XDG_RUNTIME_DIR, or with the real path, is found too. MG_ECONFIG and a text.
int mg_control_path(const char *conf, const char *configured, bool make_folder, char *out, size_t n,
                    mg_error *err);
