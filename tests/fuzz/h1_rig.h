// h1_rig.h: reads a pipeline of requests in pieces and writes down all that it is read as.
#pragma once

#include "http/body.h"
#include "http/h1_read.h"

static const mg_guard_limits rig_head_limits = {.first_line_bytes = 256, .bytes = 1024, .lines = 8};
static const mg_body_limits rig_body_limits = {
    .extension_bytes = 64,
    .trailers = {.bytes = 128, .lines = 4},
};

typedef struct h1_rig h1_rig;
struct h1_rig {
    void (*on_verdict)(const h1_rig *r); // a head is complete or refused; may be NULL
    mg_arena arena;
    mg_h1_reader reader;
    mg_head head;
    mg_body body;
    mg_buf content;
    mg_buf *out; // the transcript; borrowed
    bool in_body;
    bool refused;
    mg_refusal refusal; // why
};

static inline void rig_next(h1_rig *r) {
    mg_body_deinit(&r->body);
    r->body = (mg_body){0};
    r->in_body = false;
    mg_arena_reset(&r->arena);
    mg_h1_reader_init(&r->reader, &r->arena, &rig_head_limits);
}

static inline void rig_init(h1_rig *r, mg_buf *out) {
    *r = (h1_rig){.out = out};
    rig_next(r);
}

static inline void rig_deinit(h1_rig *r) {
    mg_body_deinit(&r->body);
    mg_buf_deinit(&r->content);
    mg_arena_deinit(&r->arena);
}

static inline void rig_refuse(h1_rig *r, mg_refusal refusal) {
    mg_buf_printf(r->out, "refused %d\n", refusal.status);
    r->refused = true;
    r->refusal = refusal;
}

static inline void rig_write_fields(h1_rig *r, const mg_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++) {
        mg_buf_append_str(r->out, fields->at[i].name);
        mg_buf_append_char(r->out, '=');
        mg_buf_append_str(r->out, fields->at[i].value);
        mg_buf_append_char(r->out, '\n');
    }
}

static inline void rig_write_head(h1_rig *r) {
    const mg_head *h = &r->head;
    mg_buf_append_str(r->out, h->method_text);
    mg_buf_append_char(r->out, ' ');
    mg_buf_append_str(r->out, h->target.path);
    mg_buf_printf(r->out, " 1.%d %s\n", h->minor, h->keep_alive ? "keep" : "close");
    rig_write_fields(r, &h->fields);
}

static inline void rig_end(h1_rig *r) {
    if (r->content.n > 0) {
        mg_buf_append_str(r->out, MG_STR("content="));
        mg_buf_append_str(r->out, mg_buf_str(&r->content));
        mg_buf_append_char(r->out, '\n');
        mg_buf_clear(&r->content);
    }
    rig_write_fields(r, &r->body.trailers);
    mg_buf_append_str(r->out, MG_STR("end\n"));
    rig_next(r);
}

static inline size_t rig_take_body(h1_rig *r, const char *data, size_t n) {
    size_t used = 0;
    mg_str piece;
    switch (mg_body_read(&r->body, data, n, &used, &piece)) {
    case MG_BODY_PIECE:
        mg_buf_append_str(&r->content, piece);
        break;
    case MG_BODY_BAD:
        rig_refuse(r, r->body.refusal);
        return n;
    default:
        break;
    }
    return used;
}

static inline size_t rig_take_head(h1_rig *r, const char *data, size_t n) {
    size_t used = n;
    switch (mg_h1_read(&r->reader, data, n, &used, &r->head)) {
    case MG_H1_MORE:
        return n;
    case MG_H1_BAD:
        rig_refuse(r, r->reader.refusal);
        break;
    default:
        rig_write_head(r);
        break;
    }
    if (r->on_verdict != NULL) {
        r->on_verdict(r);
    }
    if (r->refused) {
        return n;
    }
    mg_body_init(&r->body, &r->head, &rig_body_limits, &r->arena);
    r->in_body = true;
    return used;
}

static inline void rig_feed(h1_rig *r, const char *data, size_t n) {
    size_t at = 0;
    while (at < n && !r->refused) {
        at +=
            r->in_body ? rig_take_body(r, data + at, n - at) : rig_take_head(r, data + at, n - at);
        if (r->in_body && !r->refused && mg_body_complete(&r->body)) {
            rig_end(r);
        }
    }
}
