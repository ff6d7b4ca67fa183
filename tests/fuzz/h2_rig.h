// h2_rig.h: an end of a connection of HTTP/2 with an owner who answers, resets and reads as the id
// of a stream says, and a transcript of what it was told, which does not depend on how the input
// was cut.
#pragma once

#include "fuzz.h"

#include "base/mem.h"
#include "http/h2.h"
#include "http/h2_frame.h"
#include "http/h2_schedule.h"
#include "http/h2_send.h"

enum { RIG_STREAMS = 32 };

typedef struct rig_stream {
    mg_h2_stream s; // first
    mg_arena arena;
    uint32_t id;
    bool used;
    bool ended; // told so
} rig_stream;

typedef struct h2_rig {
    mg_h2 h;
    mg_h2_limits limits;
    mg_buf out;
    mg_buf log;
    mg_buf content; // of one stream, while nothing else is told
    uint32_t content_id;
    rig_stream streams[RIG_STREAMS];
    bool refused; // a head, by a status
    bool broke;   // a stream, or the connection, for a fault of the peer's
    const char *why;
} h2_rig;

static inline rig_stream *rig_new(h2_rig *r) {
    for (int i = 0; i < RIG_STREAMS; i++) {
        if (!r->streams[i].used) {
            r->streams[i].used = true;
            r->streams[i].ended = false;
            return &r->streams[i];
        }
    }
    return NULL;
}

// All that are closed may be used again.
static inline void rig_sweep(h2_rig *r) {
    for (int i = 0; i < RIG_STREAMS; i++) {
        rig_stream *s = &r->streams[i];
        if (s->used && mg_h2_is_closed(&s->s)) {
            s->used = false;
            mg_arena_deinit(&s->arena); // so that a use of it is seen
        }
    }
}

static inline void rig_request(h2_rig *r, const char *method) {
    rig_stream *s = rig_new(r);
    mg_request_head head = {.method = mg_str_of(method),
                            .target = MG_STR("/"),
                            .host = MG_STR("a"),
                            .scheme = MG_STR("http")};
    bool more = strcmp(method, "POST") == 0 || strcmp(method, "CONNECT") == 0;
    must(mg_h2_request(&r->h, &s->s, &s->arena, &r->out, &head, !more) == MG_OK);
    s->id = s->s.id;
}

// A client asks four times.
static inline void rig_init(h2_rig *r, bool client) {
    memset(r, 0, sizeof *r);
    r->limits = mg_h2_default_limits;
    r->limits.header_bytes = 2048;
    r->limits.streams = client ? 0 : 8;
    r->limits.window = 4096;
    mg_h2_init(&r->h, client, &r->limits, &r->out);
    if (client) {
        rig_request(r, "GET");
        rig_request(r, "HEAD");
        rig_request(r, "POST");
        rig_request(r, "CONNECT");
    }
}

static inline void rig_deinit(h2_rig *r) {
    mg_h2_deinit(&r->h);
    for (int i = 0; i < RIG_STREAMS; i++) {
        mg_arena_deinit(&r->streams[i].arena);
    }
    mg_buf_deinit(&r->out);
    mg_buf_deinit(&r->log);
    mg_buf_deinit(&r->content);
}

static inline void rig_flush(h2_rig *r) {
    if (r->content.n > 0) {
        mg_buf_printf(&r->log, "%u data ", r->content_id);
        mg_buf_append_str(&r->log, mg_buf_str(&r->content));
        mg_buf_append_char(&r->log, '\n');
        mg_buf_clear(&r->content);
    }
}

static inline void rig_fields(h2_rig *r, const mg_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++) {
        mg_buf_append_str(&r->log, fields->at[i].name);
        mg_buf_append_char(&r->log, '=');
        mg_buf_append_str(&r->log, fields->at[i].value);
        mg_buf_append_char(&r->log, '\n');
    }
}

