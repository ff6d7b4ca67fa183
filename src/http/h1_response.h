// http/h1_response.h: reads the head of an HTTP/1.x response (RFC 9112 section 4), as strictly as
// http/h1_read reads requests: what is ambiguous is refused, and its connection is never used
// again.
#pragma once

#include "http/h1_section.h"

// Lives inside its owner.
typedef struct mg_h1_response_reader {
    mg_h1_section section;
    bool to_head;      // the request was a HEAD
    const char *fault; // static text, behind MG_H1_RESPONSE_BAD
} mg_h1_response_reader;

typedef enum mg_h1_response_verdict {
    MG_H1_RESPONSE_MORE, // all input was taken
    MG_H1_RESPONSE_HEAD, // `*out` is filled; `*used` bytes belonged to it
    MG_H1_RESPONSE_BAD,  // `fault` says why
} mg_h1_response_verdict;

// `arena` is borrowed and holds the head. first_line_bytes of `limits` is for the status line.
void mg_h1_response_init(mg_h1_response_reader *r, mg_arena *arena, const mg_guard_limits *limits,
                         bool to_head);

// An interim response (1xx) is a head like any other, without a body; init for the next one.
mg_h1_response_verdict mg_h1_response_read(mg_h1_response_reader *r, const char *data, size_t n,
                                           size_t *used, mg_response *out);
