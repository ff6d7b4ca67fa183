// http/multipart.h: a push parser of multipart/form-data (RFC 7578, RFC 2046 section 5.1.1).
//
// Strict: CRLF everywhere, and every part has one Content-Disposition with one name. Lenient where
// clients are known to differ: a line that only begins with the delimiter is content, and names may
// come as RFC 8187 has them ("filename*"), which are preferred. The same input gives the same
// events however it is split, but that content may come in other pieces. It owns the header of the
// part under way; content passes through.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
    MG_MULTIPART_PARTS = 128,         // unless told otherwise
    MG_MULTIPART_HEADER_BYTES = 8192, // of one part
    MG_MULTIPART_BOUNDARY_BYTES = 70,
};

// Spans are valid until the part ends. Of a file's name, which some clients send with its folders,
// what stands behind the last slash or backslash; empty instead of "." and "..".
typedef struct mg_part {
    mg_str name;
    mg_str filename;
    bool has_filename;
    mg_str content_type; // "text/plain" unless given
    mg_str
        transfer_encoding; // NULL unless given (RFC 7578 section 4.7); content is left as it came
} mg_part;

// The end of the form is mg_multipart_finish's to tell.
typedef struct mg_multipart_events {
    void (*on_part)(void *arg, const mg_part *part);
    void (*on_data)(void *arg, mg_str piece); // not empty; borrowed for the call
    void (*on_part_end)(void *arg);
} mg_multipart_events;

typedef struct mg_multipart {
    const char *error; // static text, once a function has returned a fault
    int max_parts;     // may be changed after init

    // Private.
    const mg_multipart_events *events;
    void *arg;
    char delimiter[MG_MULTIPART_BOUNDARY_BYTES + 4]; // CRLF "--" boundary
    size_t delimiter_n;
    size_t matched; // of the delimiter
    int state;
    int outer; // the state before a delimiter, if it is none
    int fault;
    int parts;
    mg_buf header;  // of the part under way; what stands behind a delimiter
    mg_buf scratch; // an unquoted parameter
    mg_arena arena;
} mg_multipart;

// Finds the boundary in a Content-Type value. MG_ESYNTAX if it is not multipart/form-data with a
// valid boundary. `events` (static) and `arg` are borrowed. To be ended with deinit in any case.
int mg_multipart_init(mg_multipart *m, mg_str content_type, const mg_multipart_events *events,
                      void *arg);
void mg_multipart_deinit(mg_multipart *m);

// MG_OK, MG_ESYNTAX or MG_ELIMIT; after a fault always that fault, and no event.
int mg_multipart_feed(mg_multipart *m, mg_str data);

// At the end of the body: MG_ESYNTAX if the closing delimiter has not come.
int mg_multipart_finish(mg_multipart *m);
