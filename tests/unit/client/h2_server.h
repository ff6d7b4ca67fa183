// client/h2_server.h: what the raw server's peers say and understand if they speak HTTP/2, by the
// other end of the codec. A peer does nothing of its own but what the codec does.
#pragma once

#include "rig.h"

#include "http/h2_frame.h"
#include "http/h2_send.h"

enum { H2_STREAMS = 64 };

typedef struct h2_stream {
    mg_h2_stream s;
    mg_arena arena;
} h2_stream;

typedef struct h2_end {
    mg_h2 h;
    bool open;
    mg_buf out;
    mg_buf log;                    // a line for each thing that came
    size_t data;                   // bytes of content that came
    h2_stream streams[H2_STREAMS]; // by id / 2
    bool holds;                    // takes no content: gives no windows
} h2_end;

static h2_end ends[PEERS];
static mg_h2_limits h2_limits; // of the server's ends

static inline void h2_log_head(h2_end *e, const mg_h2_event *ev) {
    const mg_head *h = &ev->head;
    mg_buf_printf(&e->log, "%u %.*s %.*s", ev->stream->id, (int)h->method_text.n, h->method_text.p,
                  (int)h->target_text.n, h->target_text.p);
    for (uint32_t i = 0; i < h->fields.count; i++) {
        const mg_field *f = &h->fields.at[i];
        if (f->id != MG_FIELD_HOST) {
            mg_buf_printf(&e->log, " %.*s=%.*s", (int)f->name.n, f->name.p, (int)f->value.n,
                          f->value.p);
        }
    }
}

static inline void h2_take(h2_end *e, mg_h2_event_kind kind, const mg_h2_event *ev) {
    uint32_t id = ev->stream != NULL ? ev->stream->id : 0;
    switch (kind) {
    case MG_H2_OPEN: {
        h2_stream *s = &e->streams[e->h.block.id / 2 % H2_STREAMS];
        mg_arena_reset(&s->arena);
        mg_h2_accept(&e->h, &s->s, &s->arena);
        return;
    }
    case MG_H2_HEAD:
        h2_log_head(e, ev);
        mg_buf_printf(&e->log, "%s\n", ev->end ? " end" : "");
        return;
    case MG_H2_DATA:
        e->data += ev->piece.n;
        if (!e->holds) {
            mg_h2_taken(&e->h, ev->stream, &e->out, ev->piece.n);
        }
        if (ev->end) {
            mg_buf_printf(&e->log, "%u end of %zu\n", id != 0 ? id : 0, e->data);
        }
        return;
    case MG_H2_TRAILERS:
        mg_buf_printf(&e->log, "%u trailers %.*s\n", id, (int)ev->trailers.at[0].value.n,
                      ev->trailers.at[0].value.p);
        return;
    case MG_H2_RESET:
        mg_buf_printf(&e->log, "reset %s\n", mg_h2_code_name(ev->code));
        return;
    case MG_H2_GOAWAY:
        mg_buf_printf(&e->log, "goaway %s\n", mg_h2_code_name(ev->code));
        return;
    case MG_H2_PONG:
        mg_buf_append_str(&e->log, MG_STR("pong\n"));
        return;
    case MG_H2_CLOSED:
        fail_msg("the client is wrong: %s", ev->reason);
        return;
    default:
        return;
    }
}

static inline void h2_flush(int i) {
    h2_end *e = &ends[i];
    const struct iovec v = {e->out.p, e->out.n};
    if (e->out.n > 0) {
        (void)mg_stream_write(&peers[i].s, &v, 1);
        mg_buf_clear(&e->out);
    }
}

// What the client has sent by now is understood.
static inline void h2_hear(int i) {
    h2_end *e = &ends[i];
    mg_str in = mg_buf_str(&peers[i].got);
    mg_h2_event_kind kind;
    if (!e->open) {
        e->open = true;
        mg_h2_init(&e->h, false, &h2_limits, &e->out);
    }
    do {
        mg_h2_event ev = {0};
        size_t used = 0;
        kind = mg_h2_read(&e->h, in.p, in.n, 1, &used, &e->out, &ev);
        mg_str_skip(&in, used);
        h2_take(e, kind, &ev);
    } while (kind != MG_H2_MORE);
    mg_buf_clear(&peers[i].got);
    h2_flush(i);
}

static inline bool h2_heard(int i, const char *text) {
    for (int p = 0; p < accepted; p++) {
        h2_hear(p);
    }
    return accepted > i && strcmp(text, "") != 0 && ends[i].log.n >= strlen(text) &&
           memmem(ends[i].log.p, ends[i].log.n, text, strlen(text)) != NULL;
}

// Waits until peer `i` has heard this, whatever else.
#define UNTIL_HEARD(i, text)                                                                       \
    do {                                                                                           \
        UNTIL(h2_heard(i, text));                                                                  \
        mg_buf_clear(&ends[i].log);                                                                \
    } while (0)

// A few turns in which both sides may say what they have to say.
static inline void h2_talk(void) {
    for (int n = 0; n < 6; n++) {
        turns(2);
        (void)h2_heard(0, "");
    }
}

static inline mg_h2_stream *h2_of(int i, uint32_t id) {
    return &ends[i].streams[id / 2 % H2_STREAMS].s;
}

static inline void h2_head(int i, uint32_t id, int status, bool end) {
    static const mg_fields none;
    const mg_answer_head head = {.status = status, .fields = &none};
    mg_h2_send_answer(&ends[i].h, h2_of(i, id), &ends[i].out, &head, end);
    h2_flush(i);
}

static inline void h2_data(int i, uint32_t id, const char *text, bool end) {
    mg_h2_send_data(&ends[i].h, h2_of(i, id), &ends[i].out, mg_str_of(text), end);
    h2_flush(i);
}

static inline void h2_answer(int i, uint32_t id, int status, const char *text) {
    h2_head(i, id, status, text[0] == '\0');
    if (text[0] != '\0') {
        h2_data(i, id, text, true);
    }
}

static inline void h2_reset(int i, uint32_t id, mg_h2_code code) {
    mg_h2_send_reset(&ends[i].h, h2_of(i, id), &ends[i].out, code);
    h2_flush(i);
}

// A frame by hand.
static inline void h2_frame(int i, uint8_t type, uint8_t flags, uint32_t id, mg_str payload) {
    uint8_t *p = mg_h2_append_frame(&ends[i].out, payload.n, type, flags, id);
    memcpy(p, payload.p, payload.n);
    h2_flush(i);
}

#define H2_FRAME(i, type, flags, id, text)                                                         \
    h2_frame(i, type, flags, id, (mg_str){text, sizeof(text) - 1})

// --- life ---

static inline void new_h2_client(uint32_t connections) {
    new_client_of(&(mg_client_options){
        .connections = connections, .http2 = MG_HTTP2_ALWAYS, .ping_ms = 10000});
}

static inline int h2_set_up(void **state) {
    h2_limits = mg_h2_default_limits;
    int rc = set_up(state);
    new_h2_client(2);
    return rc;
}

static inline int h2_tear_down(void **state) {
    for (int i = 0; i < PEERS; i++) {
        h2_end *e = &ends[i];
        if (e->open) {
            mg_h2_deinit(&e->h);
        }
        mg_buf_deinit(&e->out);
        mg_buf_deinit(&e->log);
        for (int s = 0; s < H2_STREAMS; s++) {
            mg_arena_deinit(&e->streams[s].arena);
        }
    }
    memset(ends, 0, sizeof ends);
    return tear_down(state);
}

#define EACH_H2(f) cmocka_unit_test_setup_teardown(f, h2_set_up, h2_tear_down)
