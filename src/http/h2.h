// http/h2.h: HTTP/2 (RFC 9113) on one connection, at either end of it: bytes in, events out.
//
// An mg_h2 lives inside its owner, which has the connection: it gives what it received to
// mg_h2_read and does what each event asks; what is to be sent is appended to an mg_buf of the
// owner's, by mg_h2_read (acknowledgements, windows, resets) and by the functions of http/h2_send.
// Whose content goes next is http/h2_schedule's to say. It knows no socket, and of the time what it
// is told.
//
// A stream's mg_h2_stream lies in the owner's struct for the exchange or the call, and the fields
// of its messages in that one's arena; both are lent from mg_h2_accept (or mg_h2_request) until
// mg_h2_is_closed says that the stream is gone. Then nothing of it is remembered here.
//
//   server:  OPEN (mg_h2_accept) -> HEAD -> DATA* -> TRAILERS?      one of them says `end`
//   client:  mg_h2_request -> HEAD (1xx)* -> HEAD -> DATA* -> TRAILERS?
//   at any time RESET: the stream is gone; CLOSED: the connection is
#pragma once

#include "base/buf.h"
#include "http/h2_state.h"

// --- life ---

// Appends the connection's preface: SETTINGS, and the window of the connection. `limits` is
// borrowed and may not change while `h` lives.
void mg_h2_init(mg_h2 *h, bool client, const mg_h2_limits *limits, mg_buf *out);

// Gives its memory back. Streams that are open are forgotten.
void mg_h2_deinit(mg_h2 *h);

// Takes some of the `n` bytes, `*used` says how many, up to the next event. Call again with the
// rest until MG_H2_MORE, also when no bytes are left: one frame can mean several events. `e` holds
// until then. `now_ms` of any monotonic clock is for the budgets.
mg_h2_event_kind mg_h2_read(mg_h2 *h, const char *data, size_t n, uint64_t now_ms, size_t *used,
                            mg_buf *out, mg_h2_event *e);

// Answers OPEN, before the next mg_h2_read: `s` and `arena` are lent until the stream is gone.
void mg_h2_accept(mg_h2 *h, mg_h2_stream *s, mg_arena *arena);

// What was appended until now has left. Whoever lets us owe more than 64 KiB of acknowledgements
// and resets without taking them is told to go.
void mg_h2_drained(mg_h2 *h);

// Nothing is under way and may not be for long: gives back what can be made again.
void mg_h2_rest(mg_h2 *h);

// --- streams ---

// Neither side sends any more, or it was reset: whoever lent it may have it back.
static inline bool mg_h2_is_closed(const mg_h2_stream *s) {
    return s->id == 0;
}

// The peer has begun something that it has to bring to an end soon: the preface, a head.
static inline bool mg_h2_is_waiting(const mg_h2 *h) {
    return !h->greeted || h->block.id != 0;
}

static inline uint32_t mg_h2_count(const mg_h2 *h) {
    return h->streams.count;
}

// Of a client's end: it opens no more streams, whatever happens; it may open one now.
static inline bool mg_h2_is_final(const mg_h2 *h) {
    return h->over || h->left || h->next_id > 0x7fffffff;
}

static inline bool mg_h2_may_request(const mg_h2 *h) {
    return !mg_h2_is_final(h) && h->streams.count < h->peer.streams;
}

// Whether the peer takes extended CONNECT (RFC 8441), as far as it has said.
static inline bool mg_h2_may_connect(const mg_h2 *h) {
    return h->peer.extended_connect;
}

// How many streams of ours the peer allows at a time.
static inline uint32_t mg_h2_allowed(const mg_h2 *h) {
    return h->peer.streams;
}

// One that is open, or NULL: for those who reset all.
static inline mg_h2_stream *mg_h2_any(const mg_h2 *h) {
    return h->streams.count > 0 ? h->streams.at[h->streams.count - 1] : NULL;
}
