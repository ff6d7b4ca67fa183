// base/log.h: lines for a file, a pipe or a terminal, written by a thread so that no caller ever
// waits for a disk.
//
// A mg_log is one destination: a bounded ring of finished lines, a descriptor and the thread that
// empties the one into the other, many lines to a write. What does not fit into the ring, or what
// the destination refuses, is counted, and the count is logged once lines get through again. All
// functions but close may be called from any thread.
#pragma once

#include "base/error.h"
#include "base/log_line.h"

typedef struct mg_log mg_log;

typedef struct mg_log_options {
    const char *target; // "stderr", "stdout" or the path of a file, which is made if need be and
                        // appended to
    size_t ring_bytes;  // 0: 1 MiB
    uint32_t gather_ms; // how long lines wait behind a write, to go out together; 0: 5. It is what
                        // a killed process loses at most.
    mg_log_level level; // mg_log_event_write drops what is below
    bool json;          // the form of mg_log_event_write's lines
    bool people;        // another form, for whoever reads a terminal, if the target is one
    mg_log *report;     // where lost lines and failures of this log are told; NULL: in itself.
                        // Borrowed, closed later.
} mg_log_options;

// Opens the destination and starts its thread (signals blocked). Options are copied. The process
// must not fork without exec afterwards. A negative errno, with a text, if the file cannot be
// opened.
int mg_log_open(mg_log **out, const mg_log_options *options, mg_error *err);

// Copies a finished line, with its line end, into the ring.
void mg_log_line(mg_log *log, const char *line, size_t n);

// Formats and queues an event if its level is high enough. `log` NULL does nothing; `wall_ms` 0
// means now.
void mg_log_event_write(mg_log *log, const mg_log_event *e);
void mg_log_printf(mg_log *log, mg_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

bool mg_log_wants(const mg_log *log, mg_log_level level);

// Opens the path anew, because the file was moved away; lines queued from now on go to the new one
// and none is lost. If it cannot be opened, the old file stays in use and the report says so.
// Nothing for stdout and stderr.
void mg_log_reopen(mg_log *log);

// Waits until all that was queued before is written. -ETIMEDOUT if the destination hangs longer
// than `wait_ms`.
int mg_log_flush(mg_log *log, uint32_t wait_ms);

// Writes out, stops the thread and frees. No other thread may use `log` any more. If the
// destination hangs longer than `wait_ms`, the thread and its memory are left to the end of the
// process, and -ETIMEDOUT is returned. Accepts NULL.
int mg_log_close(mg_log *log, uint32_t wait_ms);
