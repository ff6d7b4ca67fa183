#include "http/h2_send.h"

#include "http/h2_budget.h"
#include "http/h2_encode.h"
#include "http/h2_frame.h"
#include "http/h2_inside.h"
#include "http/h2_schedule.h"
#include "http/h2_streams.h"

#include <assert.h>

// --- the end of our side ---

// If the peer's has ended too, the stream is about to be closed: what nobody took of it is given
// back, before the last frame, whose content may be sent by somebody else.
static void before_end(mg_h2 *h, mg_h2_stream *s, mg_buf *out) {
    if (s->ended) {
        h->taken += s->stored;
        s->stored = 0;
        mg_h2_open_connection(h, out);
    }
}

static void end_side(mg_h2 *h, mg_h2_stream *s) {
    s->end_sent = true;
    mg_h2_want(h, s, false);
    mg_h2_settle(h, s);
}

// --- field sections ---

// Of the connection: no such fields go over this wire.
static bool is_sent(const mg_field *f) {
    return f->id != MG_FIELD_TE ? !mg_field_id_is_hop_by_hop(f->id)
                                : mg_str_ieq(f->value, MG_STR("trailers"));
}

// Cuts what stands in `out` from `at` on, a frame header and a block, into frames.
static void frame_block(mg_buf *out, size_t at, uint32_t id, uint8_t flags) {
    size_t left = out->n - at - MG_H2_FRAME_HEADER;
    uint8_t type = MG_H2_HEADERS_FRAME;
    while (left > MG_H2_FRAME_MAX) {
        mg_h2_put_header((uint8_t *)out->p + at, MG_H2_FRAME_MAX, type, flags, id);
        at += MG_H2_FRAME_HEADER + MG_H2_FRAME_MAX;
        left -= MG_H2_FRAME_MAX;
        mg_buf_reserve(out, MG_H2_FRAME_HEADER);
        memmove(out->p + at + MG_H2_FRAME_HEADER, out->p + at, left);
        out->n += MG_H2_FRAME_HEADER;
        type = MG_H2_CONTINUATION_FRAME;
        flags = 0;
    }
    mg_h2_put_header((uint8_t *)out->p + at, left, type, flags | MG_H2_FLAG_END_HEADERS, id);
}

// A section on its way into a frame.
typedef struct section {
    mg_h2_encoder *encoder;
    mg_buf *out;
    size_t at;    // of the frame
    bool end;     // of our side
    bool keyless; // no key is asked for an answer to (RFC 8441 section 5)
} section;

static section begin_section(mg_h2 *h, mg_h2_stream *s, mg_buf *out, bool end) {
    if (end) {
        before_end(h, s, out);
    }
    section c = {.encoder = mg_h2_encoder_of(h), .out = out, .at = out->n, .end = end};
    mg_buf_reserve(out, MG_H2_FRAME_HEADER);
    out->n += MG_H2_FRAME_HEADER;
    mg_h2_encode_begin(c.encoder, out);
    return c;
}

static void add(const section *c, mg_field_id id, mg_str value) {
    mg_h2_encode(c->encoder, c->out, &(mg_field){mg_field_name(id), value, id});
}

static void add_length(const section *c, uint64_t length) {
    char text[20];
    add(c, MG_FIELD_CONTENT_LENGTH, (mg_str){text, mg_format_u64(text, length)});
}

static void add_status(const section *c, int status) {
    const char text[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                          (char)('0' + status % 10)};
    mg_h2_encode_pseudo(c->encoder, c->out, MG_H2_STATIC_STATUS, (mg_str){text, sizeof text});
}

static void add_all(const section *c, const mg_fields *fields) {
    for (uint32_t i = 0; fields != NULL && i < fields->count; i++) {
        const mg_field *f = &fields->at[i];
        if (is_sent(f) && !(c->keyless && f->id == MG_FIELD_SEC_WEBSOCKET_KEY)) {
            mg_h2_encode(c->encoder, c->out, f);
        }
    }
}

static void end_section(const section *c, mg_h2 *h, mg_h2_stream *s) {
    frame_block(c->out, c->at, s->id, c->end ? MG_H2_FLAG_END_STREAM : 0);
    if (c->end) {
        end_side(h, s);
    }
}

void mg_h2_send_interim(mg_h2 *h, mg_h2_stream *s, mg_buf *out, int status,
                        const mg_fields *fields) {
    section c = begin_section(h, s, out, false);
    add_status(&c, status);
    add_all(&c, fields);
    end_section(&c, h, s);
}

void mg_h2_send_answer(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const mg_answer_head *a, bool end) {
    section c = begin_section(h, s, out, end);
    add_status(&c, a->status);
    if (a->content_type.n > 0) {
        add(&c, MG_FIELD_CONTENT_TYPE, a->content_type);
    }
    if (a->kind == MG_LENGTH_KNOWN) {
        add_length(&c, a->length);
    }
    if (a->date.n > 0 && mg_fields_find(a->fields, MG_FIELD_DATE) == NULL) {
        add(&c, MG_FIELD_DATE, a->date);
    }
    add_all(&c, a->fields);
    s->head_sent = true;
    mg_h2_earn(h, MG_H2_BUDGET_RESETS, 1);
    end_section(&c, h, s);
}

