#include "http/h2_budget.h"
#include "http/h2_decode.h"
#include "http/h2_encode.h"
#include "http/h2_frame.h"
#include "http/h2_inside.h"
#include "http/h2_schedule.h"
#include "http/h2_streams.h"

const char *mg_h2_code_name(mg_h2_code code) {
    static const char *const names[] = {
        [MG_H2_NO_ERROR] = "NO_ERROR",
        [MG_H2_PROTOCOL_ERROR] = "PROTOCOL_ERROR",
        [MG_H2_INTERNAL_ERROR] = "INTERNAL_ERROR",
        [MG_H2_FLOW_CONTROL_ERROR] = "FLOW_CONTROL_ERROR",
        [MG_H2_SETTINGS_TIMEOUT] = "SETTINGS_TIMEOUT",
        [MG_H2_STREAM_CLOSED] = "STREAM_CLOSED",
        [MG_H2_FRAME_SIZE_ERROR] = "FRAME_SIZE_ERROR",
        [MG_H2_REFUSED_STREAM] = "REFUSED_STREAM",
        [MG_H2_CANCEL] = "CANCEL",
        [MG_H2_COMPRESSION_ERROR] = "COMPRESSION_ERROR",
        [MG_H2_CONNECT_ERROR] = "CONNECT_ERROR",
        [MG_H2_ENHANCE_YOUR_CALM] = "ENHANCE_YOUR_CALM",
        [MG_H2_INADEQUATE_SECURITY] = "INADEQUATE_SECURITY",
        [MG_H2_HTTP_1_1_REQUIRED] = "HTTP_1_1_REQUIRED",
    };
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "an unknown error";
}

// --- SETTINGS (RFC 9113 section 6.5) ---

// A window may become negative (section 6.9.2), but not too large. False: it would.
static bool move_windows(mg_h2 *h, int64_t change) {
    for (uint32_t i = 0; i < h->streams.count; i++) {
        mg_h2_stream *s = h->streams.at[i];
        int64_t window = s->send_window + change;
        if (window > MG_H2_WINDOW_MAX) {
            return false;
        }
        s->send_window = (int32_t)window;
        mg_h2_schedule_window(h, s);
    }
    return true;
}

static void set_window(mg_h2_step *t, uint32_t value) {
    mg_h2 *h = t->h;
    if (value > MG_H2_WINDOW_MAX || !move_windows(h, (int64_t)value - h->peer.window)) {
        mg_h2_die(t, MG_H2_FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large");
        return;
    }
    h->peer.window = value;
}

static void set_table(mg_h2 *h, uint32_t value) {
    uint32_t table = value < h->limits->encoder_table ? value : h->limits->encoder_table;
    h->peer.header_table = table;
    if (h->encoder != NULL) {
        mg_h2_encoder_resize(h->encoder, table);
    } else if (table < h->peer.header_table_least) {
        h->peer.header_table_least = table;
    }
}

static void apply(mg_h2_step *t, uint32_t id, uint32_t value) {
    mg_h2 *h = t->h;
    const char *fault = NULL;
    switch (id) {
    case MG_H2_HEADER_TABLE_SIZE:
        set_table(h, value);
        break;
    case MG_H2_ENABLE_PUSH: // servers may not set it to 1 (section 6.5.2)
        fault = value > (h->client ? 0 : 1) ? "SETTINGS_ENABLE_PUSH is neither 0 nor 1" : NULL;
        break;
    case MG_H2_MAX_CONCURRENT_STREAMS:
        h->peer.streams = value;
        break;
    case MG_H2_INITIAL_WINDOW_SIZE:
        set_window(t, value);
        break;
    case MG_H2_MAX_FRAME_SIZE:
        if (value < MG_H2_FRAME_MAX || value > MG_H2_FRAME_CEILING) {
            fault = "SETTINGS_MAX_FRAME_SIZE is not between 16384 and 16777215";
        }
        break; // we send none that is larger than anybody takes
    case MG_H2_ENABLE_CONNECT_PROTOCOL:
        fault = value > 1 || (value == 0 && h->peer.extended_connect)
                    ? "SETTINGS_ENABLE_CONNECT_PROTOCOL is neither 0 nor 1, or was 1 before"
                    : NULL;
        h->peer.extended_connect = value == 1;
        break;
    case MG_H2_NO_RFC7540_PRIORITIES:
        fault = value > 1 ? "SETTINGS_NO_RFC7540_PRIORITIES is neither 0 nor 1" : NULL;
        break;
    default:
        break; // unknown ones are ignored
    }
    if (fault != NULL) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, fault);
    }
}

