#include "h2_rig.h"

#include <stdlib.h>

// --- faults of frames, each of which ends the connection ---

typedef struct fault {
    const char *what;
    uint8_t type, flags;
    uint32_t id;
    const char *payload;
    size_t n;
    mg_h2_code code;
} fault;

#define BYTES(text) (text), sizeof(text) - 1

// On a connection on which stream 1 is open.
static const fault faults[] = {
    {"DATA on stream 0", 0, 0, 0, BYTES("a"), MG_H2_PROTOCOL_ERROR},
    {"DATA on an idle stream", 0, 0, 5, BYTES("a"), MG_H2_PROTOCOL_ERROR},
    {"DATA with more padding than payload", 0, 8, 1,
     BYTES("\x02"
           "a"),
     MG_H2_PROTOCOL_ERROR},
    {"padded DATA without a pad length", 0, 8, 1, BYTES(""), MG_H2_FRAME_SIZE_ERROR},
    {"HEADERS on stream 0", 1, 5, 0, BYTES("\x82"), MG_H2_PROTOCOL_ERROR},
    {"HEADERS on an even stream", 1, 5, 2, BYTES("\x82"), MG_H2_PROTOCOL_ERROR},
    {"HEADERS with more padding than payload", 1, 13, 3, BYTES("\x02\x82"), MG_H2_PROTOCOL_ERROR},
    {"HEADERS too short for its priority", 1, 0x25, 3, BYTES("\0\0\0"), MG_H2_FRAME_SIZE_ERROR},
    {"PRIORITY on stream 0", 2, 0, 0, BYTES("\0\0\0\0\0"), MG_H2_PROTOCOL_ERROR},
    {"PRIORITY of 4 bytes", 2, 0, 1, BYTES("\0\0\0\0"), MG_H2_FRAME_SIZE_ERROR},
    {"PRIORITY of an idle stream on itself", 2, 0, 7, BYTES("\0\0\0\7\0"), MG_H2_PROTOCOL_ERROR},
    {"RST_STREAM on stream 0", 3, 0, 0, BYTES("\0\0\0\0"), MG_H2_PROTOCOL_ERROR},
    {"RST_STREAM on an idle stream", 3, 0, 5, BYTES("\0\0\0\0"), MG_H2_PROTOCOL_ERROR},
    {"RST_STREAM of 3 bytes", 3, 0, 1, BYTES("\0\0\0"), MG_H2_FRAME_SIZE_ERROR},
    {"SETTINGS on a stream", 4, 0, 1, BYTES(""), MG_H2_PROTOCOL_ERROR},
    {"SETTINGS of 3 bytes", 4, 0, 0, BYTES("\0\1\0"), MG_H2_FRAME_SIZE_ERROR},
    {"SETTINGS that acknowledge with content", 4, 1, 0, BYTES("\0"), MG_H2_FRAME_SIZE_ERROR},
    {"ENABLE_PUSH of 2", 4, 0, 0, BYTES("\0\2\0\0\0\2"), MG_H2_PROTOCOL_ERROR},
    {"a window of 2^31", 4, 0, 0, BYTES("\0\4\x80\0\0\0"), MG_H2_FLOW_CONTROL_ERROR},
    {"frames of 16383", 4, 0, 0, BYTES("\0\5\0\0\x3f\xff"), MG_H2_PROTOCOL_ERROR},
    {"frames of 2^24", 4, 0, 0, BYTES("\0\5\1\0\0\0"), MG_H2_PROTOCOL_ERROR},
    {"ENABLE_CONNECT_PROTOCOL of 2", 4, 0, 0, BYTES("\0\x8\0\0\0\2"), MG_H2_PROTOCOL_ERROR},
    {"NO_RFC7540_PRIORITIES of 2", 4, 0, 0, BYTES("\0\x9\0\0\0\2"), MG_H2_PROTOCOL_ERROR},
    {"PUSH_PROMISE", 5, 4, 1, BYTES("\0\0\0\2\x82"), MG_H2_PROTOCOL_ERROR},
    {"PING on a stream", 6, 0, 1, BYTES("12345678"), MG_H2_PROTOCOL_ERROR},
    {"PING of 6 bytes", 6, 0, 0, BYTES("123456"), MG_H2_FRAME_SIZE_ERROR},
    {"GOAWAY on a stream", 7, 0, 1, BYTES("\0\0\0\0\0\0\0\0"), MG_H2_PROTOCOL_ERROR},
    {"GOAWAY of 7 bytes", 7, 0, 0, BYTES("\0\0\0\0\0\0\0"), MG_H2_FRAME_SIZE_ERROR},
    {"WINDOW_UPDATE by 0", 8, 0, 0, BYTES("\0\0\0\0"), MG_H2_PROTOCOL_ERROR},
    {"a connection's window beyond 2^31-1", 8, 0, 0, BYTES("\x7f\xff\xff\xff"),
     MG_H2_FLOW_CONTROL_ERROR},
    {"WINDOW_UPDATE of 3 bytes", 8, 0, 0, BYTES("\0\0\1"), MG_H2_FRAME_SIZE_ERROR},
    {"WINDOW_UPDATE on an idle stream", 8, 0, 5, BYTES("\0\0\0\1"), MG_H2_PROTOCOL_ERROR},
    {"CONTINUATION without HEADERS", 9, 4, 1, BYTES("\x82"), MG_H2_PROTOCOL_ERROR},
    {"PRIORITY_UPDATE on a stream", 16, 0, 1, BYTES("\0\0\0\1u=1"), MG_H2_PROTOCOL_ERROR},
    {"PRIORITY_UPDATE of stream 0", 16, 0, 0, BYTES("\0\0\0\0u=1"), MG_H2_PROTOCOL_ERROR},
    {"PRIORITY_UPDATE of 3 bytes", 16, 0, 0, BYTES("\0\0\0"), MG_H2_FRAME_SIZE_ERROR},
};

