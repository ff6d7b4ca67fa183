#include "http/h2_budget.h"
#include "http/h2_frame.h"
#include "http/h2_inside.h"
#include "http/h2_streams.h"

enum {
    MOST_OWED = 64 << 10,
    SETTING = 6, // bytes
    PREFACE = sizeof MG_H2_PREFACE - 1,
};

// --- what happens ---

void mg_h2_tell(mg_h2_step *t, mg_h2_event_kind kind, mg_h2_stream *s) {
    t->kind = kind;
    t->e->stream = s;
}

void mg_h2_die(mg_h2_step *t, mg_h2_code code, const char *reason) {
    mg_h2_append_goaway(t->out, t->h->accepted_id, code, reason);
    t->h->over = true;
    t->e->code = code;
    t->e->reason = reason;
    mg_h2_tell(t, MG_H2_CLOSED, NULL);
}

bool mg_h2_count_nothing(mg_h2_step *t, mg_h2_budget kind) {
    if (mg_h2_spend(t->h, kind)) {
        return true;
    }
    mg_h2_die(t, MG_H2_ENHANCE_YOUR_CALM, mg_h2_budget_reason(kind));
    return false;
}

bool mg_h2_owe(mg_h2_step *t, size_t bytes) {
    t->h->owed += (uint32_t)bytes;
    if (t->h->owed <= MOST_OWED) {
        return true;
    }
    mg_h2_die(t, MG_H2_ENHANCE_YOUR_CALM, "what you ask for is not read");
    return false;
}

void mg_h2_closed_stream_error(mg_h2_step *t, uint32_t id, mg_h2_code code) {
    if (mg_h2_count_nothing(t, MG_H2_BUDGET_PROVOKED) && mg_h2_owe(t, MG_H2_FRAME_HEADER + 4)) {
        mg_h2_append_reset(t->out, id, code);
    }
}

void mg_h2_stream_error(mg_h2_step *t, mg_h2_stream *s, mg_h2_code code, const char *reason) {
    mg_h2_closed_stream_error(t, s->id, code);
    if (t->h->over) {
        return;
    }
    mg_h2_remove(t->h, s, MG_H2_WAS_OURS);
    t->e->code = code;
    t->e->reason = reason;
    t->e->by_peer = false;
    mg_h2_tell(t, MG_H2_RESET, s);
}

// --- the input ---

// `n` bytes in one piece, or NULL: not all of them have come.
static const uint8_t *gather(mg_h2_step *t, size_t n) {
    mg_h2 *h = t->h;
    const uint8_t *p = t->p;
    size_t used = n - h->gathered < t->n ? n - h->gathered : t->n;
    t->p += used;
    t->n -= used;
    if (h->gathered == 0 && used == n) {
        return n > 0 ? p : h->bytes;
    }
    memcpy(h->bytes + h->gathered, p, used);
    h->gathered = (uint8_t)(h->gathered + used);
    if (h->gathered < n) {
        return NULL;
    }
    h->gathered = 0;
    return h->bytes;
}

// False: all was taken.
static bool take_preface(mg_h2_step *t) {
    mg_h2 *h = t->h;
    while (t->n > 0 && h->gathered < PREFACE) {
        if (*t->p != (uint8_t)MG_H2_PREFACE[h->gathered]) {
            mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "this is not the preface of HTTP/2");
            return true;
        }
        h->gathered++;
        t->p++;
        t->n--;
    }
    if (h->gathered < PREFACE) {
        return false;
    }
    h->gathered = 0;
    h->phase = MG_H2_IN_HEADER;
    return true;
}

// --- headers of frames (RFC 9113 section 4.1) ---

enum { ANY_STREAM, NO_STREAM, SOME_STREAM };

// What each known type demands.
typedef struct rule {
    uint8_t stream;
    uint8_t least, most; // of the payload; 0: any
} rule;

