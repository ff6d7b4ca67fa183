// http/inflate.h: decodes the content codings gzip and deflate (RFC 9110 section 8.4.1) piece by
// piece, with a limit on what comes out.
#pragma once

#include "base/buf.h"
#include "base/error.h"

typedef struct mg_inflate mg_inflate;

typedef enum mg_coding {
    MG_CODING_IDENTITY,
    MG_CODING_GZIP,
    MG_CODING_DEFLATE,
    MG_CODING_OTHER
} mg_coding;

// What a Content-Encoding field says. Several codings in a row are MG_CODING_OTHER.
mg_coding mg_coding_of(mg_str field);

// GZIP or DEFLATE; the latter with the zlib wrapper or, as many servers send it, without.
mg_inflate *mg_inflate_new(mg_coding coding);
void mg_inflate_free(mg_inflate *z); // accepts NULL

// Decodes all of `data`, appends to `out`. MG_ELIMIT once `out` would hold more than `max_bytes`,
// and then holds that many; MG_ESYNTAX if the data is broken, or goes on behind
// its end (gzip may, with further members and then zeros).
int mg_inflate_feed(mg_inflate *z, mg_str data, mg_buf *out, size_t max_bytes);

// The coded data was complete. False for what was cut off.
bool mg_inflate_complete(const mg_inflate *z);
