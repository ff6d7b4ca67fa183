// gate/helper.h: a short-lived child process that does one thing and says how it went.
#pragma once

#include "base/str.h"
#include "event/process.h"

typedef struct mg_helper mg_helper;

enum { MG_HELPER_LATE = -1, MG_HELPER_SAID_BYTES = 64 * 1024 };

// Borrowed for the call.
typedef struct mg_helper_options {
    mg_loop *loop;
    mg_processes *processes;
    const char *file; // path of the program
    char *const *argv;
    const int *fds; // become its descriptors 3, 4, ...
    size_t fd_count;
    uint64_t limit_ms;
} mg_helper_options;

// `on_end(arg, status, said)` comes once: the wait status, or MG_HELPER_LATE if the time was over
// (it is killed then), and the last MG_HELPER_SAID_BYTES of its stdout and stderr, borrowed. The
// helper is gone then. 0 or a negative errno, and nothing comes.
int mg_helper_start(mg_helper **out, const mg_helper_options *o,
                    void (*on_end)(void *arg, int status, mg_str said), void *arg);

// Kills it; nothing comes any more. Accepts NULL.
void mg_helper_drop(mg_helper *h);
