// h2_rig.h: both ends of a connection of HTTP/2 in memory, frames by hand, and a transcript of what
// an end tells.
#pragma once

#include "http/h2.h"
#include "http/h2_encode.h"
#include "http/h2_frame.h"
#include "http/h2_schedule.h"
#include "http/h2_send.h"
#include "unit.h"

enum { RIG_STREAMS = 256 };

typedef struct rig_stream {
    mg_h2_stream s;
    mg_arena arena;
    bool used;
} rig_stream;

// One end. `in` is what the other one wrote.
typedef struct rig {
    mg_h2 h;
    mg_h2_limits limits;
    mg_buf out;
    mg_buf log; // what happened, a line each
    rig_stream streams[RIG_STREAMS];
    mg_h2_encoder *encoder; // for field sections made by hand
    uint64_t now_ms;
    bool in_data; // a line for content is not ended: however it is cut, it is the same line
    bool refuses; // accepts no stream
    bool holds;   // does not take content
    mg_head head; // the last one
    mg_h2_stream *stream;
} rig;

static inline void rig_open(rig *r, bool client, const mg_h2_limits *limits) {
    memset(r, 0, sizeof *r);
    r->limits = limits != NULL ? *limits : mg_h2_default_limits;
    r->now_ms = 1000;
    r->encoder = mg_h2_encoder_new(4096);
    mg_h2_init(&r->h, client, &r->limits, &r->out);
}

static inline void rig_close(rig *r) {
    mg_h2_deinit(&r->h);
    for (int i = 0; i < RIG_STREAMS; i++) {
        mg_arena_deinit(&r->streams[i].arena);
    }
    mg_buf_deinit(&r->out);
    mg_buf_deinit(&r->log);
    mg_h2_encoder_free(r->encoder);
}

static inline rig_stream *rig_stream_new(rig *r) {
    for (int i = 0; i < RIG_STREAMS; i++) {
        if (!r->streams[i].used) {
            r->streams[i].used = true;
            mg_arena_reset(&r->streams[i].arena);
            return &r->streams[i];
        }
    }
    fail_msg("too many streams for the rig");
    return NULL;
}

static inline void rig_log_fields(rig *r, const mg_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++) {
        mg_buf_printf(&r->log, " %.*s=%.*s", (int)fields->at[i].name.n, fields->at[i].name.p,
                      (int)fields->at[i].value.n, fields->at[i].value.p);
    }
}

static inline void rig_log_head(rig *r, const mg_h2_event *e) {
    if (r->h.client) {
        mg_buf_printf(&r->log, "head %d", e->status);
    } else if (e->refusal.status != 0) {
        mg_buf_printf(&r->log, "refused %d (%s)", e->refusal.status, e->refusal.reason);
    } else {
        mg_buf_printf(&r->log, "head %.*s %.*s", (int)e->head.method_text.n, e->head.method_text.p,
                      (int)e->head.target_text.n, e->head.target_text.p);
    }
    rig_log_fields(r, &e->head.fields);
}

static inline void rig_end_data(rig *r) {
    mg_buf_append_str(&r->log, r->in_data ? MG_STR("\n") : MG_STR(""));
    r->in_data = false;
}

