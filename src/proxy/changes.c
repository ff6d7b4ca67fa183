#include "proxy/changes.h"

#include <stdarg.h>
#include <stdio.h>

enum { COUNT_BITS = 16, COUNT_MOST = 0xffff, TEXT_BYTES = 512 };

// when the window began, in windows | lines written | lines missing
typedef struct window {
    uint64_t number, written, missing;
} window;

static window unpack(uint64_t word) {
    return (window){.number = word >> (2 * COUNT_BITS),
                    .written = word >> COUNT_BITS & COUNT_MOST,
                    .missing = word & COUNT_MOST};
}

static uint64_t pack(window w) {
    return w.number << (2 * COUNT_BITS) | w.written << COUNT_BITS | w.missing;
}

bool mg_changes_may_tell(_Atomic uint64_t *logged, uint64_t now_ms, uint64_t *missing) {
    uint64_t seen = atomic_load(logged);
    window next;
    bool room;
    do {
        next = unpack(seen);
        if (next.number != now_ms / MG_CHANGES_WINDOW_MS) {
            next.number = now_ms / MG_CHANGES_WINDOW_MS;
            next.written = 0;
        }
        room = next.written < MG_CHANGES_LINES;
        *missing = next.missing;
        next.written += room;
        next.missing = room ? 0 : next.missing + (next.missing < COUNT_MOST);
    } while (!atomic_compare_exchange_weak(logged, &seen, pack(next)));
    return room;
}

void mg_changes_tell(const mg_changes *to, mg_log_level level, _Atomic uint64_t *logged,
                     uint64_t now_ms, const char *format, ...) {
    void (*tell)(void *arg, const char *text) = level == MG_LOG_INFO ? to->on_news : to->on_warning;
    char text[TEXT_BYTES];
    uint64_t missing;
    if (tell == NULL || !mg_changes_may_tell(logged, now_ms, &missing)) {
        return;
    }
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (missing > 0 && n > 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, " (%llu changes before it were not logged)",
                 (unsigned long long)missing);
    }
    tell(to->arg, text);
}
