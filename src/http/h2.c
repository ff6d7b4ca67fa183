#include "http/h2.h"

#include "base/mem.h"
#include "http/h2_budget.h"
#include "http/h2_decode.h"
#include "http/h2_encode.h"
#include "http/h2_frame.h"
#include "http/h2_inside.h"
#include "http/h2_streams.h"

// --- the preface (RFC 9113 section 3.4) ---

static uint8_t *put_setting(uint8_t *p, uint32_t id, uint32_t value) {
    mg_h2_put16(p, id);
    mg_h2_put32(p + 2, value);
    return p + 6;
}

static void append_settings(const mg_h2 *h, mg_buf *out) {
    const mg_h2_limits *l = h->limits;
    uint8_t list[6 * 6];
    uint8_t *p = list;
    p = put_setting(p, MG_H2_INITIAL_WINDOW_SIZE, l->window);
    p = put_setting(p, MG_H2_MAX_HEADER_LIST_SIZE, l->header_bytes);
    if (l->header_table != MG_H2_TABLE) {
        p = put_setting(p, MG_H2_HEADER_TABLE_SIZE, l->header_table);
    }
    if (h->client) {
        p = put_setting(p, MG_H2_ENABLE_PUSH, 0);
    } else {
        p = put_setting(p, MG_H2_MAX_CONCURRENT_STREAMS, l->streams);
        p = put_setting(p, MG_H2_ENABLE_CONNECT_PROTOCOL, 1);
        p = put_setting(p, MG_H2_NO_RFC7540_PRIORITIES, 1);
    }
    size_t n = (size_t)(p - list);
    memcpy(mg_h2_append_frame(out, n, MG_H2_SETTINGS_FRAME, 0, 0), list, n);
}

void mg_h2_init(mg_h2 *h, bool client, const mg_h2_limits *limits, mg_buf *out) {
    *h = (mg_h2){
        .limits = limits,
        .client = client,
        .phase = client ? MG_H2_IN_HEADER : MG_H2_IN_PREFACE,
        .peer = {.header_table = MG_H2_TABLE,
                 .header_table_least = MG_H2_TABLE,
                 .streams = 100, // until it says otherwise; most allow as many,
                 .window = MG_H2_WINDOW},
        .send_window = MG_H2_WINDOW,
        .receive_left = MG_H2_WINDOW,
        .stream_window = MG_H2_WINDOW,
        .next_id = client ? 1 : 2,
        .goaway_id = MG_H2_WINDOW_MAX,
    };
    for (size_t u = 0; u < sizeof h->turns / sizeof *h->turns; u++) {
        mg_link_init(&h->turns[u]);
    }
    mg_h2_budgets_init(h);
    if (client) {
        mg_buf_append_str(out, MG_STR(MG_H2_PREFACE));
    }
    append_settings(h, out);
    if (limits->connection_window > MG_H2_WINDOW) {
        uint32_t more = limits->connection_window - MG_H2_WINDOW;
        mg_h2_put32(mg_h2_append_frame(out, 4, MG_H2_WINDOW_UPDATE_FRAME, 0, 0), more);
        h->receive_left += (int32_t)more;
    }
}

void mg_h2_deinit(mg_h2 *h) {
    mg_free(h->streams.at);
    mg_h2_decoder_free(h->decoder);
    mg_h2_encoder_free(h->encoder);
    *h = (mg_h2){.over = true};
}

void mg_h2_drained(mg_h2 *h) {
    h->owed = 0;
}

// --- what can be made again ---

void mg_h2_rest(mg_h2 *h) {
    if (h->streams.count == 0) {
        mg_free(h->streams.at);
        h->streams = (mg_h2_table){0};
    }
    if (h->decoder != NULL) {
        mg_h2_decoder_rest(h->decoder);
    }
    if (h->encoder != NULL) {
        mg_h2_encoder_free(h->encoder);
        h->encoder = NULL;
        h->peer.header_table_least = 0; // the next one has an empty table, and has to say so
    }
}

mg_h2_encoder *mg_h2_encoder_of(mg_h2 *h) {
    if (h->encoder == NULL) {
        h->encoder = mg_h2_encoder_new(h->limits->encoder_table);
        if (h->peer.header_table_least < MG_H2_TABLE) {
            mg_h2_encoder_resize(h->encoder, h->peer.header_table_least);
            mg_h2_encoder_resize(h->encoder, h->peer.header_table);
        }
    }
    return h->encoder;
}

// --- streams ---

void mg_h2_stream_begin(mg_h2 *h, mg_h2_stream *s, mg_arena *arena, uint32_t id) {
    *s = (mg_h2_stream){
        .arena = arena,
        .length_left = UINT64_MAX,
        .id = id,
        .send_window = (int32_t)h->peer.window,
        .receive_left = (int32_t)h->stream_window,
        .urgency = 3,
        .incremental = true, // unless it says something else: all take turns
    };
    mg_link_init(&s->turn);
    mg_h2_add(h, s);
}

void mg_h2_settle(mg_h2 *h, mg_h2_stream *s) {
    if (s->ended && s->end_sent) {
        mg_h2_remove(h, s, MG_H2_WAS_ENDED);
    }
}
