// http/h2_event.h: a stream of HTTP/2, and what http/h2 tells of it.
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "http/message.h"

// RFC 9113 section 7.
typedef enum mg_h2_code {
    MG_H2_NO_ERROR,
    MG_H2_PROTOCOL_ERROR,
    MG_H2_INTERNAL_ERROR,
    MG_H2_FLOW_CONTROL_ERROR,
    MG_H2_SETTINGS_TIMEOUT,
    MG_H2_STREAM_CLOSED,
    MG_H2_FRAME_SIZE_ERROR,
    MG_H2_REFUSED_STREAM,
    MG_H2_CANCEL,
    MG_H2_COMPRESSION_ERROR,
    MG_H2_CONNECT_ERROR,
    MG_H2_ENHANCE_YOUR_CALM,
    MG_H2_INADEQUATE_SECURITY,
    MG_H2_HTTP_1_1_REQUIRED,
} mg_h2_code;

// "REFUSED_STREAM"; of a number that is none of these "an unknown error". Static text.
const char *mg_h2_code_name(mg_h2_code code);

// One stream. Zeroed by mg_h2_accept and mg_h2_request; its fields are the engine's to write.
typedef struct mg_h2_stream {
    mg_link turn;         // among those with content to send (http/h2_schedule)
    mg_arena *arena;      // borrowed; fields that come lie here
    uint64_t length_left; // content that Content-Length still promises; UINT64_MAX: not said
    uint32_t id;          // 0: it is in no connection
    int32_t send_window;  // may be negative (RFC 9113 section 6.9.2)
    int32_t receive_left; // content that the peer may send now; may be negative
    uint32_t stored;      // content that came and was not yet taken (mg_h2_taken)
    uint32_t taken;       // taken, and not yet given back to the peer
    uint8_t urgency;      // 0 to 7, the lower the sooner (RFC 9218)
    bool incremental : 1; // takes turns with others of its urgency
    bool head_seen : 1;   // a head, and no interim one, has come
    bool head_sent : 1;
    bool ended : 1;    // the peer sends no more
    bool end_sent : 1; // nor do we
    bool to_head : 1;  // a call: by HEAD
    bool tunnel : 1;   // CONNECT
    bool wants : 1;    // has content to send
} mg_h2_stream;

typedef enum mg_h2_event_kind {
    MG_H2_MORE, // all input was taken, nothing else happened
    // The peer opens a stream: mg_h2_accept it, or leave it (it is refused with REFUSED_STREAM).
    MG_H2_OPEN,
    // A request, or (client) a response, 1xx too: `head`, `refusal`, `scheme`, `protocol`, `end`.
    MG_H2_HEAD,
    MG_H2_DATA,     // `piece`, maybe empty, borrowed from the input; `end`
    MG_H2_TRAILERS, // `trailers`, in the stream's arena; always the end
    // The stream is gone: the peer reset it, or its fault made us do so (`code`, `reason`).
    MG_H2_RESET,
    MG_H2_WRITABLE, // windows or limits have grown: something may be sent that could not before
    MG_H2_PONG,     // a PING of ours was answered
    // The peer will take no more streams of ours (`code`); those that it did not look at follow as
    // RESET with REFUSED_STREAM, and may be tried again elsewhere.
    MG_H2_GOAWAY,
    // The connection is over: a GOAWAY with `code` has been appended. What was under way is lost,
    // without further events; nothing is read any more.
    MG_H2_CLOSED,
} mg_h2_event_kind;

// The caller's memory; which parts hold is said above.
typedef struct mg_h2_event {
    mg_h2_stream *stream; // NULL: of the connection
    bool end;             // the peer ends its side of the stream with this
    bool by_peer;         // RESET: it was the peer's
    mg_h2_code code;
    const char *reason; // static text for the log
    mg_str piece;
    mg_fields trailers;
    int status;         // of a response
    mg_head head;       // of a response as in mg_response
    mg_refusal refusal; // of a request: status 0, or what to answer instead of serving it
    bool told;          // of a refused request: `head` is filled with what came, as by mg_h1_read
    mg_str scheme;      // of a request: as it came
    mg_str protocol;    // extended CONNECT (RFC 8441), else empty
} mg_h2_event;
