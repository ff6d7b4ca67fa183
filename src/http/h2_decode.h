// http/h2_decode.h: the reading half of HPACK (RFC 7541). For http/h2* alone.
#pragma once

#include "base/error.h"
#include "http/h2_table.h"

typedef struct mg_h2_decoder mg_h2_decoder;

mg_h2_decoder *mg_h2_decoder_new(void);
void mg_h2_decoder_free(mg_h2_decoder *d); // accepts NULL

// Between blocks: gives back what can be made again.
void mg_h2_decoder_rest(mg_h2_decoder *d);

// The peer knows that its dynamic table has so many bytes now, instead of 4,096.
void mg_h2_decoder_resize(mg_h2_decoder *d, uint32_t table);

// Takes some of `*in`, whose end is the end of the whole block if `last`, up to the next field,
// whose texts are borrowed until the next call. MG_OK: here it is; MG_EAGAIN: all was taken, and is
// whole if `last`; MG_ESYNTAX: the block is wrong, and the decoder of no more use.
//
// A field that has not come whole is kept: who calls bounds how much of a block there may be.
int mg_h2_decode(mg_h2_decoder *d, mg_str *in, bool last, mg_h2_decoded *f);