// The peer knows ours now: what it did before was measured by the defaults.
static void on_acknowledged(mg_h2_step *t) {
    mg_h2 *h = t->h;
    if (h->acknowledged) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "SETTINGS are acknowledged that were not sent");
        return;
    }
    h->acknowledged = true;
    int32_t change = (int32_t)(h->limits->window - h->stream_window);
    for (uint32_t i = 0; i < h->streams.count; i++) {
        h->streams.at[i]->receive_left += change;
    }
    h->stream_window = h->limits->window;
    if (h->decoder != NULL && h->limits->header_table != MG_H2_TABLE) {
        mg_h2_decoder_resize(h->decoder, h->limits->header_table);
    }
}

void mg_h2_on_settings(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    bool ack = (h->frame.flags & MG_H2_FLAG_ACK) != 0;
    bool first = h->frame.left + (p != NULL ? 6 : 0) == h->frame.length;
    if (first && !mg_h2_count_nothing(t, MG_H2_BUDGET_SETTINGS)) {
        return;
    }
    if (ack) {
        on_acknowledged(t);
        return;
    }
    if (p != NULL) {
        apply(t, mg_h2_get16(p), mg_h2_get32(p + 2));
    }
    if (h->over) {
        return;
    }
    if (h->frame.left > 0) {
        h->phase = MG_H2_IN_START; // the next setting
    } else if (mg_h2_owe(t, MG_H2_FRAME_HEADER)) {
        h->greeted = true;
        mg_h2_append_frame(t->out, 0, MG_H2_SETTINGS_FRAME, MG_H2_FLAG_ACK, 0);
        mg_h2_tell(t, MG_H2_WRITABLE, NULL);
    }
}

// --- PING and GOAWAY (sections 6.7 and 6.8) ---

void mg_h2_on_ping(mg_h2_step *t, const uint8_t *p) {
    if ((t->h->frame.flags & MG_H2_FLAG_ACK) != 0) {
        if (mg_h2_count_nothing(t, MG_H2_BUDGET_PINGS)) {
            mg_h2_tell(t, MG_H2_PONG, NULL);
        }
        return;
    }
    if (mg_h2_count_nothing(t, MG_H2_BUDGET_PINGS) && mg_h2_owe(t, MG_H2_FRAME_HEADER + 8)) {
        memcpy(mg_h2_append_frame(t->out, 8, MG_H2_PING_FRAME, MG_H2_FLAG_ACK, 0), p, 8);
    }
}

void mg_h2_on_goaway(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    if (!mg_h2_count_nothing(t, MG_H2_BUDGET_EMPTY)) {
        return;
    }
    uint32_t last = mg_h2_get31(p);
    h->goaway_id = last < h->goaway_id ? last : h->goaway_id; // it may not grow
    h->left = true;
    t->e->code = (mg_h2_code)mg_h2_get32(p + 4);
    mg_h2_tell(t, MG_H2_GOAWAY, NULL);
}

bool mg_h2_shed(mg_h2_step *t) {
    mg_h2 *h = t->h;
    mg_h2_stream *s = mg_h2_any(h);
    if (!h->client || s == NULL || s->id <= h->goaway_id) {
        return false;
    }
    mg_h2_remove(h, s, MG_H2_WAS_OURS);
    t->e->code = MG_H2_REFUSED_STREAM;
    t->e->reason = "the server leaves, and did not look at it";
    t->e->by_peer = true;
    mg_h2_tell(t, MG_H2_RESET, s);
    return true;
}

// --- WINDOW_UPDATE (section 6.9) ---

