#include "http/h2_budget.h"
#include "http/h2_decode.h"
#include "http/h2_frame.h"
#include "http/h2_inside.h"
#include "http/h2_schedule.h"
#include "http/h2_section.h"
#include "http/h2_streams.h"

// What is to be done when the section is whole. It is always decoded: the tables of both ends have
// to stay the same.
typedef enum fate {
    FATE_IGNORE,
    FATE_TAKE,
    FATE_REFUSE, // the stream is one too many, or nobody accepted it
    FATE_CLOSED, // nothing more was to come
    FATE_WRONG,  // it must not be here like this
    FATE_ITSELF, // its priority says that it depends on itself
} fate;

// --- whose it is ---

static void begin_section(mg_h2 *h, mg_h2_stream *s, mg_h2_section_kind kind) {
    uint32_t limit =
        kind == MG_H2_TRAILER_SECTION ? h->limits->trailer_bytes : h->limits->header_bytes;
    h->block.section = mg_arena_alloc(s->arena, sizeof(mg_h2_section));
    mg_h2_section_init(h->block.section, kind, limit, s->arena);
}

static void begin_on_open(mg_h2 *h, mg_h2_stream *s) {
    h->block.fate = FATE_TAKE;
    if (s->ended) {
        h->block.fate = FATE_CLOSED;
    } else if (h->client && !s->head_seen) {
        begin_section(h, s, MG_H2_RESPONSE);
    } else if (h->block.end && !s->tunnel) {
        begin_section(h, s, MG_H2_TRAILER_SECTION);
    } else {
        h->block.fate = FATE_WRONG; // trailers end the stream, and a tunnel has none
    }
}

static void begin_on_closed(mg_h2_step *t, uint32_t id) {
    switch (mg_h2_how_closed(t->h, id)) {
    case MG_H2_WAS_OURS:
        break; // it was on its way
    case MG_H2_WAS_RESET:
        t->h->block.fate = FATE_CLOSED;
        break;
    case MG_H2_WAS_ENDED:
        mg_h2_die(t, MG_H2_STREAM_CLOSED, "HEADERS on a stream that has ended");
        break;
    case MG_H2_WAS_UNKNOWN:
        if (!t->h->client) {
            mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "stream identifiers do not rise");
        }
        break;
    }
}

static void begin_new(mg_h2_step *t, uint32_t id) {
    mg_h2 *h = t->h;
    h->last_id = id;
    if (h->leaving) {
        mg_h2_remember(h, id, MG_H2_WAS_OURS); // not looked at (RFC 9113 section 6.8)
        return;
    }
    h->block.fate = FATE_REFUSE;
    if (h->streams.count < h->limits->streams) {
        mg_h2_tell(t, MG_H2_OPEN, NULL); // mg_h2_accept makes another fate of it
    }
}

void mg_h2_accept(mg_h2 *h, mg_h2_stream *s, mg_arena *arena) {
    h->accepted_id = h->block.id;
    mg_h2_stream_begin(h, s, arena, h->block.id);
    begin_section(h, s, MG_H2_REQUEST);
    if (h->block.fate == FATE_REFUSE) {
        h->block.fate = FATE_TAKE;
    }
    mg_h2_earn(h, MG_H2_BUDGET_PRIORITIES, 2);
    mg_h2_earn(h, MG_H2_BUDGET_WINDOWS, 2);
}

static bool depends_on_itself(const mg_h2_frame *f, const uint8_t *p) {
    bool padded = (f->flags & MG_H2_FLAG_PADDED) != 0;
    return (f->flags & MG_H2_FLAG_PRIORITY) != 0 && mg_h2_get31(p + padded) == f->id;
}

bool mg_h2_take_padding(mg_h2_step *t, const uint8_t *p) {
    mg_h2_frame *f = &t->h->frame;
    f->padding = (f->flags & MG_H2_FLAG_PADDED) != 0 ? p[0] : 0;
    if (f->padding > f->left) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "more padding than payload");
        return false;
    }
    f->left -= f->padding;
    return true;
}

