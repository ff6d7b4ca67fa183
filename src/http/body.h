// http/body.h: decodes a message body by its framing: by length, chunked with trailers (RFC 9112
// sections 6 and 7).
//
// A push decoder: bytes in, pieces of content out. The same input gives the same content however it
// is split.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "http/guard.h"

typedef struct mg_body_limits {
    uint32_t extension_bytes; // chunk extensions of the whole body: 400
    mg_guard_limits trailers; // first_line_bytes 0: 431
} mg_body_limits;

// Lives inside its owner. Trailer fields lie in `arena` (borrowed).
typedef struct mg_body {
    mg_arena *arena;
    const mg_body_limits *limits;
    uint64_t left;     // of the content (length) or of the chunk under way
    uint64_t received; // content bytes so far
    uint32_t extension_bytes;
    uint8_t state;
    uint8_t digits; // of the chunk size under way
    mg_guard guard;
    mg_buf trailer_bytes;
    mg_fields trailers;
    mg_refusal refusal;
} mg_body;

typedef enum mg_body_verdict {
    MG_BODY_MORE,  // all input is used
    MG_BODY_PIECE, // *piece holds content, borrowed from the input
    MG_BODY_END,   // the body is complete; the rest of the input belongs to the next message
    MG_BODY_BAD,   // b->refusal; the connection cannot be used further
} mg_body_verdict;

void mg_body_init(mg_body *b, const mg_head *head, const mg_body_limits *limits, mg_arena *arena);
void mg_body_deinit(mg_body *b);

// Takes what it can of the input; `*used` counts it in every case. Call again with the rest until
// MG_BODY_MORE, END or BAD.
mg_body_verdict mg_body_read(mg_body *b, const char *data, size_t n, size_t *used, mg_str *piece);

bool mg_body_complete(const mg_body *b);

// Content bytes that have come or are certain to come, by Content-Length or the chunk under way.
static inline uint64_t mg_body_announced(const mg_body *b) {
    return b->received + b->left;
}