static const rule rules[] = {
    [MG_H2_DATA_FRAME] = {SOME_STREAM, 0, 0},
    [MG_H2_HEADERS_FRAME] = {SOME_STREAM, 0, 0},
    [MG_H2_PRIORITY_FRAME] = {SOME_STREAM, 5, 5},
    [MG_H2_RST_STREAM_FRAME] = {SOME_STREAM, 4, 4},
    [MG_H2_SETTINGS_FRAME] = {NO_STREAM, 0, 0},
    [MG_H2_PUSH_PROMISE_FRAME] = {ANY_STREAM, 0, 0},
    [MG_H2_PING_FRAME] = {NO_STREAM, 8, 8},
    [MG_H2_GOAWAY_FRAME] = {NO_STREAM, 8, 0},
    [MG_H2_WINDOW_UPDATE_FRAME] = {ANY_STREAM, 4, 4},
    [MG_H2_CONTINUATION_FRAME] = {SOME_STREAM, 0, 0},
    [MG_H2_PRIORITY_UPDATE_FRAME] = {NO_STREAM, 4, 0},
};

static bool is_known(uint8_t type) {
    return type <= MG_H2_CONTINUATION_FRAME || type == MG_H2_PRIORITY_UPDATE_FRAME;
}

// NULL: good.
static const char *fault_of_place(const mg_h2 *h, const mg_h2_frame *f) {
    bool first = f->type == MG_H2_SETTINGS_FRAME && (f->flags & MG_H2_FLAG_ACK) == 0;
    if (!h->greeted && !first) {
        return "the first frame is not SETTINGS";
    }
    bool continues = f->type == MG_H2_CONTINUATION_FRAME;
    if (h->block.id != 0 ? !continues || f->id != h->block.id : continues) {
        return "CONTINUATION does not follow the HEADERS that it continues";
    }
    if (f->type == MG_H2_PUSH_PROMISE_FRAME) {
        return "PUSH_PROMISE, and push is off";
    }
    if (is_known(f->type) && rules[f->type].stream != ANY_STREAM &&
        (rules[f->type].stream == SOME_STREAM) != (f->id != 0)) {
        return f->id == 0 ? "a frame of a stream, without a stream"
                          : "a frame of no stream, in one";
    }
    return NULL;
}

// Bytes of the payload that are looked at in one piece before the rest.
static size_t start_of(const mg_h2_frame *f) {
    size_t padded = (f->flags & MG_H2_FLAG_PADDED) != 0;
    switch (f->type) {
    case MG_H2_DATA_FRAME:
        return padded;
    case MG_H2_HEADERS_FRAME:
        return padded + ((f->flags & MG_H2_FLAG_PRIORITY) != 0 ? 5 : 0);
    case MG_H2_SETTINGS_FRAME:
        return f->left < SETTING ? f->left : SETTING;
    case MG_H2_PRIORITY_UPDATE_FRAME:
        return f->left < sizeof((mg_h2 *)0)->bytes ? f->left : sizeof((mg_h2 *)0)->bytes;
    default:
        return is_known(f->type) ? rules[f->type].least : 0;
    }
}

static bool is_size_right(const mg_h2_frame *f) {
    if (f->type == MG_H2_SETTINGS_FRAME) {
        return (f->flags & MG_H2_FLAG_ACK) != 0 ? f->length == 0 : f->length % SETTING == 0;
    }
    if (!is_known(f->type)) {
        return true;
    }
    const rule *r = &rules[f->type];
    return f->length >= start_of(f) && f->length >= r->least &&
           (r->most == 0 || f->length <= r->most);
}

static void begin_frame(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    mg_h2_frame *f = &h->frame;
    *f = (mg_h2_frame){.length = (uint32_t)p[0] << 16 | mg_h2_get16(p + 1),
                       .type = p[3],
                       .flags = p[4],
                       .id = mg_h2_get31(p + 5)};
    f->left = f->length;
    const char *fault = fault_of_place(h, f);
    if (h->client && !h->greeted && memcmp(p, "HTTP/1.", 7) == 0) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "it speaks HTTP/1.1, not HTTP/2");
    } else if (f->length > MG_H2_FRAME_MAX) {
        mg_h2_die(t, MG_H2_FRAME_SIZE_ERROR, "a frame is larger than SETTINGS_MAX_FRAME_SIZE");
    } else if (fault != NULL) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, fault);
    } else if (!is_size_right(f)) {
        mg_h2_die(t, MG_H2_FRAME_SIZE_ERROR, "a frame has not the size that its type demands");
    }
    h->phase = MG_H2_IN_START;
}

