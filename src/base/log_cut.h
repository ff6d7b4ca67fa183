// base/log_cut.h: what of an event goes into a line, if all of it would be too much.
//
// A line that does not fit into the ring is lost, and with it the reason of a failure: so the
// middle of long texts is left out, and the line says how much.
#pragma once

#include "base/log_line.h"

enum { MG_LOG_EVENT_BYTES = 64 * 1024 }; // escaping may make six times as many of them

typedef struct mg_log_cut {
    mg_log_event event; // borrows from the given one and from what follows
    mg_buf text;
    mg_log_field *fields;
} mg_log_cut;

// False, and `out` is left alone: `e` is small enough. Everything of `e` outlives `out`.
bool mg_log_cut_init(mg_log_cut *out, const mg_log_event *e);
void mg_log_cut_deinit(mg_log_cut *cut);
