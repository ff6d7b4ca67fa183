// http/ws_deflate.h: permessage-deflate (RFC 7692) without context takeover: every message is
// compressed for itself, so that one codec serves all connections of a loop.
#pragma once

#include "base/buf.h"
#include "base/error.h"

// Its two halves (256 KiB and 40 KiB) are made when first needed.
typedef struct mg_ws_deflate mg_ws_deflate;

enum { MG_WS_DEFLATE_ABOVE = 1024 }; // bytes; smaller messages go as they are

mg_ws_deflate *mg_ws_deflate_new(void);
void mg_ws_deflate_free(mg_ws_deflate *z); // accepts NULL

// Appends the compressed form of a message. False, and `out` is as it was: the message is too small
// (MG_WS_DEFLATE_ABOVE), or does not become smaller.
bool mg_ws_compress(mg_ws_deflate *z, mg_str message, mg_buf *out);

// Appends the content of a compressed message. MG_ELIMIT: it has more than `max_bytes`, of which no
// more were made; MG_ESYNTAX: the data is broken or cut off. `out` is as it was then.
int mg_ws_decompress(mg_ws_deflate *z, mg_str data, mg_buf *out, size_t max_bytes);
