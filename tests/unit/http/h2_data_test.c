#include "h2_rig.h"

#include <stdlib.h>

static int setup(void **state) {
    rig *r = malloc(sizeof *r);
    mg_h2_limits limits = mg_h2_default_limits;
    limits.window = 1000;
    limits.connection_window = MG_H2_WINDOW;
    rig_serve(r, &limits);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    free(*state);
    return 0;
}

static void open_stream(rig *r, uint32_t id, const char *lines) {
    mg_buf b = {0};
    put_headers(r, &b, MG_H2_FLAG_END_HEADERS, id, lines);
    rig_take(r, &b);
    mg_buf_clear(&r->log);
}

static void send(rig *r, uint32_t id, uint8_t flags, size_t n) {
    static const char content[MG_H2_FRAME_MAX] = {0};
    mg_buf b = {0};
    put_frame(&b, MG_H2_DATA_FRAME, flags, id, (mg_str){content, n});
    rig_take(r, &b);
    mg_buf_clear(&r->log);
}

static void opens_the_window_as_content_is_taken(void **state) {
    rig *r = *state;
    r->holds = true;
    open_stream(r, 1, rig_post);
    send(r, 1, 0, 600);
    assert_frames("", r);
    mg_h2_taken(&r->h, r->stream, &r->out, 400);
    assert_frames("", r); // less than a half
    mg_h2_taken(&r->h, r->stream, &r->out, 200);
    assert_frames("WINDOW_UPDATE 1/0 600\n", r);
    assert_int_equal(1000, r->stream->receive_left);
}

static void more_than_the_window_ends_the_stream(void **state) {
    rig *r = *state;
    r->holds = true;
    open_stream(r, 1, rig_post);
    send(r, 1, 0, 1000);
    send(r, 1, 0, 1);
    assert_frames("RST_STREAM 1/0 3\n", r);
}

static void more_than_the_connections_window_ends_the_connection(void **state) {
    rig *r = *state;
    r->holds = true;
    for (uint32_t id = 1; id < 132; id += 2) { // 65 times 1000, and 536 are too many
        open_stream(r, id, rig_post);
        send(r, id, 0, 1000);
    }
    assert_frames("GOAWAY 0/0 131 3\n", r);
}

static void content_that_nobody_took_is_the_connections_again(void **state) {
    rig *r = *state;
    r->holds = true;
    for (uint32_t id = 1; id < 81; id += 2) {
        open_stream(r, id, rig_post);
        send(r, id, 0, 1000);
        mg_h2_send_reset(&r->h, r->stream, &r->out, MG_H2_CANCEL);
        mg_buf_clear(&r->out);
        mg_h2_drained(&r->h);
    }
    // One update at 33,000, nothing lost: what has come is given back, or will be.
    assert_int_equal(MG_H2_WINDOW, r->h.receive_left + (int32_t)r->h.taken);
    assert_int_equal(MG_H2_WINDOW - 7000, r->h.receive_left);
}

static void content_of_a_closed_stream_is_given_back(void **state) {
    rig *r = *state;
    open_stream(r, 1, rig_post);
    mg_h2_send_reset(&r->h, r->stream, &r->out, MG_H2_NO_ERROR);
    assert_frames("RST_STREAM 1/0 0\n", r);
    for (int i = 0; i < 33; i++) {
        send(r, 1, 0, 1000); // it was on its way
    }
    assert_frames("WINDOW_UPDATE 0/0 33000\n", r);
}

// Of many uploads that were answered early, much may be on its way.
static void content_of_what_was_given_up_long_ago_is_no_fault(void **state) {
    rig *r = *state;
    for (uint32_t id = 1; id < 201; id += 2) {
        open_stream(r, id, rig_post);
        mg_h2_send_reset(&r->h, r->stream, &r->out, MG_H2_NO_ERROR);
        mg_buf_clear(&r->out);
        mg_h2_drained(&r->h);
    }
    for (int i = 0; i < 1000; i++) {
        send(r, 1, 0, 10);
    }
    assert_frames("", r);
    assert_false(r->h.over);
}

static void nothings_for_what_was_given_up_are_counted(void **state) {
    rig *r = *state;
    r->limits.budgets[MG_H2_BUDGET_EMPTY] = 20;
    open_stream(r, 1, rig_post);
    mg_h2_send_reset(&r->h, r->stream, &r->out, MG_H2_NO_ERROR);
    mg_buf_clear(&r->out);
    for (int i = 0; i < 10; i++) {
        send(r, 1, 0, 0);
        open_stream(r, 1, "a: 1"); // trailers of it
    }
    assert_frames("", r);
    send(r, 1, 0, 0);
    assert_frames("GOAWAY 0/0 1 11\n", r);
}

// Nothing else may come that could tell of it: the peer waits for the connection's window.
static void content_that_nobody_took_is_given_back_with_the_answer(void **state) {
    rig *r = *state;
    r->holds = true;
    mg_fields none = {0};
    mg_answer_head head = {.status = 200, .fields = &none};
    for (uint32_t id = 1; id < 67; id += 2) {
        open_stream(r, id, rig_post);
        send(r, id, MG_H2_FLAG_END_STREAM, 1000);
        mg_buf_clear(&r->out);
        mg_h2_send_answer(&r->h, r->stream, &r->out, &head, false);
        mg_h2_send_data(&r->h, r->stream, &r->out, MG_STR("x"), true);
    }
    assert_frames("HEADERS 65/4\nWINDOW_UPDATE 0/0 33000\nDATA 65/1 (1)\n", r);
}

