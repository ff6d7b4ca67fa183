// base/error.h: the library's error codes, and a text for faults that a person reads.
//
// Functions return int: 0 is good, negative is one of MG_E* or a negated errno (which is also
// libuv's code on Linux).
#pragma once

#include <stdarg.h>

enum {
    MG_OK = 0,
    MG_ELIMIT = -10001,  // a configured limit was reached
    MG_ESYNTAX = -10002, // malformed input
    MG_ECLOSED = -10003, // the other end, or the object itself, is gone
    MG_ECONFIG = -10004, // the configuration or a command line is wrong
    MG_ELUA = -10005,    // a script failed
    MG_EAGAIN = -10006,  // not now: try again later
    MG_ECANCELLED = -10007,
};

// A fault in words: "file:line: what is wrong, what is allowed". Caller-owned memory, no cleanup.
typedef struct mg_error {
    char text[1024];
} mg_error;

// Writes the text (cut to fit). `err` may be NULL. Returns `code`, so that a caller can `return
// mg_error_set(...)`.
int mg_error_set(mg_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// A short English phrase for any code above or negated errno. Never NULL; static memory.
const char *mg_strerror(int code);