void mg_h2_on_headers(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    uint32_t id = h->frame.id;
    if (!mg_h2_take_padding(t, p)) {
        return;
    }
    if (id % 2 == 0) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "HEADERS on a stream that no client can have opened");
        return;
    }
    h->phase = MG_H2_IN_BLOCK;
    h->block = (mg_h2_block){.id = id, .end = (h->frame.flags & MG_H2_FLAG_END_STREAM) != 0};
    mg_h2_stream *s = mg_h2_find(h, id);
    if (s != NULL) {
        begin_on_open(h, s);
    } else if (!mg_h2_is_idle(h, id)) {
        begin_on_closed(t, id);
    } else if (h->client) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "HEADERS on a stream that was never opened");
    } else {
        begin_new(t, id);
    }
    if (depends_on_itself(&h->frame, p)) {
        h->block.fate = FATE_ITSELF;
    }
}

void mg_h2_on_continuation(mg_h2_step *t) {
    mg_h2 *h = t->h;
    h->phase = MG_H2_IN_BLOCK;
    if (++h->block.frames >= h->limits->continuations) {
        mg_h2_die(t, MG_H2_ENHANCE_YOUR_CALM, "too many CONTINUATION frames");
    }
}

// --- it is whole ---

static uint64_t length_of(const mg_head *head) {
    return head->framing == MG_FRAMING_CHUNKED ? UINT64_MAX : head->length;
}

static void end_side(mg_h2 *h, mg_h2_stream *s, bool end) {
    s->ended |= end;
    mg_h2_settle(h, s);
}

static void finish_request(mg_h2_step *t, mg_h2_stream *s, mg_h2_section *section) {
    mg_h2_event *e = t->e;
    const char *fault = mg_h2_section_request(section, t->h->limits, e);
    if (fault != NULL) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, fault);
        return;
    }
    const mg_field *priority = mg_fields_find(&e->head.fields, MG_FIELD_PRIORITY);
    if (priority != NULL) {
        mg_h2_prioritize(t->h, s, priority->value);
    }
    s->head_seen = true;
    s->tunnel = e->head.method == MG_METHOD_CONNECT;
    if (s->tunnel && !e->end) {
        e->head.framing = MG_FRAMING_CHUNKED;
    }
    s->length_left = length_of(&e->head);
    mg_h2_tell(t, MG_H2_HEAD, s);
    end_side(t->h, s, e->end);
}

static void finish_response(mg_h2_step *t, mg_h2_stream *s, mg_h2_section *section) {
    mg_h2_event *e = t->e;
    const char *fault = mg_h2_section_response(section, t->h->limits, s->to_head, e);
    if (fault != NULL) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, fault);
        return;
    }
    s->head_seen = e->status >= 200;
    if (s->tunnel && s->head_seen) {
        s->tunnel = e->status < 300; // else it is an answer like others
        e->head.framing = s->tunnel ? MG_FRAMING_CHUNKED : e->head.framing;
    }
    s->length_left = length_of(&e->head);
    mg_h2_tell(t, MG_H2_HEAD, s);
    end_side(t->h, s, e->end);
}

static void finish_trailers(mg_h2_step *t, mg_h2_stream *s, mg_h2_section *section) {
    if (section->fault != NULL) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, section->fault);
    } else if (mg_h2_section_is_too_large(section)) {
        mg_h2_stream_error(t, s, MG_H2_ENHANCE_YOUR_CALM, "the trailers are too large");
    } else if (s->length_left != 0 && s->length_left != UINT64_MAX) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, "less content than Content-Length says");
    } else {
        t->e->trailers = section->fields;
        mg_h2_tell(t, MG_H2_TRAILERS, s);
        end_side(t->h, s, true);
    }
}

static void finish(mg_h2_step *t, mg_h2_section *section, mg_h2_stream *s) {
    switch (section->kind) {
    case MG_H2_REQUEST:
        finish_request(t, s, section);
        break;
    case MG_H2_RESPONSE:
        finish_response(t, s, section);
        break;
    case MG_H2_TRAILER_SECTION:
        finish_trailers(t, s, section);
        break;
    }
}

