#include "h2_rig.h"

#include <stdlib.h>

static int setup(void **state) {
    rig *r = malloc(sizeof *r);
    mg_h2_limits limits = mg_h2_default_limits;
    limits.streams = 2;
    limits.continuations = 8;
    limits.trailer_bytes = 100;
    rig_serve(r, &limits);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    free(*state);
    return 0;
}

static void ask(rig *r, uint32_t id, uint8_t flags, const char *lines) {
    mg_buf b = {0};
    put_headers(r, &b, flags, id, lines);
    rig_take(r, &b);
}

static void joins_a_head_of_several_frames(void **state) {
    rig *r = *state;
    mg_buf block = {0}, b = {0};
    put_block(r, &block, ":method: GET\n:scheme: http\n:path: /path\n:authority: a\nx: y");
    put_frame(&b, MG_H2_HEADERS_FRAME, MG_H2_FLAG_END_STREAM, 1, (mg_str){block.p, 3});
    put_frame(&b, MG_H2_CONTINUATION_FRAME, 0, 1, (mg_str){block.p + 3, 0});
    put_frame(&b, MG_H2_CONTINUATION_FRAME, 0, 1, (mg_str){block.p + 3, 4});
    put_frame(&b, MG_H2_CONTINUATION_FRAME, MG_H2_FLAG_END_HEADERS, 1,
              (mg_str){block.p + 7, block.n - 7});
    assert_false(mg_h2_is_waiting(&r->h));
    rig_read(r, (mg_str){b.p, 20});
    assert_true(mg_h2_is_waiting(&r->h));
    rig_read(r, (mg_str){b.p + 20, b.n - 20});
    assert_false(mg_h2_is_waiting(&r->h));
    assert_told("head GET /path x=y Host=a end\n", r);
    mg_buf_deinit(&block);
    mg_buf_deinit(&b);
}

static void skips_padding_and_priority(void **state) {
    rig *r = *state;
    mg_buf block = {0}, b = {0};
    mg_buf_append_str(&block, MG_STR("\2\0\0\0\3\20"));
    put_block(r, &block, rig_get);
    mg_buf_append_str(&block, MG_STR("\0\0"));
    put_frame(&b, MG_H2_HEADERS_FRAME, RIG_ENDS | MG_H2_FLAG_PADDED | MG_H2_FLAG_PRIORITY, 1,
              mg_buf_str(&block));
    rig_take(r, &b);
    assert_told("head GET / Host=a end\n", r);
    mg_buf_deinit(&block);
}

static void refuses_more_streams_than_it_allows(void **state) {
    rig *r = *state;
    ask(r, 1, MG_H2_FLAG_END_HEADERS, rig_post);
    ask(r, 3, MG_H2_FLAG_END_HEADERS, rig_post);
    ask(r, 5, MG_H2_FLAG_END_HEADERS, rig_post);
    assert_frames("RST_STREAM 5/0 7\n", r);
    mg_buf b = {0};
    put_frame(&b, MG_H2_DATA_FRAME, MG_H2_FLAG_END_STREAM, 5, MG_STR("on its way"));
    rig_take(r, &b);
    assert_frames("", r);
    mg_h2_send_reset(&r->h, mg_h2_any(&r->h), &r->out, MG_H2_CANCEL);
    ask(r, 7, MG_H2_FLAG_END_HEADERS, rig_post);
    assert_frames("RST_STREAM 3/0 8\n", r);
}

static void refuses_what_its_owner_does_not_accept(void **state) {
    rig *r = *state;
    r->refuses = true;
    ask(r, 1, RIG_ENDS, rig_get);
    assert_told("", r);
    assert_frames("RST_STREAM 1/0 7\n", r);
    r->refuses = false;
    ask(r, 3, RIG_ENDS, rig_get); // the table of HPACK was kept
    assert_told("head GET / Host=a end\n", r);
}

static void ids_of_streams_rise(void **state) {
    rig *r = *state;
    ask(r, 5, RIG_ENDS, rig_get);
    ask(r, 3, RIG_ENDS, rig_get);
    assert_told("head GET / Host=a end\nclosed 1: stream identifiers do not rise\n", r);
}

static void a_second_head_is_trailers_or_wrong(void **state) {
    rig *r = *state;
    ask(r, 1, MG_H2_FLAG_END_HEADERS, rig_post);
    ask(r, 1, MG_H2_FLAG_END_HEADERS, "sum: 1");
    ask(r, 3, MG_H2_FLAG_END_HEADERS, rig_post);
    ask(r, 3, RIG_ENDS, "sum: 1\n:path: /");
    ask(r, 5, MG_H2_FLAG_END_HEADERS, rig_post);
    ask(r, 5, RIG_ENDS, "sum: 1");
    ask(r, 5, RIG_ENDS, "sum: 1"); // it has ended
    ask(r, 5, RIG_ENDS, "sum: 1"); // and is closed
    mg_buf_clear(&r->log);
    assert_frames("RST_STREAM 1/0 1\nRST_STREAM 3/0 1\nRST_STREAM 5/0 5\nGOAWAY 0/0 5 5\n", r);
}

static void trailers_have_a_limit(void **state) {
    rig *r = *state;
    ask(r, 1, MG_H2_FLAG_END_HEADERS, rig_post);
    ask(r, 1, RIG_ENDS, "a: 1\nb: 2\nc: 3");
    assert_frames("RST_STREAM 1/0 11\n", r);
}

