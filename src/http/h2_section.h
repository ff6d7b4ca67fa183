// http/h2_section.h: the rules of a field section of HTTP/2 (RFC 9113 section 8): fields go in as
// they are decoded; a head, or trailers, come out, or what is wrong.
//
// What HTTP/1.1 refuses is refused here too: a message may go on over HTTP/1.1.
#pragma once

#include "http/h2_event.h"
#include "http/h2_limits.h"
#include "http/h2_table.h"

typedef enum mg_h2_pseudo {
    MG_H2_METHOD,
    MG_H2_SCHEME,
    MG_H2_AUTHORITY,
    MG_H2_PATH,
    MG_H2_PROTOCOL,
    MG_H2_STATUS,
    MG_H2_PSEUDOS,
} mg_h2_pseudo;

typedef enum mg_h2_section_kind {
    MG_H2_REQUEST,
    MG_H2_RESPONSE,
    MG_H2_TRAILER_SECTION,
} mg_h2_section_kind;

// What is kept of it lies in `fields.arena`.
typedef struct mg_h2_section {
    mg_h2_section_kind kind;
    uint32_t limit; // of `bytes`
    uint32_t bytes; // counted as RFC 9113 section 10.5.1 says; what is beyond the limit is not kept
    uint32_t crumbs;              // Cookie fields
    bool regular;                 // a field that is no pseudo-field has come
    const char *fault;            // NULL, or why it is malformed (section 8.1.1); static text
    mg_str pseudo[MG_H2_PSEUDOS]; // p of NULL: it has not come
    mg_fields fields;
} mg_h2_section;

void mg_h2_section_init(mg_h2_section *s, mg_h2_section_kind kind, uint32_t limit, mg_arena *arena);

// Borrows its texts for the call.
void mg_h2_section_add(mg_h2_section *s, const mg_h2_decoded *f);

static inline bool mg_h2_section_is_too_large(const mg_h2_section *s) {
    return s->bytes > s->limit;
}

// The section is whole: fills `head`, `refusal`, `scheme`, `protocol` of `*e`, whose `end` is set.
// NULL, or why the request is malformed: its stream is to be reset.
const char *mg_h2_section_request(mg_h2_section *s, const mg_h2_limits *limits, mg_h2_event *e);

// The same of a response: `status` and `head`; `to_head`: it answers HEAD.
const char *mg_h2_section_response(mg_h2_section *s, const mg_h2_limits *limits, bool to_head,
                                   mg_h2_event *e);