// More streams than it may have open: no fault while it cannot know how many these are.
static void refuse(mg_h2_step *t, uint32_t id) {
    if (t->h->acknowledged) {
        mg_h2_closed_stream_error(t, id, MG_H2_REFUSED_STREAM);
    } else if (mg_h2_owe(t, MG_H2_FRAME_HEADER + 4)) {
        mg_h2_append_reset(t->out, id, MG_H2_REFUSED_STREAM);
    }
    mg_h2_remember(t->h, id, MG_H2_WAS_OURS);
}

static void fail(mg_h2_step *t, uint32_t id, mg_h2_code code, const char *why) {
    mg_h2_stream *s = mg_h2_find(t->h, id);
    if (s != NULL) {
        mg_h2_stream_error(t, s, code, why);
    } else {
        mg_h2_closed_stream_error(t, id, code);
    }
}

static void on_whole(mg_h2_step *t) {
    mg_h2_block b = t->h->block;
    mg_h2_stream *s;
    t->h->block = (mg_h2_block){0};
    switch ((fate)b.fate) {
    case FATE_IGNORE:
        mg_h2_count_nothing(t, MG_H2_BUDGET_EMPTY);
        break;
    case FATE_TAKE:
        s = b.section != NULL ? mg_h2_find(t->h, b.id) : NULL;
        if (s != NULL) { // else it was reset meanwhile
            t->e->end = b.end;
            finish(t, b.section, s);
        }
        break;
    case FATE_REFUSE:
        refuse(t, b.id);
        break;
    case FATE_CLOSED:
        fail(t, b.id, MG_H2_STREAM_CLOSED, "HEADERS on a stream that has ended");
        break;
    case FATE_WRONG:
        fail(t, b.id, MG_H2_PROTOCOL_ERROR, "trailers that do not end the stream, or in a tunnel");
        break;
    case FATE_ITSELF:
        fail(t, b.id, MG_H2_PROTOCOL_ERROR, "a stream depends on itself");
        break;
    }
}

// --- its bytes ---

// Compressed, it is not larger than it is, but for what our own table never made smaller.
static bool is_flood(const mg_h2 *h) {
    return h->block.bytes > 2 * (uint64_t)h->limits->header_bytes + MG_H2_FRAME_MAX;
}

static mg_h2_decoder *decoder_of(mg_h2 *h) {
    if (h->decoder == NULL) {
        h->decoder = mg_h2_decoder_new();
        if (h->acknowledged && h->limits->header_table != MG_H2_TABLE) {
            mg_h2_decoder_resize(h->decoder, h->limits->header_table);
        }
    }
    return h->decoder;
}

static int decode(mg_h2 *h, mg_str fragment, bool last) {
    mg_h2_decoder *d = decoder_of(h);
    mg_h2_decoded f;
    int rc;
    while ((rc = mg_h2_decode(d, &fragment, last, &f)) == MG_OK) {
        if (h->block.section != NULL) {
            mg_h2_section_add(h->block.section, &f);
        }
    }
    return rc;
}

void mg_h2_take_block(mg_h2_step *t) {
    mg_h2 *h = t->h;
    mg_h2_frame *f = &h->frame;
    size_t n = f->left < t->n ? f->left : t->n;
    bool last = n == f->left && (f->flags & MG_H2_FLAG_END_HEADERS) != 0;
    mg_str fragment = {(const char *)t->p, n};
    t->p += n;
    t->n -= n;
    f->left -= (uint32_t)n;
    h->block.bytes += (uint32_t)n;
    if (is_flood(h)) {
        mg_h2_die(t, MG_H2_ENHANCE_YOUR_CALM, "the header section is too large");
        return;
    }
    if (decode(h, fragment, last) == MG_ESYNTAX) {
        mg_h2_die(t, MG_H2_COMPRESSION_ERROR, "the header section cannot be decoded");
        return;
    }
    if (f->left == 0) {
        f->left = f->padding;
        h->phase = MG_H2_IN_REST;
    }
    if (last) {
        on_whole(t);
    }
}
