// proxy/changes.h: log lines for what changes of servers and upstreams, no more than a few at once,
// whichever worker writes them. Owns nothing.
#pragma once

#include "base/log.h"
#include "proxy/shared.h"

enum {
    MG_CHANGES_LINES = 10,        // of one cell ...
    MG_CHANGES_WINDOW_MS = 10000, // ... within this
};

typedef struct mg_changes {
    void (*on_warning)(void *arg, const char *text); // NULL: nobody reads it
    void (*on_news)(void *arg, const char *text);    // what is good to know; NULL: likewise
    void *arg;
} mg_changes;

// Whether there is room for one more line; if so, `*missing` says how many had none before it.
bool mg_changes_may_tell(_Atomic uint64_t *logged, uint64_t now_ms, uint64_t *missing);

// A warning, or news (MG_LOG_INFO), unless there were too many; the first one behind those says how
// many are missing. `logged` is the cell's word for this.
void mg_changes_tell(const mg_changes *to, mg_log_level level, _Atomic uint64_t *logged,
                     uint64_t now_ms, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