// One line for an event. `id` is the stream's before it was closed by the event.
static inline void rig_log(rig *r, mg_h2_event_kind kind, const mg_h2_event *e) {
    if (kind != MG_H2_DATA && kind != MG_H2_MORE && kind != MG_H2_OPEN) {
        rig_end_data(r);
    }
    switch (kind) {
    case MG_H2_HEAD:
        rig_log_head(r, e);
        break;
    case MG_H2_DATA:
        mg_buf_append_str(&r->log, r->in_data ? MG_STR("") : MG_STR("data "));
        mg_buf_append_str(&r->log, e->piece);
        r->in_data = !e->end;
        if (r->in_data) {
            return;
        }
        break;
    case MG_H2_TRAILERS:
        mg_buf_append_str(&r->log, MG_STR("trailers"));
        rig_log_fields(r, &e->trailers);
        break;
    case MG_H2_RESET:
        mg_buf_printf(&r->log, "reset %d by %s: %s", e->code, e->by_peer ? "peer" : "us",
                      e->reason);
        break;
    case MG_H2_GOAWAY:
        mg_buf_printf(&r->log, "goaway %d", e->code);
        break;
    case MG_H2_PONG:
        mg_buf_append_str(&r->log, MG_STR("pong"));
        break;
    case MG_H2_CLOSED:
        mg_buf_printf(&r->log, "closed %d: %s", e->code, e->reason);
        break;
    default:
        return;
    }
    bool ends = kind == MG_H2_HEAD || kind == MG_H2_DATA || kind == MG_H2_TRAILERS;
    mg_buf_append_str(&r->log, ends && e->end ? MG_STR(" end\n") : MG_STR("\n"));
}

static inline void rig_release(mg_h2_stream *s) {
    if (s != NULL && mg_h2_is_closed(s)) {
        ((rig_stream *)(void *)s)->used = false;
    }
}

static inline void rig_on(rig *r, mg_h2_event_kind kind, mg_h2_event *e) {
    if (kind == MG_H2_OPEN) {
        if (!r->refuses) {
            rig_stream *s = rig_stream_new(r);
            mg_h2_accept(&r->h, &s->s, &s->arena);
            r->stream = &s->s;
        }
        return;
    }
    rig_log(r, kind, e);
    if (kind == MG_H2_HEAD) {
        r->head = e->head;
        r->stream = e->stream;
    }
    if (kind == MG_H2_DATA && !r->holds) {
        mg_h2_taken(&r->h, e->stream, &r->out, e->piece.n);
    }
}

// Gives it `data`; what it tells goes to the transcript.
static inline void rig_read(rig *r, mg_str data) {
    mg_h2_event e = {0};
    mg_h2_event_kind kind;
    do {
        size_t used = 0;
        kind = mg_h2_read(&r->h, data.p, data.n, r->now_ms, &used, &r->out, &e);
        mg_str_skip(&data, used);
        rig_on(r, kind, &e);
        if (kind == MG_H2_DATA || kind == MG_H2_TRAILERS || kind == MG_H2_RESET) {
            rig_release(e.stream);
        }
    } while (kind != MG_H2_MORE && kind != MG_H2_CLOSED);
}

// What `from` has written goes to `to`.
static inline void rig_pass(rig *from, rig *to) {
    mg_buf data = from->out;
    from->out = (mg_buf){0};
    rig_read(to, mg_buf_str(&data));
    mg_h2_drained(&from->h);
    mg_buf_deinit(&data);
}

static inline void rig_greet(rig *client, rig *server) {
    for (int i = 0; i < 3; i++) {
        rig_pass(client, server);
        rig_pass(server, client);
    }
}

// The transcript up to now is that text.
#define assert_told(want, r)                                                                       \
    do {                                                                                           \
        rig_end_data(r);                                                                           \
        check_text((want), mg_buf_str(&(r)->log), __FILE__, __LINE__);                             \
        mg_buf_clear(&(r)->log);                                                                   \
    } while (0)

// --- frames by hand ---

// A server that has greeted and was greeted, without a client.
static inline void rig_serve(rig *r, const mg_h2_limits *limits) {
    rig_open(r, false, limits);
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR(MG_H2_PREFACE));
    mg_h2_append_frame(&b, 0, MG_H2_SETTINGS_FRAME, 0, 0);
    mg_h2_append_frame(&b, 0, MG_H2_SETTINGS_FRAME, MG_H2_FLAG_ACK, 0);
    rig_read(r, mg_buf_str(&b));
    mg_buf_deinit(&b);
    mg_buf_clear(&r->out);
}

static inline void put_frame(mg_buf *b, uint8_t type, uint8_t flags, uint32_t id, mg_str payload) {
    uint8_t *p = mg_h2_append_frame(b, payload.n, type, flags, id);
    if (payload.n > 0) {
        memcpy(p, payload.p, payload.n);
    }
}

