// http/h2_state.h: what an end of a connection of HTTP/2 remembers. Its owner embeds it and touches
// nothing of it: see http/h2.
#pragma once

#include "http/h2_event.h"
#include "http/h2_limits.h"

struct mg_h2_decoder;
struct mg_h2_encoder;

// The streams that are open, in the order of their ids.
typedef struct mg_h2_table {
    mg_h2_stream **at; // owned
    uint32_t count, cap;
} mg_h2_table;

enum { MG_H2_REMEMBERED = 32 };

// The last streams that were closed, and what may still come for them.
typedef struct mg_h2_closed {
    struct {
        uint32_t half_id : 30;
        uint32_t how : 2;
    } at[MG_H2_REMEMBERED];
    uint8_t next;
} mg_h2_closed;

typedef struct mg_h2_bucket {
    uint64_t tokens; // parts of them
    uint64_t at_ms;  // when they were counted
} mg_h2_bucket;

// What the peer has set (RFC 9113 section 6.5.2).
typedef struct mg_h2_settings {
    uint32_t header_table;
    uint32_t header_table_least; // that our encoder has not told yet
    uint32_t streams;
    uint32_t window;
    bool extended_connect;
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
    mg_link turns[8];              // http/h2_schedule: of each urgency
    struct mg_h2_decoder *decoder; // made when first needed
    struct mg_h2_encoder *encoder;
    mg_h2_frame frame;
    mg_h2_block block;
    mg_h2_stream *current; // whose DATA is under way; NULL: to be thrown away
    uint64_t now_ms;
    int32_t send_window;
    int32_t receive_left;
    uint32_t taken;         // and not yet given back to the peer
    uint32_t stream_window; // that the peer knows of
    uint32_t last_id;       // of the peer's streams
    uint32_t accepted_id;   // the last one of them that was looked at
    uint32_t next_id;       // of ours
    uint32_t goaway_id;     // streams of ours behind it were not looked at by the peer
    uint32_t owed;          // bytes that the peer has provoked since mg_h2_drained
    uint8_t phase;
    uint8_t gathered;
    uint8_t bytes[40]; // what has to be seen in one piece
    bool client : 1;
    bool greeted : 1;      // the peer's first SETTINGS have come
    bool acknowledged : 1; // and it has ours
    bool leaving : 1;      // our last GOAWAY is sent
    bool left : 1;         // the peer's has come
    bool over : 1;
} mg_h2;
