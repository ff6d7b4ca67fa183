// http/h1_write.h: writes the heads of HTTP/1.1 messages, and chunk framing (RFC 9112).
#pragma once

#include "base/buf.h"
#include "http/message.h"

typedef enum mg_length_kind {
    MG_LENGTH_NONE,    // neither field: 204, 1xx, or delimited by close
    MG_LENGTH_KNOWN,   // Content-Length
    MG_LENGTH_CHUNKED, // Transfer-Encoding: chunked
} mg_length_kind;

typedef struct mg_answer_head {
    int status;
    mg_length_kind kind;
    uint64_t length;
    mg_str content_type;     // empty: no such field
    const mg_fields *fields; // all others, but those of framing and connection
    mg_str date;             // an IMF-fixdate of 29 bytes, unless `fields` bring their own
    bool close;              // Connection: close
    bool keep_alive_to_10;   // Connection: keep-alive, for a peer of HTTP/1.0 that asked
} mg_answer_head;

void mg_h1_write_head(mg_buf *out, const mg_answer_head *a);

// A whole interim answer (1xx); `fields` of NULL: none.
void mg_h1_write_interim(mg_buf *out, int status, const mg_fields *fields);

typedef struct mg_request_head {
    mg_str method;
    mg_str target;
    mg_str host;             // the field's value
    const mg_fields *fields; // without Host and those of framing
    mg_length_kind kind;
    uint64_t length;
} mg_request_head;

void mg_h1_write_request(mg_buf *out, const mg_request_head *r);

// One chunk; `n` > 0.
void mg_h1_write_chunk(mg_buf *out, const char *data, size_t n);

// The last chunk and the trailers; NULL: none.
void mg_h1_write_last_chunk(mg_buf *out, const mg_fields *trailers);
