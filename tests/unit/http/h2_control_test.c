#include "h2_rig.h"

#include <stdlib.h>

static int setup(void **state) {
    rig *r = malloc(sizeof *r);
    rig_serve(r, NULL);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    free(*state);
    return 0;
}

static void open_stream(rig *r, uint32_t id) {
    mg_buf b = {0};
    put_headers(r, &b, MG_H2_FLAG_END_HEADERS, id, rig_post);
    rig_take(r, &b);
    mg_buf_clear(&r->log);
}

static void acknowledges_settings_and_pings(void **state) {
    rig *r = *state;
    mg_buf b = {0};
    put_setting(&b, MG_H2_MAX_CONCURRENT_STREAMS, 7);
    put_frame(&b, MG_H2_PING_FRAME, 0, 0, MG_STR("12345678"));
    rig_take(r, &b);
    assert_int_equal(7, r->h.peer.streams);
    assert_memory_equal("12345678", r->out.p + MG_H2_FRAME_HEADER * 2, 8);
    assert_frames("SETTINGS 0/1\nPING 0/1\n", r);
    put_frame(&b, MG_H2_PING_FRAME, MG_H2_FLAG_ACK, 0, MG_STR("12345678"));
    rig_take(r, &b);
    assert_told("pong\n", r);
}

static void the_last_of_a_setting_counts(void **state) {
    rig *r = *state;
    mg_buf b = {0};
    put_frame(&b, MG_H2_SETTINGS_FRAME, 0, 0, MG_STR("\0\3\0\0\0\1\0\3\0\0\0\2"));
    rig_take(r, &b);
    assert_int_equal(2, r->h.peer.streams);
    assert_frames("SETTINGS 0/1\n", r);
}

static void extended_connect_cannot_be_taken_back(void **state) {
    rig *r = *state;
    mg_buf b = {0};
    put_setting(&b, MG_H2_ENABLE_CONNECT_PROTOCOL, 1);
    put_setting(&b, MG_H2_ENABLE_CONNECT_PROTOCOL, 0);
    rig_take(r, &b);
    assert_frames("SETTINGS 0/1\nGOAWAY 0/0 0 1\n", r);
}

static void windows_follow_the_settings_and_may_be_negative(void **state) {
    rig *r = *state;
    open_stream(r, 1);
    mg_fields none = {0};
    mg_h2_send_answer(&r->h, r->stream, &r->out, &(mg_answer_head){.status = 200, .fields = &none},
                      false);
    char content[1000] = {0};
    mg_h2_send_data(&r->h, r->stream, &r->out, (mg_str){content, 1000}, false);
    mg_buf b = {0};
    put_setting(&b, MG_H2_INITIAL_WINDOW_SIZE, 400);
    rig_take(r, &b);
    assert_int_equal(-600, r->stream->send_window);
    assert_int_equal(0, (int)mg_h2_room(&r->h, r->stream));
    put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 1, 601);
    rig_take(r, &b);
    assert_int_equal(1, (int)mg_h2_room(&r->h, r->stream));
}

static void a_setting_may_not_make_a_window_too_large(void **state) {
    rig *r = *state;
    open_stream(r, 1);
    mg_buf b = {0};
    put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 1, 1);
    put_setting(&b, MG_H2_INITIAL_WINDOW_SIZE, MG_H2_WINDOW_MAX);
    rig_take(r, &b);
    assert_frames("GOAWAY 0/0 1 3\n", r);
}

static void a_window_that_is_wrong_ends_its_stream(void **state) {
    rig *r = *state;
    open_stream(r, 1);
    open_stream(r, 3);
    mg_buf b = {0};
    put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 1, 0);
    put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 3, MG_H2_WINDOW_MAX);
    put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 3, 1); // closed by now
    rig_take(r, &b);
    assert_told("reset 1 by us: WINDOW_UPDATE by nothing\n"
                "reset 3 by us: the stream's window is too large\n",
                r);
    assert_frames("RST_STREAM 1/0 1\nRST_STREAM 3/0 3\n", r);
}

static void a_stream_cannot_depend_on_itself(void **state) {
    rig *r = *state;
    open_stream(r, 1);
    mg_buf b = {0};
    put_frame(&b, MG_H2_PRIORITY_FRAME, 0, 1, MG_STR("\0\0\0\1\0"));
    put_frame(&b, MG_H2_PRIORITY_FRAME, 0, 9, MG_STR("\0\0\0\1\0")); // of an idle one: ignored
    rig_take(r, &b);
    assert_frames("RST_STREAM 1/0 1\n", r);
}

