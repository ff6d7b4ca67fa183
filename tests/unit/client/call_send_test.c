// Uploads.
#include "rig.h"

#include "field_list.h"

static void upload(caller *c, int64_t length) {
    prepare(c, "POST", "/up");
    c->options.upload = true;
    c->options.length = length;
    start_call(c);
}

static void an_upload_is_chunked_or_has_its_length(void **state) {
    (void)state;
    caller c;
    upload(&c, -1);
    assert_int_equal(mg_call_send(c.call, "hi", 2), MG_OK); // waits with the call
    UNTIL(has_got(0, "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"));
    assert_int_equal(mg_call_send(c.call, "x", 1), MG_OK);
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_OK);
    UNTIL(has_got(0, "\r\n1\r\nx\r\n0\r\n\r\n"));
    assert_int_equal(mg_call_send(c.call, "x", 1), MG_ECLOSED);
    mg_buf_clear(&peers[0].got);
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");

    upload(&c, 3);
    assert_int_equal(mg_call_send(c.call, "ab", 2), MG_OK);
    assert_int_equal(mg_call_send(c.call, "cd", 2), MG_ELIMIT);
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_ELIMIT);
    assert_int_equal(mg_call_send(c.call, "c", 1), MG_OK);
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_OK);
    UNTIL(has_got(0, "Content-Length: 3\r\n\r\nabc"));
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    assert_int_equal(accepted, 1);
}

static void an_early_response_ends_an_upload_and_its_connection(void **state) {
    (void)state;
    caller c;
    upload(&c, -1);
    assert_int_equal(mg_call_send(c.call, "hi", 2), MG_OK);
    UNTIL(has_got(0, "hi\r\n"));
    says(0, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    UNTIL(is_over(&c));
    assert_int_equal(mg_call_send(c.call, "x", 1), MG_ECLOSED);
    expect_content(&c, 413, "no");
    UNTIL(peers[0].ended);
    assert_int_equal(stats().connections, 0);
}

static void an_upload_waits_for_a_server_that_does_not_read(void **state) {
    (void)state;
    static const char piece[65536];
    caller c;
    upload(&c, -1);
    UNTIL(has_got(0, "\r\n\r\n"));
    mg_stream_read_stop(&peers[0].s);
    size_t sent = 0;
    int rc = MG_OK;
    while (rc == MG_OK) {
        rc = mg_call_send(c.call, piece, sizeof piece);
        sent += sizeof piece;
        assert_true(sent < 64 * 1024 * 1024);
        turns(1);
    }
    assert_int_equal(rc, MG_EAGAIN);
    assert_false(mg_call_has_room(c.call));
    turns(5);
    assert_int_equal(c.changes, 0);
    mg_stream_read_start(&peers[0].s);
    UNTIL(c.changes > 0);
    assert_true(mg_call_has_room(c.call));
    assert_int_equal(mg_call_send(c.call, NULL, 0), MG_OK);
    UNTIL(has_got(0, "\r\n0\r\n\r\n"));
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    assert_true(peers[0].got.n > sent);
}

static void the_answer_is_timed_though_the_last_piece_had_to_wait(void **state) {
    (void)state;
    static const char piece[65536];
    caller c;
    prepare(&c, "POST", "/up");
    c.options.upload = true;
    c.options.length = -1;
    c.options.timeouts.total_ms = 60000;
    start_call(&c);
    UNTIL(has_got(0, "\r\n\r\n"));
    mg_stream_read_stop(&peers[0].s);
    int rc = MG_OK;
    for (int i = 0; i < 1000 && rc == MG_OK; i++) {
        rc = mg_call_send(c.call, piece, sizeof piece);
    }
    assert_int_equal(rc, MG_EAGAIN);
    (void)mg_call_send(c.call, NULL, 0); // the end: the answer's time begins
    mg_stream_read_start(&peers[0].s);
    UNTIL(mg_call_has_room(c.call));
    pass_ms(5000); // in which it moved
    pass_ms(5000);
    expect_fault(&c, "timeout", false);
}

// Fields behind the content of an upload without a length.
static void an_upload_ends_with_trailers(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_fields trailers = FIELD_LIST(&arena, "X-Sum", "42");
    caller c;
    upload(&c, -1);
    assert_int_equal(mg_call_send(c.call, "hi", 2), MG_OK);
    assert_int_equal(mg_call_finish(c.call, &trailers), MG_OK); // it all waits with the call
    UNTIL(has_got(0, "2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n"));
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    mg_arena_deinit(&arena);
}

static void a_duplex_upload_goes_on_behind_the_head(void **state) {
    (void)state;
    caller c;
    prepare(&c, "POST", "/up");
    c.options.upload = c.options.duplex = c.options.stream = true;
    c.options.length = 4;
    start_call(&c);
    assert_int_equal(mg_call_send(c.call, "ab", 2), MG_OK);
    UNTIL(has_got(0, "\r\n\r\nab"));
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nAB");
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    assert_int_equal(mg_call_send(c.call, "cd", 2), MG_OK);
    assert_int_equal(mg_call_finish(c.call, NULL), MG_OK);
    UNTIL(has_got(0, "\r\n\r\nabcd"));
    says(0, "CD");
    expect_content(&c, 200, "ABCD");
    assert_int_equal(stats().idle, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(an_upload_is_chunked_or_has_its_length),
        EACH(an_early_response_ends_an_upload_and_its_connection),
        EACH(an_upload_ends_with_trailers),
        EACH(a_duplex_upload_goes_on_behind_the_head),
        EACH(an_upload_waits_for_a_server_that_does_not_read),
        EACH(the_answer_is_timed_though_the_last_piece_had_to_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
