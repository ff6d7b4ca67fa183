// http/event_text.h: writes events of a text/event-stream (WHATWG HTML, "Server-sent events").
// Pure.
#pragma once

#include "base/buf.h"

typedef struct mg_event_text {
    mg_str event, id; // each a good word; empty: none
    mg_str data;      // any text: lines are told apart as the format does, by CR, LF or both
    int64_t retry_ms; // -1: none
    bool has_data;    // else it tells only the others
} mg_event_text;

// Whether `s` may be an event's name or id: without CR, LF and NUL, which would end its line or
// make the peer forget it.
bool mg_event_is_word(mg_str s);

// Appends the event and the empty line behind it.
void mg_event_write(mg_buf *out, const mg_event_text *e);

// A line that no listener is told of: it keeps proxies from taking the stream for dead.
#define MG_EVENT_HEARTBEAT MG_STR(":\n\n")