// --- payloads ---

static void start_payload(mg_h2_step *t, const uint8_t *p, size_t n) {
    mg_h2 *h = t->h;
    h->phase = MG_H2_IN_REST;
    switch (h->frame.type) {
    case MG_H2_DATA_FRAME:
        mg_h2_on_data(t, p);
        break;
    case MG_H2_HEADERS_FRAME:
        mg_h2_on_headers(t, p);
        break;
    case MG_H2_CONTINUATION_FRAME:
        mg_h2_on_continuation(t);
        break;
    case MG_H2_PRIORITY_FRAME:
        mg_h2_on_priority(t, p);
        break;
    case MG_H2_RST_STREAM_FRAME:
        mg_h2_on_reset(t, p);
        break;
    case MG_H2_SETTINGS_FRAME:
        mg_h2_on_settings(t, n > 0 ? p : NULL);
        break;
    case MG_H2_PING_FRAME:
        mg_h2_on_ping(t, p);
        break;
    case MG_H2_GOAWAY_FRAME:
        mg_h2_on_goaway(t, p);
        break;
    case MG_H2_WINDOW_UPDATE_FRAME:
        mg_h2_on_window_update(t, p);
        break;
    case MG_H2_PRIORITY_UPDATE_FRAME:
        mg_h2_on_priority_update(t, p, n);
        break;
    default:
        mg_h2_count_nothing(t, MG_H2_BUDGET_EMPTY);
        break;
    }
}

static void skip(mg_h2_step *t) {
    mg_h2 *h = t->h;
    uint32_t bytes = h->frame.left < t->n ? h->frame.left : (uint32_t)t->n;
    t->p += bytes;
    t->n -= bytes;
    h->frame.left -= bytes;
    if (h->frame.left == 0) {
        h->phase = MG_H2_IN_HEADER;
    }
}

// Takes some of the input. False: there is not enough of it.
static bool advance(mg_h2_step *t) {
    mg_h2 *h = t->h;
    const uint8_t *p;
    if (mg_h2_shed(t)) {
        return true;
    }
    switch ((mg_h2_phase)h->phase) {
    case MG_H2_IN_PREFACE:
        return take_preface(t);
    case MG_H2_IN_HEADER:
        p = t->n > 0 ? gather(t, MG_H2_FRAME_HEADER) : NULL;
        if (p != NULL) {
            begin_frame(t, p);
        }
        return p != NULL;
    case MG_H2_IN_START: {
        size_t n = start_of(&h->frame);
        p = gather(t, n);
        if (p != NULL) {
            h->frame.left -= (uint32_t)n;
            start_payload(t, p, n);
        }
        return p != NULL;
    }
    case MG_H2_IN_DATA:
    case MG_H2_IN_BLOCK:
        if (t->n == 0 && h->frame.left > 0) {
            return false;
        }
        if (h->phase == MG_H2_IN_DATA) {
            mg_h2_take_data(t);
        } else {
            mg_h2_take_block(t);
        }
        return true;
    case MG_H2_IN_REST:
        if (t->n == 0 && h->frame.left > 0) {
            return false;
        }
        skip(t);
        return true;
    }
    return false;
}

mg_h2_event_kind mg_h2_read(mg_h2 *h, const char *data, size_t n, uint64_t now_ms, size_t *used,
                            mg_buf *out, mg_h2_event *e) {
    mg_h2_step t = {.h = h, .out = out, .e = e, .p = (const uint8_t *)data, .n = n};
    h->now_ms = now_ms;
    while (!h->over && t.kind == MG_H2_MORE && advance(&t)) {
    }
    if (!h->over) {
        mg_h2_open_connection(h, out); // whatever has happened may have given back some of it
    }
    *used = h->over ? n : n - t.n;
    return t.kind;
}