// An exchange that ends with content that its handler never read.
static void what_is_left_of_a_frame_is_given_back(void **state) {
    rig *r = *state;
    r->holds = true;
    open_stream(r, 1, rig_post);
    mg_buf b = {0};
    char content[1000] = {0};
    put_frame(&b, MG_H2_DATA_FRAME, 0, 1, (mg_str){content, 1000});
    rig_read(r, (mg_str){b.p, 500});
    mg_h2_send_reset(&r->h, r->stream, &r->out, MG_H2_CANCEL);
    rig_read(r, (mg_str){b.p + 500, b.n - 500});
    assert_int_equal(1000, r->h.taken);
    mg_buf_deinit(&b);
}

static void padding_is_given_back(void **state) {
    rig *r = *state;
    r->holds = true;
    open_stream(r, 1, rig_post);
    mg_buf b = {0};
    char payload[257] = {(char)255};
    for (int i = 0; i < 2; i++) {
        put_frame(&b, MG_H2_DATA_FRAME, MG_H2_FLAG_PADDED, 1, (mg_str){payload, sizeof payload});
    }
    rig_take(r, &b);
    assert_int_equal(2, r->stream->stored);
    assert_frames("WINDOW_UPDATE 1/0 512\n", r);
}

static void content_length_is_held_to(void **state) {
    rig *r = *state;
    const char *lines = ":method: POST\n:scheme: http\n:path: /\n:authority: a\ncontent-length: 5";
    open_stream(r, 1, lines);
    send(r, 1, 0, 6); // too much
    open_stream(r, 3, lines);
    send(r, 3, MG_H2_FLAG_END_STREAM, 4); // too little
    open_stream(r, 5, lines);
    send(r, 5, 0, 4);
    mg_buf b = {0};
    put_headers(r, &b, RIG_ENDS, 5, "sum: x"); // too little, and trailers
    rig_take(r, &b);
    assert_frames("RST_STREAM 1/0 1\nRST_STREAM 3/0 1\nRST_STREAM 5/0 1\n", r);
    open_stream(r, 7, lines);
    send(r, 7, 0, 2);
    send(r, 7, MG_H2_FLAG_END_STREAM, 3);
    assert_frames("", r);
}

static void what_comes_behind_the_end_is_an_error(void **state) {
    rig *r = *state;
    mg_buf b = {0};
    put_headers(r, &b, RIG_ENDS, 1, rig_get);
    rig_take(r, &b);
    send(r, 1, 0, 1); // half-closed
    assert_frames("RST_STREAM 1/0 5\n", r);
    open_stream(r, 3, rig_post);
    put_u32_frame(&b, MG_H2_RST_STREAM_FRAME, 3, 8);
    rig_take(r, &b);
    send(r, 3, 0, 1); // the peer reset it
    assert_frames("RST_STREAM 3/0 5\n", r);
    put_headers(r, &b, RIG_ENDS, 5, rig_get);
    rig_take(r, &b);
    mg_fields none = {0};
    mg_h2_send_answer(&r->h, r->stream, &r->out, &(mg_answer_head){.status = 204, .fields = &none},
                      true);
    mg_buf_clear(&r->out);
    send(r, 5, 0, 1); // closed by both
    assert_frames("GOAWAY 0/0 5 5\n", r);
}

static void the_first_window_counts_until_settings_are_acknowledged(void **state) {
    (void)state;
    rig *r = malloc(sizeof *r);
    mg_h2_limits limits = mg_h2_default_limits;
    limits.window = 1000;
    rig_open(r, false, &limits);
    r->holds = true;
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR(MG_H2_PREFACE));
    mg_h2_append_frame(&b, 0, MG_H2_SETTINGS_FRAME, 0, 0);
    put_headers(r, &b, MG_H2_FLAG_END_HEADERS, 1, rig_post);
    rig_take(r, &b);
    mg_buf_clear(&r->out);
    send(r, 1, 0, 16000);
    mg_h2_append_frame(&b, 0, MG_H2_SETTINGS_FRAME, MG_H2_FLAG_ACK, 0);
    rig_take(r, &b);
    assert_int_equal(-15000, r->stream->receive_left);
    mg_h2_taken(&r->h, r->stream, &r->out, 16000);
    assert_frames("WINDOW_UPDATE 1/0 16000\n", r);
    assert_int_equal(1000, r->stream->receive_left);
    rig_close(r);
    free(r);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(opens_the_window_as_content_is_taken),
        TEST(more_than_the_window_ends_the_stream),
        TEST(more_than_the_connections_window_ends_the_connection),
        TEST(content_that_nobody_took_is_the_connections_again),
        TEST(content_of_a_closed_stream_is_given_back),
        TEST(content_of_what_was_given_up_long_ago_is_no_fault),
        TEST(nothings_for_what_was_given_up_are_counted),
        TEST(content_that_nobody_took_is_given_back_with_the_answer),
        TEST(what_is_left_of_a_frame_is_given_back),
        TEST(padding_is_given_back),
        TEST(content_length_is_held_to),
        TEST(what_comes_behind_the_end_is_an_error),
        cmocka_unit_test(the_first_window_counts_until_settings_are_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
