// http/h2_inside.h: what the parts of the engine share. For http/h2* alone.
#pragma once

#include "http/h2.h"

// One call of mg_h2_read.
typedef struct mg_h2_step {
    mg_h2 *h;
    mg_buf *out;
    mg_h2_event *e;
    mg_h2_event_kind kind; // what has happened; MG_H2_MORE: nothing yet
    const uint8_t *p;      // input that was not taken yet
    size_t n;
} mg_h2_step;

typedef enum mg_h2_phase {
    MG_H2_IN_PREFACE,
    MG_H2_IN_HEADER,
    MG_H2_IN_START, // of the payload: what is to be seen in one piece
    MG_H2_IN_DATA,
    MG_H2_IN_BLOCK,
    MG_H2_IN_REST, // of the payload, and padding: not looked at
} mg_h2_phase;

// --- events (h2_read.c) ---

// Each ends the call of mg_h2_read with that event.
void mg_h2_tell(mg_h2_step *t, mg_h2_event_kind kind, mg_h2_stream *s);
// A connection error (RFC 9113 section 5.4.1).
void mg_h2_die(mg_h2_step *t, mg_h2_code code, const char *reason);
// A stream error (section 5.4.2), of `s`; or of the stream `id` that is not open: no event.
void mg_h2_stream_error(mg_h2_step *t, mg_h2_stream *s, mg_h2_code code, const char *reason);
void mg_h2_closed_stream_error(mg_h2_step *t, uint32_t id, mg_h2_code code);

// Of a frame whose payload begins at `p`: takes the padding off what is left. False: there is more
// of it than that, and the connection ends.
bool mg_h2_take_padding(mg_h2_step *t, const uint8_t *p);

// Counts a frame of that kind. False: it was one too many, and the connection is over.
bool mg_h2_count_nothing(mg_h2_step *t, mg_h2_budget kind);

// Bytes that the peer has made us append. False: too many, and the connection is over.
bool mg_h2_owe(mg_h2_step *t, size_t bytes);

// --- frames whose start is gathered ---

void mg_h2_on_settings(mg_h2_step *t, const uint8_t *p); // one setting, or nothing behind the last
void mg_h2_on_ping(mg_h2_step *t, const uint8_t *p);
void mg_h2_on_goaway(mg_h2_step *t, const uint8_t *p);
void mg_h2_on_window_update(mg_h2_step *t, const uint8_t *p);
void mg_h2_on_reset(mg_h2_step *t, const uint8_t *p);
void mg_h2_on_priority(mg_h2_step *t, const uint8_t *p);
void mg_h2_on_priority_update(mg_h2_step *t, const uint8_t *p, size_t n);

// After a GOAWAY: the next stream that the peer did not look at, or nothing.
bool mg_h2_shed(mg_h2_step *t);

// --- field sections (h2_head.c) ---

void mg_h2_on_headers(mg_h2_step *t, const uint8_t *p);
void mg_h2_on_continuation(mg_h2_step *t);
void mg_h2_take_block(mg_h2_step *t); // what there is of the fragment under way

// --- content (h2_data.c) ---

void mg_h2_on_data(mg_h2_step *t, const uint8_t *p);
void mg_h2_take_data(mg_h2_step *t);

// Gives back what was taken, if it is much.
void mg_h2_open_connection(mg_h2 *h, mg_buf *out);
void mg_h2_open_stream(mg_h2 *h, mg_h2_stream *s, mg_buf *out);

// --- sending ---

void mg_h2_append_reset(mg_buf *out, uint32_t id, mg_h2_code code);
void mg_h2_append_goaway(mg_buf *out, uint32_t last, mg_h2_code code, const char *reason);
void mg_h2_stream_begin(mg_h2 *h, mg_h2_stream *s, mg_arena *arena, uint32_t id);
// If both sides have ended, it is closed.
void mg_h2_settle(mg_h2 *h, mg_h2_stream *s);
// The encoder, telling first what the peer's table is.
struct mg_h2_encoder *mg_h2_encoder_of(mg_h2 *h);
