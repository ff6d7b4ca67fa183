// http/h2_send.h: what an end of a connection of HTTP/2 sends: frames, appended to a buffer.
//
// All of them are for streams that are open, and for what may be sent on them: a head, content
// within the windows, the end.
#pragma once

#include "http/h2.h"

// The head of an answer; `end`: nothing follows it. `kind` of MG_LENGTH_KNOWN says Content-Length.
void mg_h2_send_answer(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const mg_answer_head *a, bool end);

// 1xx; `fields` of NULL: none.
void mg_h2_send_interim(mg_h2 *h, mg_h2_stream *s, mg_buf *out, int status,
                        const mg_fields *fields);

// Opens a stream with a request, `s` and `arena` being lent until it is gone. MG_OK; MG_EAGAIN: the
// peer allows no more at a time; MG_ECLOSED: this connection opens no more.
int mg_h2_request(mg_h2 *h, mg_h2_stream *s, mg_arena *arena, mg_buf *out, const mg_request_head *r,
                  bool end);

// The most content that a DATA frame of `s` may carry now; 0: none.
size_t mg_h2_room(const mg_h2 *h, const mg_h2_stream *s);

// A DATA frame: at most mg_h2_room; or empty, with `end`.
void mg_h2_send_data(mg_h2 *h, mg_h2_stream *s, mg_buf *out, mg_str data, bool end);

// The same without the content, whose `n` bytes the caller sends behind what is in `out`.
void mg_h2_send_data_header(mg_h2 *h, mg_h2_stream *s, mg_buf *out, size_t n, bool end);

// The end, with trailers; NULL or empty: none.
void mg_h2_send_end(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const mg_fields *trailers);

// Ends the stream at once; nothing more of it will come. NO_ERROR behind a whole answer: the rest
// of the request is not wanted.
void mg_h2_send_reset(mg_h2 *h, mg_h2_stream *s, mg_buf *out, mg_h2_code code);

// `n` bytes of content that came by MG_H2_DATA are not stored any more: the peer may send as many.
void mg_h2_taken(mg_h2 *h, mg_h2_stream *s, mg_buf *out, size_t n);

// Leaving in two steps (RFC 9113 section 6.8): first says that this will be (`last` false); a round
// trip later (a ping, or some time) names the last stream that was accepted. Streams that come
// after that are not looked at; those that are open go on.
void mg_h2_send_goaway(mg_h2 *h, mg_buf *out, bool last);

// Ends the connection for a reason of the owner's. As MG_H2_CLOSED.
void mg_h2_fail(mg_h2 *h, mg_buf *out, mg_h2_code code, const char *reason);

void mg_h2_send_ping(mg_h2 *h, mg_buf *out); // PONG will come
