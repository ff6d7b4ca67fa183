// http/h2_decode.h: the reading half of HPACK (RFC 7541), by nghttp2's codec. For http/h2* alone.
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

typedef struct nghttp2_hd_inflater mg_h2_decoder;

mg_h2_decoder *mg_h2_decoder_new(void);
void mg_h2_decoder_free(mg_h2_decoder *d); // accepts NULL

// The peer knows that its dynamic table has so many bytes now, instead of 4,096.
void mg_h2_decoder_resize(mg_h2_decoder *d, uint32_t table);

// Takes some of `*in`, whose end is the end of the whole block if `last`, up to the next field,
// which is borrowed until the next call. MG_OK: here it is; MG_EAGAIN: all was taken, and is whole
// if `last`; MG_ESYNTAX: the block is wrong, and the decoder of no more use.
int mg_h2_decode(mg_h2_decoder *d, mg_str *in, bool last, mg_str *name, mg_str *value);
