// config/part.h: what one service is made from: a few keys of a configuration, and nothing else.
//
// Whoever makes a service gets the part, not the configuration: a key that is not named is not
// there either, so that what is used and what is compared cannot come apart.
#pragma once

#include "config/config.h"

// Fills `out` with those values of `c` that `names`, keys or tables of keys up to a NULL, say (all
// else is zero; borrows from `c`), and appends to `signature` what tells them from others: the
// values, and what lies in the files that they name.
void mg_config_part(mg_config *out, const mg_config *c, const char *const *names,
                    mg_buf *signature);