// False: it would be too large.
static bool widen(mg_h2_step *t, int32_t *window, uint32_t more) {
    if ((int64_t)*window + more > MG_H2_WINDOW_MAX) {
        return false;
    }
    if (*window <= 0) {
        mg_h2_tell(t, MG_H2_WRITABLE, NULL);
    }
    *window = (int32_t)(*window + (int64_t)more);
    return true;
}

static void widen_connection(mg_h2_step *t, uint32_t more) {
    if (more == 0) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, "WINDOW_UPDATE by nothing");
    } else if (!widen(t, &t->h->send_window, more)) {
        mg_h2_die(t, MG_H2_FLOW_CONTROL_ERROR, "the connection's window is too large");
    }
}

static void widen_stream(mg_h2_step *t, mg_h2_stream *s, uint32_t more) {
    if (more == 0) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, "WINDOW_UPDATE by nothing");
    } else if (!widen(t, &s->send_window, more)) {
        mg_h2_stream_error(t, s, MG_H2_FLOW_CONTROL_ERROR, "the stream's window is too large");
    } else {
        mg_h2_schedule_window(t->h, s);
    }
}

static const char idle_stream[] = "a frame of a stream that was never opened";

void mg_h2_on_window_update(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    uint32_t id = h->frame.id;
    if (!mg_h2_count_nothing(t, MG_H2_BUDGET_WINDOWS)) {
        return;
    }
    if (id == 0) {
        widen_connection(t, mg_h2_get31(p));
        return;
    }
    mg_h2_stream *s = mg_h2_find(h, id);
    if (s != NULL) {
        widen_stream(t, s, mg_h2_get31(p));
    } else if (mg_h2_is_idle(h, id)) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, idle_stream);
    }
}

// --- RST_STREAM (section 6.4) ---

void mg_h2_on_reset(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    uint32_t id = h->frame.id;
    mg_h2_stream *s = mg_h2_find(h, id);
    if (s == NULL && mg_h2_is_idle(h, id)) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, idle_stream);
        return;
    }
    // What was answered has cost its peer a wait, and us nothing more. A client's stream is its own
    // to open: each can be reset once.
    bool early = s != NULL && !h->client && !s->head_sent;
    bool counted = s == NULL || !h->client;
    if (counted && !mg_h2_count_nothing(t, early ? MG_H2_BUDGET_RESETS : MG_H2_BUDGET_EMPTY)) {
        return;
    }
    if (s == NULL) {
        return;
    }
    mg_h2_remove(h, s, MG_H2_WAS_RESET);
    t->e->code = (mg_h2_code)mg_h2_get32(p);
    t->e->reason = "the peer reset the stream";
    t->e->by_peer = true;
    mg_h2_tell(t, MG_H2_RESET, s);
}

// --- priorities (section 5.3, RFC 9218) ---

// The tree of RFC 7540 is not kept; what is impossible in it still is (its section 5.3.1).
void mg_h2_on_priority(mg_h2_step *t, const uint8_t *p) {
    mg_h2 *h = t->h;
    uint32_t id = h->frame.id;
    if (!mg_h2_count_nothing(t, MG_H2_BUDGET_PRIORITIES) || mg_h2_get31(p) != id) {
        return;
    }
    static const char why[] = "a stream depends on itself";
    mg_h2_stream *s = mg_h2_find(h, id);
    if (s != NULL) {
        mg_h2_stream_error(t, s, MG_H2_PROTOCOL_ERROR, why);
    } else {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR, why);
    }
}

void mg_h2_on_priority_update(mg_h2_step *t, const uint8_t *p, size_t n) {
    mg_h2 *h = t->h;
    uint32_t id = mg_h2_get31(p);
    if (h->client || id == 0) {
        mg_h2_die(t, MG_H2_PROTOCOL_ERROR,
                  "PRIORITY_UPDATE without a stream, or from a server (RFC 9218)");
        return;
    }
    if (!mg_h2_count_nothing(t, MG_H2_BUDGET_PRIORITIES)) {
        return;
    }
    mg_h2_stream *s = mg_h2_find(h, id);
    // One that has not come yet gets the usual. Nobody says so little with so many words.
    if (s != NULL && h->frame.left == 0) {
        mg_h2_prioritize(h, s, (mg_str){(const char *)p + 4, n - 4});
    }
}
