// http/multipart.h: a push parser of multipart/form-data (RFC 7578, RFC 2046 section 5.1.1).
//
// Strict: CRLF everywhere, every part has a Content-Disposition with a name. The same input gives the same events however it is split, but that
// content may come in other pieces.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { MG_MULTIPART_PARTS = 128, MG_MULTIPART_HEADER_BYTES = 8192, MG_MULTIPART_BOUNDARY_BYTES = 70 };

// Spans are valid until the part ends.
typedef struct mg_part {
    mg_str name;
    mg_str filename;
    bool has_filename;
    mg_str content_type; // "text/plain" unless given
} mg_part;

typedef struct mg_multipart_events {
    void (*on_part)(void *arg, const mg_part *part);
    void (*on_data)(void *arg, mg_str piece); // borrowed for the call
    void (*on_part_end)(void *arg);
} mg_multipart_events;

typedef struct mg_multipart {
    const mg_multipart_events *events;
    void *arg;
    char delimiter[MG_MULTIPART_BOUNDARY_BYTES + 8]; // CRLF "--" boundary
    size_t delimiter_n;
    size_t matched; // of the delimiter
    int state;
    int parts;
    mg_buf header; // of the part under way
    mg_arena arena;
    const char *error; // static text, after MG_ESYNTAX or MG_ELIMIT
} mg_multipart;

// Finds the boundary in a Content-Type value. MG_ESYNTAX if it is not multipart/form-data with a valid boundary.
int mg_multipart_init(mg_multipart *m, mg_str content_type, const mg_multipart_events *events, void *arg);
void mg_multipart_deinit(mg_multipart *m);

// MG_OK, MG_ESYNTAX or MG_ELIMIT (m->error says what).
int mg_multipart_feed(mg_multipart *m, mg_str data);

// At the end of the body: MG_ESYNTAX if the closing delimiter has not come.
int mg_multipart_finish(mg_multipart *m);
