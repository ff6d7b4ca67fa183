#include "http/h2_budget.h"
#include "http/h2_frame.h"
#include "http/h2_inside.h"
#include "http/h2_send.h"
#include "http/h2_streams.h"

// --- windows (RFC 9113 section 6.9) ---

static void append_window_update(mg_buf *out, uint32_t id, uint32_t more) {
    mg_h2_put32(mg_h2_append_frame(out, 4, MG_H2_WINDOW_UPDATE_FRAME, 0, id), more);
}

void mg_h2_open_connection(mg_h2 *h, mg_buf *out) {
    if (h->taken >= h->limits->connection_window / 2 && h->taken > 0) {
        append_window_update(out, 0, h->taken);
        h->receive_left += (int32_t)h->taken;
        h->taken = 0;
    }
}

void mg_h2_open_stream(mg_h2 *h, mg_h2_stream *s, mg_buf *out) {
    if (!s->ended && s->taken >= h->stream_window / 2 && s->taken > 0) {
        append_window_update(out, s->id, s->taken);
        s->receive_left += (int32_t)s->taken;
        s->taken = 0;
    }
}

void mg_h2_taken(mg_h2 *h, mg_h2_stream *s, mg_buf *out, size_t n) {
    if (mg_h2_is_closed(s)) {
        return; // all of it was given back then
    }
    uint32_t bytes = n < s->stored ? (uint32_t)n : s->stored;
    s->stored -= bytes;
    s->taken += bytes;
    h->taken += bytes;
    mg_h2_open_stream(h, s, out);
    mg_h2_open_connection(h, out);
}

// --- DATA (section 6.1) ---

// Of a stream that is not open.
static void on_closed(mg_h2_step *t, uint32_t id) {
    if (mg_h2_is_idle(t->h, id)) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "DATA on a stream that was never opened");
        return;
    }
    switch (mg_h2_how_closed(t->h, id)) {
    case MG_H2_WAS_OURS:
    case MG_H2_WAS_UNKNOWN: // given up long ago, maybe while much of it was under way
        if (t->h->frame.left == 0) {
            mg_h2_count_nothing(t, MG_H2_BUDGET_EMPTY);
        }
        break;
    case MG_H2_WAS_ENDED:
        mg_h2_die(t, MG_H2_STREAM_CLOSED, "DATA on a stream that has ended");
        break;
    case MG_H2_WAS_RESET:
        mg_h2_closed_stream_error(t, id, MG_H2_STREAM_CLOSED);
        break;
    }
}

// False: it may not come, and its stream is gone.
static bool judge(mg_h2_step *t, mg_h2_stream *s) {
    const mg_h2_frame *f = &t->h->frame;
    bool end = (f->flags & MG_H2_FLAG_END_STREAM) != 0;
    bool known = s->length_left != UINT64_MAX;
    if (s->ended) {
        mg_h2_stream_error(t, s, MG_H2_STREAM_CLOSED, "DATA on a stream that has ended");
    } else if (!s->head_seen) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, "DATA before HEADERS");
    } else if ((int64_t)f->length > s->receive_left) {
        mg_h2_stream_error(t, s, MG_H2_FLOW_CONTROL_ERROR, "more DATA than the stream's window");
    } else if (known && f->left > s->length_left) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, "more content than Content-Length says");
    } else if (known && end && f->left < s->length_left) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, "less content than Content-Length says");
    } else {
        return true;
    }
    return false;
}

static void deliver(mg_h2_step *t, mg_h2_stream *s, size_t n) {
    mg_h2 *h = t->h;
    t->e->piece = (mg_str){(const char *)t->p, n};
    t->e->end = h->frame.left == 0 && (h->frame.flags & MG_H2_FLAG_END_STREAM) != 0;
    s->stored += (uint32_t)n;
    mg_h2_tell(t, MG_H2_DATA, s);
    if (t->e->end) {
        s->ended = true;
        mg_h2_settle(h, s);
    }
}

static void accept_frame(mg_h2_step *t, mg_h2_stream *s) {
    mg_h2 *h = t->h;
    uint32_t content = h->frame.left;
    s->receive_left -= (int32_t)h->frame.length;
    s->taken += h->frame.length - content; // padding is stored by nobody
    s->length_left -= s->length_left != UINT64_MAX ? content : 0;
    mg_h2_open_stream(h, s, t->out);
    h->current = s;
    if (content > 0) {
        mg_h2_earn(h, MG_H2_BUDGET_PINGS, 1);
    } else if ((h->frame.flags & MG_H2_FLAG_END_STREAM) != 0) {
        deliver(t, s, 0);
    } else {
        mg_h2_count_nothing(t, MG_H2_BUDGET_EMPTY);
    }
}

void mg_h2_on_data(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    mg_h2_frame *f = &h->frame;
    if (!mg_h2_take_padding(t, p)) {
        return;
    }
    if ((int64_t)f->length > h->receive_left) {
        mg_h2_die(t, MG_H2_FLOW_CONTROL_ERROR, "more DATA than the connection's window");
        return;
    }
    h->receive_left -= (int32_t)f->length;
    h->taken += f->length - f->left;
    h->current = NULL;
    h->phase = MG_H2_IN_DATA;
    mg_h2_stream *s = mg_h2_find(h, f->id);
    if (s == NULL) {
        on_closed(t, f->id);
    } else if (judge(t, s)) {
        accept_frame(t, s);
    }
}

void mg_h2_take_data(mg_h2_step *t) {
    mg_h2 *h = t->h;
    mg_h2_frame *f = &h->frame;
    uint32_t n = f->left < t->n ? f->left : (uint32_t)t->n;
    f->left -= n;
    if (n > 0 && h->current != NULL) {
        deliver(t, h->current, n);
    } else {
        h->taken += n; // nobody wants it
    }
    t->p += n;
    t->n -= n;
    if (f->left == 0) {
        f->left = f->padding;
        h->phase = MG_H2_IN_REST;
    }
}
