// http/message.h: the head of a request, or of a response, as the grammar leaves it.
#pragma once

#include "http/fields.h"
#include "http/method.h"
#include "http/url.h"

// How the body is delimited (RFC 9112 section 6.3).
typedef enum mg_framing {
    MG_FRAMING_NONE,
    MG_FRAMING_LENGTH,
    MG_FRAMING_CHUNKED, // in HTTP/2: until the stream ends
    MG_FRAMING_CLOSE,   // responses alone: until the connection ends
} mg_framing;

// Every mg_str lies in the arena that was given to the reader.
typedef struct mg_head {
    mg_method method; // MG_METHOD_UNKNOWN: see method_text, a token
    int minor;        // HTTP/1.minor
    mg_framing framing;
    bool keep_alive;      // the peer would reuse the connection (RFC 9112 section 9.3)
    bool expect_continue; // Expect: 100-continue in HTTP/1.1
    uint64_t length;      // Content-Length with MG_FRAMING_LENGTH, else 0
    mg_fields fields;
    mg_str method_text;
    mg_str target_text;
    mg_str host; // of the absolute-form target, else the Host field; may be empty
    mg_target target;
} mg_head;

// A response: of `head` only minor, framing, keep_alive, length and the fields are set.
typedef struct mg_response {
    int status; // 100 to 999
    bool http2; // it came over that
    mg_str reason;
    mg_head head;
} mg_response;

// A refusal: the status to answer, and why in a sentence that a client's author understands. Static
// text.
typedef struct mg_refusal {
    int status;
    const char *reason;
    unsigned retry_after; // seconds; 0: not said
} mg_refusal;

// --- what is to be written ---

typedef enum mg_length_kind {
    MG_LENGTH_NONE,    // neither field: 204, 1xx, or delimited by close
    MG_LENGTH_KNOWN,   // Content-Length
    MG_LENGTH_CHUNKED, // Transfer-Encoding: chunked
} mg_length_kind;

typedef struct mg_answer_head {
    int status;
    mg_str reason; // of HTTP/1.1 alone; empty: the status's own
    mg_length_kind kind;
    uint64_t length;
    mg_str content_type;     // empty: no such field
    const mg_fields *fields; // all others, but those of framing and connection
    mg_str date;             // an IMF-fixdate of 29 bytes, unless `fields` bring their own
    bool close;              // Connection: close
    bool keep_alive_to_10;   // Connection: keep-alive, for a peer of HTTP/1.0 that asked
} mg_answer_head;

typedef struct mg_request_head {
    mg_str method;
    mg_str target;
    mg_str host;             // the field's value
    mg_str scheme;           // HTTP/2 alone has it in the head
    mg_str protocol;         // to be spoken instead (Upgrade; in HTTP/2 RFC 8441); empty: none
    bool trailers;           // HTTP/2: TE says that they are welcome
    const mg_fields *fields; // without Host and those of framing
    mg_length_kind kind;
    uint64_t length;
} mg_request_head;
