// gate/dev.h: watches a project's scripts, templates and static texts: tells when one has been
// saved.
#pragma once

#include "event/loop.h"

typedef struct mg_dev mg_dev;

// Calls `on_saved(arg)` for such files below `root` (of `/` in lua, conf and spec alone), once for
// what editors do within a moment, but not for `own` (borrowed; NULL: none), which the server
// itself writes. A negative code if nothing there can be watched.
int mg_dev_open(mg_dev **out, mg_loop *loop, const char *root, const char *own,
                void (*on_saved)(void *arg), void *arg);
void mg_dev_close(mg_dev *d); // accepts NULL
