// base/codec.h: bytes as text: base64 (RFC 4648), hex, and percent encoding (RFC 3986).
//
// Every function appends to `out`, which must not hold `in`. The decoders return MG_ESYNTAX and
// append nothing for malformed text.
#pragma once

#include "base/buf.h"

enum {
    MG_BASE64_URL = 1,      // the alphabet with - and _ instead of + and /
    MG_BASE64_UNPADDED = 2, // encode only
};

void mg_base64_encode(mg_buf *out, mg_str in, unsigned flags);

// Padding may be absent, but not wrong. Bits that no byte uses must be zero, so that no two texts
// of one form mean the same.
int mg_base64_decode(mg_buf *out, mg_str in, unsigned flags);

// In lower case; decodes both cases.
void mg_hex_encode(mg_buf *out, mg_str in);
int mg_hex_decode(mg_buf *out, mg_str in);

// Keeps the unreserved characters of RFC 3986 section 2.3; a space becomes %20. Decoding leaves a
// plus sign alone.
void mg_percent_encode(mg_buf *out, mg_str in);
int mg_percent_decode(mg_buf *out, mg_str in);