static void refuses_what_breaks_a_connection(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const fault *f = &faults[i];
        rig *r = malloc(sizeof *r);
        rig_serve(r, NULL);
        mg_buf b = {0};
        put_headers(r, &b, MG_H2_FLAG_END_HEADERS, 1, rig_post);
        put_frame(&b, f->type, f->flags, f->id, (mg_str){f->payload, f->n});
        rig_take(r, &b);
        mg_buf text = {0};
        rig_frames(&r->out, &text);
        char want[64];
        snprintf(want, sizeof want, "GOAWAY 0/0 1 %d\n", (int)f->code);
        if (!mg_str_eq(mg_str_of(want), mg_buf_str(&text))) {
            fail_msg("%s: %.*s", f->what, (int)text.n, text.p);
        }
        mg_buf_deinit(&text);
        rig_close(r);
        free(r);
    }
}

static void refuses_what_is_no_preface(void **state) {
    (void)state;
    rig r;
    rig_open(&r, false, NULL);
    mg_buf_clear(&r.out);
    rig_read(&r, MG_STR("GET / HTTP/1.1\r\n\r\n"));
    assert_told("closed 1: this is not the preface of HTTP/2\n", &r);
    rig_close(&r);
}

static void refuses_another_first_frame_than_settings(void **state) {
    (void)state;
    rig r;
    rig_open(&r, false, NULL);
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR(MG_H2_PREFACE));
    put_frame(&b, MG_H2_PING_FRAME, 0, 0, MG_STR("12345678"));
    rig_take(&r, &b);
    assert_told("closed 1: the first frame is not SETTINGS\n", &r);
    rig_close(&r);
}

static void refuses_a_frame_larger_than_16384(void **state) {
    (void)state;
    rig r;
    rig_serve(&r, NULL);
    mg_buf b = {0};
    mg_h2_put_header((uint8_t *)mg_buf_reserve(&b, 9), 16385, 0, 0, 1);
    b.n = 9;
    rig_take(&r, &b);
    assert_told("closed 6: a frame is larger than SETTINGS_MAX_FRAME_SIZE\n", &r);
    rig_close(&r);
}

static void ignores_what_it_does_not_know(void **state) {
    (void)state;
    rig r;
    rig_serve(&r, NULL);
    mg_buf b = {0};
    put_frame(&b, 0xbe, 0xff, 0, MG_STR("whatever"));
    put_setting(&b, 0xff, 1);
    put_headers(&r, &b, RIG_ENDS | 0x80, 1, rig_get); // an unknown flag too
    rig_take(&r, &b);
    assert_told("head GET / Host=a end\n", &r);
    rig_close(&r);
}

static void ignores_the_reserved_bit_of_an_id(void **state) {
    (void)state;
    rig r;
    rig_serve(&r, NULL);
    mg_buf b = {0};
    put_headers(&r, &b, RIG_ENDS, 0x80000001u, rig_get);
    rig_take(&r, &b);
    assert_told("head GET / Host=a end\n", &r);
    rig_close(&r);
}

