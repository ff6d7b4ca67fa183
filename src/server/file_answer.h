// server/file_answer.h: answers with a file: validators, conditions, ranges, and content that is
// read no faster than the peer takes it.
//
// While it sends it stands between the exchange and its app: it takes the app's on_writable, and
// passes all other events on. The app stops it before it lets go of the exchange, in on_gone too.
#pragma once

#include "server/answer.h"

typedef struct mg_file_answer_options {
    const char *path;    // copied
    const char *beneath; // NULL, or a folder that `path` is relative to and cannot leave; copied
    // Once: 0 when the last byte is queued (the exchange is dead then), else a negative errno:
    // before the head is committed the exchange still waits for an answer, else it ends with this.
    // Not called after mg_file_answer_stop.
    void (*on_done)(void *arg, int status);
    void *arg;
    // About the file, such as Cache-Control: they do not come with 412, 416, or what is answered if
    // the file cannot be opened. Copied.
    mg_fields fields;
} mg_file_answer_options;

typedef struct mg_file_answer mg_file_answer;

// `a` gives status, type (empty: by the file's name) and fields; borrowed for the call. With a
// status other than 200 conditions and ranges are left alone. What it returns lives until on_done,
// which may have come already: NULL then.
mg_file_answer *mg_file_answer_start(mg_exchange *x, const mg_answer *a,
                                     const mg_file_answer_options *o);

// Gives up without telling; the exchange is left as it is, with its app.
void mg_file_answer_stop(mg_file_answer *f);
