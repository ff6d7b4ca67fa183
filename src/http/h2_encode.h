// http/h2_encode.h: the writing half of HPACK (RFC 7541). For http/h2* alone.
//
// Fields go straight into the frame, one by one. What comes for the first time is written as it is,
// what comes again is put into the dynamic table, and one byte from then on: values that never
// repeat (paths, ids, validators) neither push out others nor cost a copy. Nothing is coded by
// Huffman: what is left to be written out would cost more to be coded than to be sent.
#pragma once

#include "base/buf.h"
#include "http/fields.h"

typedef struct mg_h2_encoder mg_h2_encoder;

// Uses at most `table` bytes of the peer's dynamic table, of whose 4,096 it knows.
mg_h2_encoder *mg_h2_encoder_new(uint32_t table);
void mg_h2_encoder_free(mg_h2_encoder *e); // accepts NULL

// The peer's table has so many bytes now. More than it was made for are not used.
void mg_h2_encoder_resize(mg_h2_encoder *e, uint32_t table);

// Names by their place in the static table (appendix A), the first of several.
enum {
    MG_H2_STATIC_AUTHORITY = 1,
    MG_H2_STATIC_METHOD = 2,
    MG_H2_STATIC_PATH = 4,
    MG_H2_STATIC_SCHEME = 6,
    MG_H2_STATIC_STATUS = 8,
};

// Begins a block: appends what the peer's decoder has to know first.
void mg_h2_encode_begin(mg_h2_encoder *e, mg_buf *out);

// Appends a field, whose name may be in any case; the second form: a pseudo-field of the above.
void mg_h2_encode(mg_h2_encoder *e, mg_buf *out, const mg_field *f);
void mg_h2_encode_pseudo(mg_h2_encoder *e, mg_buf *out, unsigned name, mg_str value);