static void a_tunnel_has_no_trailers(void **state) {
    rig *r = *state;
    ask(r, 1, MG_H2_FLAG_END_HEADERS, ":method: CONNECT\n:authority: a:1");
    ask(r, 1, RIG_ENDS, "a: 1");
    assert_frames("RST_STREAM 1/0 1\n", r);
}

static void continuations_have_a_limit(void **state) {
    rig *r = *state;
    mg_buf b = {0};
    put_headers(r, &b, 0, 1, rig_get);
    for (int i = 0; i < 8; i++) {
        put_frame(&b, MG_H2_CONTINUATION_FRAME, 0, 1, MG_STR(""));
    }
    rig_take(r, &b);
    assert_told("closed 11: too many CONTINUATION frames\n", r);
}

// One byte in the block for 4,000 in the list (CVE-2026-49975).
static void a_bomb_is_answered_with_431_and_not_kept(void **state) {
    rig *r = *state;
    mg_buf block = {0}, b = {0};
    put_block(r, &block, rig_get);
    mg_buf_append_str(&block, MG_STR("\x40\x01x\x7f\xbd\x1d")); // x, and 3,900 bytes
    for (int i = 0; i < 3900; i++) {
        mg_buf_append_char(&block, 'x');
    }
    for (int i = 0; i < 8000; i++) {
        mg_buf_append_char(&block, (char)0xbe); // the newest entry of the dynamic table
    }
    put_frame(&b, MG_H2_HEADERS_FRAME, RIG_ENDS, 1, mg_buf_str(&block));
    rig_take(r, &b);
    assert_true(r->head.fields.bytes < 33000);
    r->log.n = strlen("refused 431");
    assert_told("refused 431", r);
    mg_buf_deinit(&block);
}

static void a_block_without_end_is_a_flood(void **state) {
    rig *r = *state;
    static const char block[MG_H2_FRAME_MAX] = {0x00, 0x7f, (char)0x80, (char)0xff, 0x01};
    mg_buf b = {0};
    put_frame(&b, MG_H2_HEADERS_FRAME, 0, 1, (mg_str){block, 5});
    for (int i = 0; i < 6; i++) {
        put_frame(&b, MG_H2_CONTINUATION_FRAME, 0, 1, (mg_str){block + 5, sizeof block - 5});
    }
    rig_take(r, &b);
    assert_frames("GOAWAY 0/0 1 11\n", r);
}

static void what_cannot_be_decoded_ends_the_connection(void **state) {
    rig *r = *state;
    mg_buf b = {0};
    put_frame(&b, MG_H2_HEADERS_FRAME, RIG_ENDS, 1, MG_STR("\x80"));
    rig_take(r, &b);
    assert_told("closed 9: the header section cannot be decoded\n", r);
}

static void a_stream_that_depends_on_itself_is_reset(void **state) {
    rig *r = *state;
    mg_buf block = {0}, b = {0};
    mg_buf_append_str(&block, MG_STR("\0\0\0\1\20"));
    put_block(r, &block, rig_get);
    put_frame(&b, MG_H2_HEADERS_FRAME, RIG_ENDS | MG_H2_FLAG_PRIORITY, 1, mg_buf_str(&block));
    rig_take(r, &b);
    assert_told("reset 1 by us: a stream depends on itself\n", r);
    mg_buf_deinit(&block);
}

static void the_priority_field_counts(void **state) {
    rig *r = *state;
    ask(r, 1, RIG_ENDS, ":method: GET\n:scheme: http\n:path: /\n:authority: a\npriority: u=1");
    assert_int_equal(1, r->stream->urgency);
    assert_false(r->stream->incremental);
    ask(r, 3, RIG_ENDS, rig_get);
    assert_int_equal(3, r->stream->urgency);
    assert_true(r->stream->incremental);
}

static void streams_behind_the_last_goaway_are_not_looked_at(void **state) {
    rig *r = *state;
    ask(r, 1, MG_H2_FLAG_END_HEADERS, rig_post);
    mg_h2_send_goaway(&r->h, &r->out, false);
    ask(r, 3, RIG_ENDS, rig_get);
    mg_h2_send_goaway(&r->h, &r->out, true);
    ask(r, 5, MG_H2_FLAG_END_HEADERS, ":method: GET\n:scheme: http\n:path: /\nnew: entry");
    mg_buf b = {0};
    put_frame(&b, MG_H2_DATA_FRAME, MG_H2_FLAG_END_STREAM, 5, MG_STR("lost"));
    put_frame(&b, MG_H2_DATA_FRAME, MG_H2_FLAG_END_STREAM, 1, MG_STR("taken"));
    rig_take(r, &b);
    assert_told("head POST / Host=a\nhead GET / Host=a end\ndata taken end\n", r);
    assert_frames("GOAWAY 0/0 2147483647 0\nGOAWAY 0/0 3 0\n", r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(joins_a_head_of_several_frames),
        TEST(skips_padding_and_priority),
        TEST(refuses_more_streams_than_it_allows),
        TEST(refuses_what_its_owner_does_not_accept),
        TEST(ids_of_streams_rise),
        TEST(a_second_head_is_trailers_or_wrong),
        TEST(trailers_have_a_limit),
        TEST(a_tunnel_has_no_trailers),
        TEST(continuations_have_a_limit),
        TEST(a_bomb_is_answered_with_431_and_not_kept),
        TEST(a_block_without_end_is_a_flood),
        TEST(what_cannot_be_decoded_ends_the_connection),
        TEST(a_stream_that_depends_on_itself_is_reset),
        TEST(the_priority_field_counts),
        TEST(streams_behind_the_last_goaway_are_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