// Which names a request has in front (RFC 9113 section 8.3.1, RFC 8441 section 4).
static void add_pseudo(const section *c, const mg_request_head *r) {
    mg_h2_encode_pseudo(c->encoder, c->out, MG_H2_STATIC_METHOD, r->method);
    mg_h2_encode_pseudo(c->encoder, c->out, MG_H2_STATIC_AUTHORITY, r->host);
    if (r->protocol.n > 0) {
        mg_h2_encode(c->encoder, c->out,
                     &(mg_field){.name = MG_STR(":protocol"), .value = r->protocol});
    } else if (mg_str_eq(r->method, MG_STR("CONNECT"))) {
        return;
    }
    mg_h2_encode_pseudo(c->encoder, c->out, MG_H2_STATIC_SCHEME, r->scheme);
    mg_h2_encode_pseudo(c->encoder, c->out, MG_H2_STATIC_PATH, r->target);
}

int mg_h2_request(mg_h2 *h, mg_h2_stream *s, mg_arena *arena, mg_buf *out, const mg_request_head *r,
                  bool end) {
    if (mg_h2_is_final(h)) {
        return MG_ECLOSED;
    }
    if (!mg_h2_may_request(h)) {
        return MG_EAGAIN;
    }
    mg_h2_earn(h, MG_H2_BUDGET_EMPTY, 4); // heads and ends of one that is given up are ignored
    mg_h2_earn(h, MG_H2_BUDGET_WINDOWS, 2);
    mg_h2_stream_begin(h, s, arena, h->next_id);
    h->next_id += 2;
    s->to_head = mg_str_eq(r->method, MG_STR("HEAD"));
    s->tunnel = mg_str_eq(r->method, MG_STR("CONNECT"));
    s->head_sent = true;
    section c = begin_section(h, s, out, end);
    c.keyless = r->protocol.n > 0;
    add_pseudo(&c, r);
    if (r->kind == MG_LENGTH_KNOWN) {
        add_length(&c, r->length);
    }
    if (r->trailers) {
        add(&c, MG_FIELD_TE, MG_STR("trailers"));
    }
    add_all(&c, r->fields);
    end_section(&c, h, s);
    return MG_OK;
}

void mg_h2_send_end(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const mg_fields *trailers) {
    if (trailers != NULL && trailers->count > 0) {
        section c = begin_section(h, s, out, true);
        add_all(&c, trailers);
        end_section(&c, h, s);
    } else {
        mg_h2_send_data_header(h, s, out, 0, true);
    }
}

// --- content ---

size_t mg_h2_room(const mg_h2 *h, const mg_h2_stream *s) {
    int32_t window = h->send_window < s->send_window ? h->send_window : s->send_window;
    return window <= 0 ? 0 : window < MG_H2_FRAME_MAX ? (size_t)window : MG_H2_FRAME_MAX;
}

void mg_h2_send_data_header(mg_h2 *h, mg_h2_stream *s, mg_buf *out, size_t n, bool end) {
    assert(n <= mg_h2_room(h, s) && (n > 0 || end));
    if (end) {
        before_end(h, s, out);
    }
    uint8_t *p = (uint8_t *)mg_buf_reserve(out, MG_H2_FRAME_HEADER);
    mg_h2_put_header(p, n, MG_H2_DATA_FRAME, end ? MG_H2_FLAG_END_STREAM : 0, s->id);
    out->n += MG_H2_FRAME_HEADER;
    s->send_window -= (int32_t)n;
    h->send_window -= (int32_t)n;
    mg_h2_earn(h, MG_H2_BUDGET_WINDOWS, 2);
    mg_h2_earn(h, MG_H2_BUDGET_PINGS, 1);
    mg_h2_schedule_sent(h, s);
    if (end) {
        end_side(h, s);
    }
}

void mg_h2_send_data(mg_h2 *h, mg_h2_stream *s, mg_buf *out, mg_str data, bool end) {
    mg_h2_send_data_header(h, s, out, data.n, end);
    mg_buf_append_str(out, data);
}

// --- control ---

void mg_h2_append_reset(mg_buf *out, uint32_t id, mg_h2_code code) {
    mg_h2_put32(mg_h2_append_frame(out, 4, MG_H2_RST_STREAM_FRAME, 0, id), code);
}

void mg_h2_send_reset(mg_h2 *h, mg_h2_stream *s, mg_buf *out, mg_h2_code code) {
    if (!mg_h2_is_closed(s)) {
        mg_h2_append_reset(out, s->id, code);
        mg_h2_remove(h, s, MG_H2_WAS_OURS);
        mg_h2_open_connection(h, out);
    }
}

void mg_h2_append_goaway(mg_buf *out, uint32_t last, mg_h2_code code, const char *reason) {
    size_t n = strlen(reason);
    uint8_t *p = mg_h2_append_frame(out, 8 + n, MG_H2_GOAWAY_FRAME, 0, 0);
    mg_h2_put32(p, last);
    mg_h2_put32(p + 4, code);
    memcpy(p + 8, reason, n);
}

void mg_h2_send_goaway(mg_h2 *h, mg_buf *out, bool last) {
    mg_h2_append_goaway(out, last ? h->accepted_id : MG_H2_WINDOW_MAX, MG_H2_NO_ERROR, "");
    h->leaving |= last;
}

void mg_h2_fail(mg_h2 *h, mg_buf *out, mg_h2_code code, const char *reason) {
    mg_h2_append_goaway(out, h->accepted_id, code, reason);
    h->over = true;
}

void mg_h2_send_ping(mg_h2 *h, mg_buf *out) {
    (void)h;
    memset(mg_h2_append_frame(out, 8, MG_H2_PING_FRAME, 0, 0), 0, 8);
}
