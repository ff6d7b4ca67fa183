// http/h1_write.h: writes the heads of HTTP/1.1 messages, and chunk framing (RFC 9112).
#pragma once

#include "base/buf.h"
#include "http/message.h"

void mg_h1_write_head(mg_buf *out, const mg_answer_head *a);

// A whole interim answer (1xx); `fields` of NULL: none.
void mg_h1_write_interim(mg_buf *out, int status, const mg_fields *fields);

void mg_h1_write_request(mg_buf *out, const mg_request_head *r);

// One chunk; `n` > 0.
void mg_h1_write_chunk(mg_buf *out, const char *data, size_t n);

// The last chunk and the trailers; NULL: none.
void mg_h1_write_last_chunk(mg_buf *out, const mg_fields *trailers);
