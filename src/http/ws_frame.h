// http/ws_frame.h: the frames of WebSocket (RFC 6455 section 5), for both roles: a reader that
// makes messages and control frames of bytes, and a writer. Pure: no socket, no clock.
//
// The reader owns the content of the message under way, and nothing else: between messages it holds
// no memory. A client's content is unmasked, text is checked as it comes, what was compressed
// (http/ws_deflate.h) is decoded: who reads events never meets a frame.
#pragma once

#include "base/buf.h"

typedef struct mg_ws_deflate mg_ws_deflate;

typedef enum mg_ws_opcode {
    MG_WS_CONTINUATION = 0,
    MG_WS_TEXT = 1,
    MG_WS_BINARY = 2,
    MG_WS_CLOSE = 8,
    MG_WS_PING = 9,
    MG_WS_PONG = 10,
} mg_ws_opcode;

// Why a connection ends (RFC 6455 section 7.4.1 and IANA's registry).
enum {
    MG_WS_NORMAL = 1000,
    MG_WS_GOING_AWAY = 1001,
    MG_WS_PROTOCOL_ERROR = 1002,
    MG_WS_NO_CODE = 1005,  // never sent: a close frame without a code was
    MG_WS_ABNORMAL = 1006, // never sent: the connection ended without a close frame
    MG_WS_BAD_CONTENT = 1007,
    MG_WS_POLICY = 1008,
    MG_WS_TOO_LARGE = 1009,
    MG_WS_INTERNAL = 1011,
    MG_WS_RESTART = 1012,
    MG_WS_TRY_LATER = 1013,
};

enum {
    MG_WS_HEAD_MAX = 14,
    MG_WS_CONTROL_MAX = 125, // bytes of a control frame's content
    MG_WS_REASON_MAX = MG_WS_CONTROL_MAX - 2,
};

// Whether a close frame may carry that code: not those that only stand for something, not those of
// nobody.
bool mg_ws_code_is_sent(unsigned code);

// --- reading ---

typedef struct mg_ws_rules {
    bool masked;            // what comes: true at a server, false at a client
    size_t max_message;     // bytes of a message's content, decoded; up to 1 GiB
    mg_ws_deflate *deflate; // borrowed; NULL: permessage-deflate was not agreed on
} mg_ws_rules;

// A zeroed one is a valid beginning.
typedef struct mg_ws_reader {
    mg_buf content;   // of the message under way; behind it that of a control frame
    size_t message_n; // bytes of it that belong to the message
    size_t checked_n; // and of those, whole characters of text
    uint64_t left;    // of the frame under way
    uint32_t frames;  // that have begun, of all kinds: what a limit on their rate counts
    uint8_t head[MG_WS_HEAD_MAX];
    uint8_t head_n;
    uint8_t mask_at; // which byte of the mask comes next
    uint8_t kind;    // MG_WS_TEXT or MG_WS_BINARY while a message is under way, or 0
    bool compressed; // the message under way
    bool in_frame;   // its head is read
    bool given;      // what the last event gave is to be dropped
    bool ended;      // by a close frame or a fault
} mg_ws_reader;

typedef enum mg_ws_event_kind {
    MG_WS_EVENT_NONE,    // all input is taken: more is needed
    MG_WS_EVENT_MESSAGE, // `opcode` TEXT or BINARY, `content`
    MG_WS_EVENT_PING,    // `content` is to be sent back in a pong
    MG_WS_EVENT_PONG,    // `content`
    MG_WS_EVENT_CLOSE, // the peer's close frame: `code` (MG_WS_NO_CODE: it has none), `content` is
                       // its reason
    MG_WS_EVENT_FAULT, // the peer broke a rule: close with `code` and `content` (static, for
                       // people)
} mg_ws_event_kind;

typedef struct mg_ws_event {
    mg_ws_event_kind kind;
    mg_ws_opcode opcode;
    unsigned code;
    mg_str content; // borrowed until the next call for this reader
} mg_ws_event;

// Takes bytes off the front of `input` until there is an event. Behind CLOSE and FAULT everything
// is taken and nothing comes of it.
mg_ws_event mg_ws_read(mg_ws_reader *r, const mg_ws_rules *rules, mg_str *input);

// What the last event said is not needed any more: its memory goes before the next call.
void mg_ws_reader_let_go(mg_ws_reader *r);

// Whether a message or a frame has begun and is not complete.
bool mg_ws_reader_is_amid(const mg_ws_reader *r);

void mg_ws_reader_deinit(mg_ws_reader *r);

// --- writing ---

typedef struct mg_ws_frame {
    mg_ws_opcode opcode;
    bool more;       // further frames of this message follow
    bool compressed; // of a message's first frame: `content` is what mg_ws_compress made
    const uint8_t
        *mask; // 4 bytes that nobody can foresee (RFC 6455 section 10.3); NULL: a server's
} mg_ws_frame;

// Writes the head alone, mask included; returns its length. `out` holds MG_WS_HEAD_MAX bytes.
size_t mg_ws_write_head(char *out, const mg_ws_frame *frame, uint64_t length);

// Writes the frame; returns its length. `out` holds MG_WS_HEAD_MAX bytes more than `content`, which
// must not lie in it.
size_t mg_ws_write_to(char *out, const mg_ws_frame *frame, mg_str content);

// Appends it, likewise.
void mg_ws_write(mg_buf *out, const mg_ws_frame *frame, mg_str content);

// Appends a close frame; MG_WS_NO_CODE makes one without content. A reason longer than
// MG_WS_REASON_MAX is cut at the end of a character.
void mg_ws_write_close(mg_buf *out, unsigned code, mg_str reason, const uint8_t *mask);