static void refuses_other_frames_within_a_head(void **state) {
    (void)state;
    static const uint32_t others[][2] = {
        {MG_H2_PING_FRAME, 0}, {MG_H2_HEADERS_FRAME, 3}, {MG_H2_CONTINUATION_FRAME, 3}, {0xbe, 1}};
    for (size_t i = 0; i < 4; i++) {
        rig r;
        rig_serve(&r, NULL);
        mg_buf b = {0};
        put_headers(&r, &b, 0, 1, rig_get);
        put_frame(&b, (uint8_t)others[i][0], 4, others[i][1], MG_STR("12345678"));
        rig_take(&r, &b);
        assert_told("closed 1: CONTINUATION does not follow the HEADERS that it continues\n", &r);
        rig_close(&r);
    }
}

// --- however the input is cut ---

static void put_everything(rig *r, mg_buf *b) {
    mg_buf_append_str(b, MG_STR(MG_H2_PREFACE));
    put_setting(b, MG_H2_INITIAL_WINDOW_SIZE, 1000);
    mg_h2_append_frame(b, 0, MG_H2_SETTINGS_FRAME, MG_H2_FLAG_ACK, 0);
    put_headers(r, b, MG_H2_FLAG_END_HEADERS, 1,
                ":method: POST\n:scheme: http\n:path: /a?b\n"
                ":authority: a\ncookie: a=1\ncookie: b=2\nx: y");
    put_frame(b, MG_H2_PING_FRAME, 0, 0, MG_STR("12345678"));
    put_frame(b, MG_H2_DATA_FRAME, MG_H2_FLAG_PADDED, 1, MG_STR("\3content\0\0\0"));
    put_frame(b, MG_H2_DATA_FRAME, 0, 1, MG_STR("and more"));
    put_frame(b, MG_H2_PRIORITY_UPDATE_FRAME, 0, 0, MG_STR("\0\0\0\1u=1, i"));
    put_headers(r, b, RIG_ENDS, 1, "sum: x");
    put_headers(r, b, 0, 3, rig_get);
    put_frame(b, MG_H2_CONTINUATION_FRAME, 0, 3, MG_STR(""));
    mg_buf block = {0};
    put_block(r, &block, "more: fields\nand: more");
    put_frame(b, MG_H2_CONTINUATION_FRAME, MG_H2_FLAG_END_HEADERS, 3, mg_buf_str(&block));
    mg_buf_deinit(&block);
    put_frame(b, 0x77, 0, 3, MG_STR("unknown"));
    put_frame(b, MG_H2_HEADERS_FRAME, RIG_ENDS, 5, MG_STR("\x82\x84\x86\0\5Upper\1x"));
    put_u32_frame(b, MG_H2_RST_STREAM_FRAME, 3, 8);
    put_frame(b, MG_H2_GOAWAY_FRAME, 0, 0, MG_STR("\0\0\0\0\0\0\0\0bye"));
    put_frame(b, MG_H2_PUSH_PROMISE_FRAME, 0, 1, MG_STR("1234"));
}

static void tells_the_same_however_the_input_is_cut(void **state) {
    (void)state;
    rig *r = malloc(sizeof *r);
    mg_buf first = {0};
    for (size_t step = 0; step <= 41; step++) {
        rig_open(r, false, NULL);
        mg_buf b = {0};
        put_everything(r, &b);
        for (mg_str rest = mg_buf_str(&b); rest.n > 0;) {
            size_t n = step > 0 && step < rest.n ? step : rest.n;
            rig_read(r, (mg_str){rest.p, n});
            mg_str_skip(&rest, n);
        }
        mg_buf_append_str(&r->log, mg_buf_str(&r->out));
        if (step == 0) {
            mg_buf_append_str(&first, mg_buf_str(&r->log));
        }
        assert_int_equal(first.n, r->log.n);
        assert_memory_equal(first.p, r->log.p, first.n);
        mg_buf_deinit(&b);
        rig_close(r);
    }
    static const char want[] = "head POST /a?b Cookie=a=1; b=2 x=y Host=a\n"
                               "data contentand more\ntrailers sum=x end\n"
                               "head GET / more=fields and=more Host=a\n"
                               "reset 1 by us: a field name is no token in lower case\n"
                               "reset 8 by peer: the peer reset the stream\n"
                               "goaway 0\n"
                               "closed 1: PUSH_PROMISE, and push is off\n";
    assert_text(want, ((mg_str){first.p, sizeof want - 1}));
    mg_buf_deinit(&first);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_breaks_a_connection),
        cmocka_unit_test(refuses_what_is_no_preface),
        cmocka_unit_test(refuses_another_first_frame_than_settings),
        cmocka_unit_test(refuses_a_frame_larger_than_16384),
        cmocka_unit_test(ignores_what_it_does_not_know),
        cmocka_unit_test(ignores_the_reserved_bit_of_an_id),
        cmocka_unit_test(refuses_other_frames_within_a_head),
        cmocka_unit_test(tells_the_same_however_the_input_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
