// gate/control.h: the control socket: who comes with a command, and how it is answered. What the
// commands do is the master's.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "event/loop.h"
#include "gate/reload_queue.h"

typedef struct mg_control mg_control;

enum { MG_CONTROL_PATH = 128 }; // bytes, at most

typedef struct mg_control_events {
    // Appends the answer to `status`: one JSON object with a line end.
    void (*status)(void *arg, mg_buf *out);
    // The request's own reply is the answer. It comes once, at any time, also at once.
    void (*reload)(void *arg, const mg_reload_request *r);
    // Likewise `reply`: evaluates Lua, in development alone.
    void (*evaluate)(void *arg, mg_str code, void (*reply)(void *arg, bool ok, mg_str text),
                     void *reply_arg);
    // The visitor's connection ends when the server does.
    void (*stop)(void *arg, bool now);
} mg_control_events;

// Listens at `path` (gate/control_path.h finds one), with mode 0600. Events are borrowed.
int mg_control_open(mg_control **out, mg_loop *loop, const char *path,
                    const mg_control_events *events, void *arg, mg_error *err);
void mg_control_close(mg_control *c); // accepts NULL; unlinks the socket