// "name: value" lines, the name up to the first ": ".
static inline void put_block(rig *peer, mg_buf *b, const char *lines) {
    mg_h2_encode_begin(peer->encoder, b);
    while (*lines != '\0') {
        const char *end = strchr(lines, '\n');
        end = end != NULL ? end : lines + strlen(lines);
        const char *colon = strstr(lines + 1, ": ");
        mg_h2_encode(peer->encoder, b,
                     &(mg_field){.name = {lines, (size_t)(colon - lines)},
                                 .value = {colon + 2, (size_t)(end - colon - 2)}});
        lines = *end == '\n' ? end + 1 : end;
    }
}

static inline void put_headers(rig *peer, mg_buf *b, uint8_t flags, uint32_t id,
                               const char *lines) {
    mg_buf block = {0};
    put_block(peer, &block, lines);
    put_frame(b, MG_H2_HEADERS_FRAME, flags, id, mg_buf_str(&block));
    mg_buf_deinit(&block);
}

static inline void put_u32_frame(mg_buf *b, uint8_t type, uint32_t id, uint32_t value) {
    mg_h2_put32(mg_h2_append_frame(b, 4, type, 0, id), value);
}

static inline void put_setting(mg_buf *b, uint32_t setting, uint32_t value) {
    uint8_t *p = mg_h2_append_frame(b, 6, MG_H2_SETTINGS_FRAME, 0, 0);
    mg_h2_put16(p, setting);
    mg_h2_put32(p + 2, value);
}

// Reads what was put together, and forgets it.
static inline void rig_take(rig *r, mg_buf *b) {
    rig_read(r, mg_buf_str(b));
    mg_buf_deinit(b);
}

static const char rig_get[] = ":method: GET\n:scheme: http\n:path: /\n:authority: a";
static const char rig_post[] = ":method: POST\n:scheme: http\n:path: /\n:authority: a";

enum { RIG_ENDS = MG_H2_FLAG_END_HEADERS | MG_H2_FLAG_END_STREAM };

// What it wrote, a frame a line: type, flags, stream, and the number in it.
static inline void rig_frames(const mg_buf *out, mg_buf *text) {
    static const char *const names[] = {"DATA",          "HEADERS",      "PRIORITY", "RST_STREAM",
                                        "SETTINGS",      "PUSH_PROMISE", "PING",     "GOAWAY",
                                        "WINDOW_UPDATE", "CONTINUATION"};
    for (size_t at = 0; at < out->n;) {
        const uint8_t *p = (const uint8_t *)out->p + at;
        size_t n = (size_t)p[0] << 16 | mg_h2_get16(p + 1);
        mg_buf_printf(text, "%s %u/%u", names[p[3]], mg_h2_get31(p + 5), p[4]);
        if (p[3] == MG_H2_RST_STREAM_FRAME || p[3] == MG_H2_WINDOW_UPDATE_FRAME) {
            mg_buf_printf(text, " %u", mg_h2_get32(p + 9));
        } else if (p[3] == MG_H2_GOAWAY_FRAME) {
            mg_buf_printf(text, " %u %u", mg_h2_get32(p + 9), mg_h2_get32(p + 13));
        } else if (p[3] == MG_H2_DATA_FRAME) {
            mg_buf_printf(text, " (%zu)", n);
        }
        mg_buf_append_char(text, '\n');
        at += MG_H2_FRAME_HEADER + n;
    }
}

// The frames that were written up to now are these.
static inline void check_frames(const char *want, rig *r, const char *file, int line) {
    mg_buf text = {0};
    rig_frames(&r->out, &text);
    check_text(want, mg_buf_str(&text), file, line);
    mg_buf_deinit(&text);
    mg_buf_clear(&r->out);
    mg_h2_drained(&r->h);
}

#define assert_frames(want, r) check_frames((want), (r), __FILE__, __LINE__)
