// response_rig.h: reads a pipeline of responses in pieces and writes down all that it is read as.
#pragma once

#include "h1_rig.h"

#include "http/h1_response.h"

typedef struct response_rig response_rig;
struct response_rig {
    void (*on_head)(const response_rig *r); // a head was accepted; may be NULL
    h1_rig in;                              // what bodies need; its reader of requests is idle
    mg_h1_response_reader reader;
    mg_response response;
    bool to_head;   // the response under way answers a HEAD
    unsigned heads; // bit i: so does the i-th behind it
};

static inline void response_rig_next(response_rig *r) {
    r->to_head = r->heads & 1;
    r->heads >>= 1;
    mg_h1_response_init(&r->reader, &r->in.arena, &rig_head_limits, r->to_head);
}

static inline void response_rig_init(response_rig *r, unsigned heads, mg_buf *out) {
    *r = (response_rig){.heads = heads};
    rig_init(&r->in, out);
    response_rig_next(r);
}

static inline void response_rig_deinit(response_rig *r) {
    rig_deinit(&r->in);
}

static inline void response_rig_refuse(response_rig *r) {
    mg_buf_printf(r->in.out, "refused: %s\n", r->reader.fault);
    r->in.refused = true;
    r->in.refusal = (mg_refusal){502, r->reader.fault, 0};
}

static inline void response_rig_write_head(response_rig *r) {
    const mg_head *h = &r->response.head;
    mg_buf_printf(r->in.out, "%d 1.%d %s [%.*s]\n", r->response.status, h->minor,
                  h->keep_alive ? "keep" : "close", (int)r->response.reason.n,
                  r->response.reason.p);
    rig_write_fields(&r->in, &h->fields);
}

static inline size_t response_rig_take_head(response_rig *r, const char *data, size_t n) {
    size_t used = n;
    switch (mg_h1_response_read(&r->reader, data, n, &used, &r->response)) {
    case MG_H1_RESPONSE_MORE:
        return n;
    case MG_H1_RESPONSE_BAD:
        response_rig_refuse(r);
        return n;
    default:
        break;
    }
    response_rig_write_head(r);
    if (r->on_head != NULL) {
        r->on_head(r);
    }
    mg_body_init(&r->in.body, &r->response.head, &rig_body_limits, &r->in.arena);
    r->in.in_body = true;
    return used;
}

static inline void response_rig_feed(response_rig *r, const char *data, size_t n) {
    size_t at = 0;
    while (at < n && !r->in.refused) {
        at += r->in.in_body ? rig_take_body(&r->in, data + at, n - at)
                            : response_rig_take_head(r, data + at, n - at);
        if (r->in.in_body && !r->in.refused && mg_body_complete(&r->in.body)) {
            rig_end(&r->in);
            response_rig_next(r);
        }
    }
}

// The connection ends: so does a body without another end.
static inline void response_rig_fin(response_rig *r) {
    if (r->in.in_body && !r->in.refused && r->response.head.framing == MG_FRAMING_CLOSE) {
        rig_end(&r->in);
    }
}
