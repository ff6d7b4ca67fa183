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
#include "http/h2_event.h"
#include "http/h2_limits.h"

// --- what lies inside; for http/h2_* alone ---

struct nghttp2_hd_inflater;
struct nghttp2_hd_deflater;

// The streams that are open, in the order of their ids.
typedef struct mg_h2_table {
    mg_h2_stream **at; // owned; NULL while there is none
    uint32_t count, cap;
} mg_h2_table;

enum { MG_H2_REMEMBERED = 32 };

// The last streams that were closed, and what may still come for them.
typedef struct mg_h2_closed {
    struct {
        uint32_t half_id : 30; // all ids of a side are odd, or all are even
        uint32_t how : 2;
    } at[MG_H2_REMEMBERED];
    uint8_t next;
} mg_h2_closed;

typedef struct mg_h2_bucket {
    uint32_t tokens; // thousandths
    uint32_t at_ms;  // when they were counted
} mg_h2_bucket;

// What the peer has set (RFC 9113 section 6.5.2).
typedef struct mg_h2_settings {
    uint32_t header_table;
    uint32_t streams;
    uint32_t window;
    uint32_t frame;
    bool extended_connect;
    bool no_priorities;
} mg_h2_settings;

// The frame under way.
typedef struct mg_h2_frame {
    uint32_t length; // of the payload
    uint32_t left;   // of it, that has not come yet
    uint32_t id;
    uint8_t type;
    uint8_t flags;
    uint8_t padding; // at its end
} mg_h2_frame;

// The field section under way, maybe over several frames.
typedef struct mg_h2_block {
    struct mg_h2_section *section; // in the stream's arena; NULL: decoded and forgotten
    uint32_t id;                   // 0: none is under way
    uint32_t bytes;                // compressed, so far
    uint32_t frames;
    uint8_t fate; // what is to be done when it is whole
    bool end;     // of the stream
} mg_h2_block;

typedef struct mg_h2 {
    const mg_h2_limits *limits; // borrowed
    mg_h2_table streams;
    mg_h2_closed closed;
    mg_h2_settings peer;
    mg_h2_bucket budgets[MG_H2_BUDGETS];
    mg_link turns[8];                     // http/h2_schedule: of each urgency
    struct nghttp2_hd_inflater *inflater; // made when first needed
    struct nghttp2_hd_deflater *deflater;
    mg_h2_frame frame;
    mg_h2_block block;
    mg_h2_stream *current; // whose DATA is under way; NULL: to be thrown away
    uint64_t now_ms;
    int32_t send_window;
    int32_t receive_left;
    uint32_t taken;         // and not yet given back to the peer
    uint32_t stream_window; // that the peer knows of
    uint32_t last_id;       // of the peer's streams
    uint32_t next_id;       // of ours
    uint32_t goaway_id;     // streams of ours behind it were not looked at by the peer
    uint32_t owed;          // bytes that the peer has provoked since mg_h2_drained
    uint8_t phase;
    uint8_t gathered;
    char bytes[40]; // what has to be seen in one piece
    bool client : 1;
    bool greeted : 1;      // the peer's first SETTINGS have come
    bool acknowledged : 1; // and it has ours
    bool leaving : 1;      // our last GOAWAY is sent
    bool left : 1;         // the peer's has come
    bool over : 1;
} mg_h2;

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

static inline uint32_t mg_h2_count(const mg_h2 *h) {
    return h->streams.count;
}

// One that is open, or NULL: for those who reset all.
static inline mg_h2_stream *mg_h2_any(const mg_h2 *h) {
    return h->streams.count > 0 ? h->streams.at[h->streams.count - 1] : NULL;
}
