// base/log_line.h: one event as one finished line of the error log.
//
// Whatever a peer or a script put into a message, key or value, the result is exactly one line (but
// for people, who read several):
// control characters and broken UTF-8 never get through raw. Owns nothing.
#pragma once

#include "base/buf.h"

typedef enum mg_log_level {
    MG_LOG_DEBUG,
    MG_LOG_INFO,
    MG_LOG_WARN,
    MG_LOG_ERROR,
} mg_log_level;

typedef struct mg_log_field {
    mg_str key; // characters outside [A-Za-z0-9_.-] become '_'
    mg_str value;
    bool literal; // the value is a JSON number, true, false or null, or other JSON text without
                  // line ends
} mg_log_field;

// Everything is borrowed for the call.
typedef struct mg_log_event {
    mg_log_level level;
    uint64_t wall_ms; // since 1970
    mg_str message;
    const mg_log_field *fields;
    size_t field_count;
} mg_log_event;

// "2026-01-31T12:00:00.123Z warn  message key=value key="two words"", and a line end.
void mg_log_append_text(mg_buf *out, const mg_log_event *e);

// The same for a person at a terminal: "12:00:00.123 warn  message", in local time; its line ends
// are kept, and what follows one is indented. Other control characters stay escaped.
void mg_log_append_people(mg_buf *out, const mg_log_event *e, bool colour);

// {"time":...,"level":"warn","message":...,"key":"value"}, and a line end. A field named like one
// of the first three gets a trailing '_'.
void mg_log_append_json(mg_buf *out, const mg_log_event *e);

// `s` as a JSON string, whatever its bytes: those that are not UTF-8 become U+FFFD.
void mg_log_append_json_string(mg_buf *out, mg_str s);

// How many bytes at the start of `s` are printable ASCII, quote and backslash excepted: any format
// takes them as they are.
size_t mg_log_plain_ascii(mg_str s);

// "2026-01-31T12:00:00.123Z", 24 bytes.
void mg_log_append_time(mg_buf *out, uint64_t wall_ms);

// "debug", "info", "warn", "error".
const char *mg_log_level_name(mg_log_level level);

// False if `name` is none of them.
bool mg_log_level_of(mg_str name, mg_log_level *out);
