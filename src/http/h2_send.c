#include "http/h2_send.h"

#include "http/h2_budget.h"
#include "http/h2_frame.h"
#include "http/h2_hpack.h"
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

// Those that come from elsewhere with names of their own in front.
enum { MOST_OWN = 8 };

typedef struct section {
    mg_field own[MOST_OWN];
    size_t count;
    char length[20];
} section;

static void add(section *s, mg_str name, mg_str value) {
    s->own[s->count++] = (mg_field){.name = name, .value = value};
}

static void add_length(section *s, uint64_t length) {
    add(s, MG_STR("content-length"), (mg_str){s->length, mg_format_u64(s->length, length)});
}

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

static void send_section(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const section *own,
                         const mg_fields *fields, bool end) {
    uint32_t others = fields != NULL ? fields->count : 0;
    mg_field *all = mg_arena_alloc(s->arena, (own->count + others) * sizeof *all);
    size_t n = own->count;
    memcpy(all, own->own, n * sizeof *all);
    for (uint32_t i = 0; i < others; i++) {
        if (is_sent(&fields->at[i])) {
            all[n++] = fields->at[i];
        }
    }
    if (end) {
        before_end(h, s, out);
    }
    size_t at = out->n;
    mg_buf_reserve(out, MG_H2_FRAME_HEADER);
    out->n += MG_H2_FRAME_HEADER;
    mg_h2_encode(mg_h2_encoder_of(h), out, all, n, s->arena);
    frame_block(out, at, s->id, end ? MG_H2_FLAG_END_STREAM : 0);
    if (end) {
        end_side(h, s);
    }
}

static void add_status(section *s, char text[3], int status) {
    text[0] = (char)('0' + status / 100 % 10);
    text[1] = (char)('0' + status / 10 % 10);
    text[2] = (char)('0' + status % 10);
    add(s, MG_STR(":status"), (mg_str){text, 3});
}

void mg_h2_send_interim(mg_h2 *h, mg_h2_stream *s, mg_buf *out, int status,
                        const mg_fields *fields) {
    section own = {.count = 0};
    char text[3];
    add_status(&own, text, status);
    send_section(h, s, out, &own, fields, false);
}

void mg_h2_send_answer(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const mg_answer_head *a, bool end) {
    section own = {.count = 0};
    char text[3];
    add_status(&own, text, a->status);
    if (a->content_type.n > 0) {
        add(&own, MG_STR("content-type"), a->content_type);
    }
    if (a->kind == MG_LENGTH_KNOWN) {
        add_length(&own, a->length);
    }
    if (a->date.n > 0 && mg_fields_find(a->fields, MG_FIELD_DATE) == NULL) {
        add(&own, MG_STR("date"), a->date);
    }
    s->head_sent = true;
    mg_h2_earn(h, MG_H2_BUDGET_RESETS, 1);
    send_section(h, s, out, &own, a->fields, end);
}

int mg_h2_request(mg_h2 *h, mg_h2_stream *s, mg_arena *arena, mg_buf *out, const mg_request_head *r,
                  bool end) {
    if (mg_h2_is_final(h)) {
        return MG_ECLOSED;
    }
    if (!mg_h2_may_request(h)) {
        return MG_EAGAIN;
    }
    section own = {.count = 0};
    bool bare = mg_str_eq(r->method, MG_STR("CONNECT")) && r->protocol.n == 0;
    add(&own, MG_STR(":method"), r->method);
    add(&own, MG_STR(":authority"), r->host);
    if (!bare) {
        add(&own, MG_STR(":scheme"), r->scheme);
        add(&own, MG_STR(":path"), r->target);
    }
    if (r->protocol.n > 0) {
        add(&own, MG_STR(":protocol"), r->protocol);
    }
    if (r->kind == MG_LENGTH_KNOWN) {
        add_length(&own, r->length);
    }
    if (r->trailers) {
        add(&own, MG_STR("te"), MG_STR("trailers"));
    }
    mg_h2_earn(h, MG_H2_BUDGET_EMPTY, 2);
    mg_h2_earn(h, MG_H2_BUDGET_WINDOWS, 2);
    mg_h2_stream_begin(h, s, arena, h->next_id);
    h->next_id += 2;
    s->to_head = mg_str_eq(r->method, MG_STR("HEAD"));
    s->tunnel = mg_str_eq(r->method, MG_STR("CONNECT"));
    s->head_sent = true;
    send_section(h, s, out, &own, r->fields, end);
    return MG_OK;
}

void mg_h2_send_end(mg_h2 *h, mg_h2_stream *s, mg_buf *out, const mg_fields *trailers) {
    static const section none = {.count = 0};
    if (trailers != NULL && trailers->count > 0) {
        send_section(h, s, out, &none, trailers, true);
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
