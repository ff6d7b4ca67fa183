// http/h2_frame.h: the numbers of HTTP/2's frames (RFC 9113 sections 4, 6 and 7), and their
// headers.
#pragma once

#include "base/buf.h"
#include "http/h2_event.h"

enum {
    MG_H2_DATA_FRAME,
    MG_H2_HEADERS_FRAME,
    MG_H2_PRIORITY_FRAME,
    MG_H2_RST_STREAM_FRAME,
    MG_H2_SETTINGS_FRAME,
    MG_H2_PUSH_PROMISE_FRAME,
    MG_H2_PING_FRAME,
    MG_H2_GOAWAY_FRAME,
    MG_H2_WINDOW_UPDATE_FRAME,
    MG_H2_CONTINUATION_FRAME,
    MG_H2_PRIORITY_UPDATE_FRAME = 0x10, // RFC 9218
};

enum {
    MG_H2_FLAG_END_STREAM = 0x1,
    MG_H2_FLAG_ACK = 0x1,
    MG_H2_FLAG_END_HEADERS = 0x4,
    MG_H2_FLAG_PADDED = 0x8,
    MG_H2_FLAG_PRIORITY = 0x20,
};

// Settings.
enum {
    MG_H2_HEADER_TABLE_SIZE = 1,
    MG_H2_ENABLE_PUSH,
    MG_H2_MAX_CONCURRENT_STREAMS,
    MG_H2_INITIAL_WINDOW_SIZE,
    MG_H2_MAX_FRAME_SIZE,
    MG_H2_MAX_HEADER_LIST_SIZE,
    MG_H2_ENABLE_CONNECT_PROTOCOL = 8, // RFC 8441
    MG_H2_NO_RFC7540_PRIORITIES,       // RFC 9218
};

enum {
    MG_H2_FRAME_HEADER = 9,  // bytes
    MG_H2_FRAME_MAX = 16384, // of payload, that we take, and that we send
    MG_H2_FRAME_CEILING = 0xffffff,
    MG_H2_WINDOW = 65535,          // of a connection, and of streams until settings say otherwise
    MG_H2_WINDOW_MAX = 0x7fffffff, // also the largest stream id
    MG_H2_TABLE = 4096,            // of HPACK, until settings say otherwise
};

// What a client's connection begins with (RFC 9113 section 3.4).
#define MG_H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static inline uint32_t mg_h2_get16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t mg_h2_get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// Of 31 bits; the first one is reserved, and counts for nothing.
static inline uint32_t mg_h2_get31(const uint8_t *p) {
    return mg_h2_get32(p) & MG_H2_WINDOW_MAX;
}

static inline void mg_h2_put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void mg_h2_put32(uint8_t *p, uint32_t v) {
    mg_h2_put16(p, v >> 16);
    mg_h2_put16(p + 2, v & 0xffff);
}

static inline void mg_h2_put_header(uint8_t *p, size_t length, uint8_t type, uint8_t flags,
                                    uint32_t id) {
    p[0] = (uint8_t)(length >> 16);
    mg_h2_put16(p + 1, (uint32_t)length & 0xffff);
    p[3] = type;
    p[4] = flags;
    mg_h2_put32(p + 5, id);
}

// Appends the header of a frame with room for its payload, and returns where that goes.
static inline uint8_t *mg_h2_append_frame(mg_buf *out, size_t length, uint8_t type, uint8_t flags,
                                          uint32_t id) {
    uint8_t *p = (uint8_t *)mg_buf_reserve(out, MG_H2_FRAME_HEADER + length);
    mg_h2_put_header(p, length, type, flags, id);
    out->n += MG_H2_FRAME_HEADER + length;
    return p + MG_H2_FRAME_HEADER;
}
