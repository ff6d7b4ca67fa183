// gate/control.h: the control socket of a master, and what `status` is told over it.
#pragma once

#include "gate/master_inside.h"

typedef struct mg_control mg_control;

// Listens at `configured`, or with NULL at the place that gate/control_path.h finds, with mode
// 0600.
int mg_control_open(mg_control **out, mg_master *m, const char *configured, mg_error *err);
void mg_control_close(mg_control *c); // accepts NULL; unlinks the socket

// Appends the answer to `status`, as one JSON object with a line end.
void mg_status_append(mg_master *m, mg_buf *out);