static void a_reset_ends_a_stream(void **state) {
    rig *r = *state;
    open_stream(r, 1);
    mg_buf b = {0};
    put_u32_frame(&b, MG_H2_RST_STREAM_FRAME, 1, MG_H2_CANCEL);
    put_u32_frame(&b, MG_H2_RST_STREAM_FRAME, 1, MG_H2_CANCEL);
    rig_take(r, &b);
    assert_told("reset 8 by peer: the peer reset the stream\n", r);
    assert_frames("", r);
}

static void a_priority_update_changes_the_turns(void **state) {
    rig *r = *state;
    open_stream(r, 1);
    mg_buf b = {0};
    put_frame(&b, MG_H2_PRIORITY_UPDATE_FRAME, 0, 0, MG_STR("\0\0\0\1u=6"));
    put_frame(&b, MG_H2_PRIORITY_UPDATE_FRAME, 0, 0, MG_STR("\0\0\0\3u=6")); // not open
    rig_take(r, &b);
    assert_int_equal(6, r->stream->urgency);
    assert_false(r->stream->incremental);
}

// --- leaving ---

static void a_client_learns_which_streams_were_not_looked_at(void **state) {
    (void)state;
    rig *r = malloc(sizeof *r);
    rig_open(r, true, NULL);
    mg_buf b = {0};
    mg_h2_append_frame(&b, 0, MG_H2_SETTINGS_FRAME, 0, 0);
    rig_take(r, &b);
    mg_request_head head = {.method = MG_STR("GET"), .target = MG_STR("/"), .host = MG_STR("a")};
    for (int i = 0; i < 3; i++) {
        rig_stream *s = rig_stream_new(r);
        assert_int_equal(MG_OK, mg_h2_request(&r->h, &s->s, &s->arena, &r->out, &head, true));
    }
    put_frame(&b, MG_H2_GOAWAY_FRAME, 0, 0, MG_STR("\0\0\0\1\0\0\0\0"));
    rig_take(r, &b);
    assert_told("goaway 0\n"
                "reset 7 by peer: the server leaves, and did not look at it\n"
                "reset 7 by peer: the server leaves, and did not look at it\n",
                r);
    assert_int_equal(1, mg_h2_count(&r->h));
    rig_stream *s = rig_stream_new(r);
    assert_int_equal(MG_ECLOSED, mg_h2_request(&r->h, &s->s, &s->arena, &r->out, &head, true));
    rig_close(r);
    free(r);
}

static void a_client_takes_no_priority_update(void **state) {
    (void)state;
    rig *r = malloc(sizeof *r);
    rig_open(r, true, NULL);
    mg_buf_clear(&r->out);
    mg_buf b = {0};
    mg_h2_append_frame(&b, 0, MG_H2_SETTINGS_FRAME, 0, 0);
    put_frame(&b, MG_H2_PRIORITY_UPDATE_FRAME, 0, 0, MG_STR("\0\0\0\1u=6"));
    rig_take(r, &b);
    assert_frames("SETTINGS 0/1\nGOAWAY 0/0 0 1\n", r);
    mg_h2_deinit(&r->h);
    mg_h2_init(&r->h, true, &r->limits, &r->out);
    mg_buf_clear(&r->out);
    put_setting(&b, MG_H2_ENABLE_PUSH, 1); // not a server's to say
    rig_take(r, &b);
    assert_frames("GOAWAY 0/0 0 1\n", r);
    rig_close(r);
    free(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(acknowledges_settings_and_pings),
        TEST(the_last_of_a_setting_counts),
        TEST(extended_connect_cannot_be_taken_back),
        TEST(windows_follow_the_settings_and_may_be_negative),
        TEST(a_setting_may_not_make_a_window_too_large),
        TEST(a_window_that_is_wrong_ends_its_stream),
        TEST(a_stream_cannot_depend_on_itself),
        TEST(a_reset_ends_a_stream),
        TEST(a_priority_update_changes_the_turns),
        cmocka_unit_test(a_client_learns_which_streams_were_not_looked_at),
        cmocka_unit_test(a_client_takes_no_priority_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