static inline void rig_answer(h2_rig *r, rig_stream *s) {
    static const mg_fields none = {0};
    mg_answer_head head = {.status = 200, .content_type = MG_STR("a/b"), .fields = &none};
    switch (s->id / 2 % 5) {
    case 0:
        mg_h2_send_answer(&r->h, &s->s, &r->out, &head, true);
        break;
    case 1:
        mg_h2_send_answer(&r->h, &s->s, &r->out, &head, false);
        mg_h2_want(&r->h, &s->s, true);
        break;
    case 2:
        mg_h2_send_interim(&r->h, &s->s, &r->out, 103, NULL);
        break;
    case 3:
        mg_h2_send_reset(&r->h, &s->s, &r->out, MG_H2_CANCEL);
        break;
    default:
        break;
    }
}

static inline void rig_told(h2_rig *r, mg_h2_event_kind kind, mg_h2_event *e) {
    rig_stream *s = (rig_stream *)(void *)e->stream;
    if (kind == MG_H2_OPEN) {
        rig_stream *fresh = rig_new(r);
        if (fresh != NULL) {
            mg_h2_accept(&r->h, &fresh->s, &fresh->arena);
            fresh->id = fresh->s.id;
        }
        return;
    }
    if (kind == MG_H2_DATA) {
        must(!s->ended);
        if (r->content_id != s->id) {
            rig_flush(r);
        }
        r->content_id = s->id;
        mg_buf_append_str(&r->content, e->piece);
    } else if (kind != MG_H2_MORE && kind != MG_H2_WRITABLE) {
        rig_flush(r);
        mg_buf_printf(&r->log, "%d %u %d %d\n", kind, s != NULL ? s->id : 0,
                      kind == MG_H2_HEAD && r->h.client ? e->status : (int)e->refusal.status,
                      kind == MG_H2_RESET || kind == MG_H2_CLOSED ? (int)e->code : 0);
    }
    switch (kind) {
    case MG_H2_HEAD:
        must(!s->ended);
        r->refused |= !r->h.client && e->refusal.status != 0;
        rig_fields(r, &e->head.fields);
        s->ended = e->end;
        if (!r->h.client) {
            rig_answer(r, s);
        }
        break;
    case MG_H2_DATA:
        s->ended = e->end;
        if (e->end) {
            mg_h2_taken(&r->h, e->stream, &r->out, e->stream->stored);
        }
        break;
    case MG_H2_TRAILERS:
        must(!s->ended && e->end);
        rig_fields(r, &e->trailers);
        s->ended = true;
        break;
    case MG_H2_RESET:
        must(mg_h2_is_closed(e->stream));
        // fall through
    case MG_H2_CLOSED:
        r->broke |= !e->by_peer || kind == MG_H2_CLOSED;
        r->why = e->reason;
        break;
    default:
        break;
    }
}

static inline void rig_feed(h2_rig *r, mg_str data) {
    static mg_h2_event e;
    mg_h2_event_kind kind;
    do {
        size_t used = 0;
        e = (mg_h2_event){0};
        kind = mg_h2_read(&r->h, data.p, data.n, 1000, &used, &r->out, &e);
        must(used <= data.n);
        mg_str_skip(&data, used);
        rig_told(r, kind, &e);
        rig_sweep(r);
    } while (kind != MG_H2_MORE && kind != MG_H2_CLOSED);
    must(kind == MG_H2_CLOSED || data.n == 0);
    must(r->h.over == (kind == MG_H2_CLOSED) || r->h.over);
}

// Sends what may be sent, and checks that it keeps within the windows.
static inline void rig_send(h2_rig *r) {
    static const char content[MG_H2_FRAME_MAX] = {0};
    size_t room;
    for (int i = 0; i < 20 && !r->h.over; i++) {
        mg_h2_stream *s = mg_h2_next(&r->h, &room);
        if (s == NULL) {
            break;
        }
        must(room > 0 && (int32_t)room <= s->send_window && (int32_t)room <= r->h.send_window);
        mg_h2_send_data(&r->h, s, &r->out, (mg_str){content, room}, i == 10);
        rig_sweep(r);
    }
}

// In pieces of `step` bytes; 0: whole.
static inline void rig_play(h2_rig *r, mg_str data, size_t step) {
    if (!r->h.client) {
        rig_feed(r, MG_STR(MG_H2_PREFACE));
    }
    while (data.n > 0 && !r->h.over) {
        size_t n = step > 0 && step < data.n ? step : data.n;
        rig_feed(r, (mg_str){data.p, n});
        mg_str_skip(&data, n);
    }
    rig_flush(r);
}
