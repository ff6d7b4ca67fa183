// Responses of HTTP/1.1.
#include "rig.h"

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void answered(const char *answer, int status, const char *content) {
    caller c;
    int i = accepted;
    get(&c, "/x");
    expect_request(i, "/x");
    says(i, answer);
    expect_content(&c, status, content);
    new_client(2, 10, 2); // so that the next one gets a connection of its own
}

static void breaks(const char *answer, bool hang_up, const char *code) {
    caller c;
    int i = accepted;
    get(&c, "/x");
    expect_request(i, "/x");
    says(i, answer);
    if (hang_up) {
        hangs_up(i);
    }
    expect_fault(&c, code, false);
    UNTIL(hang_up || peers[i].ended);
}

static void a_body_ends_by_length_chunk_or_status(void **state) {
    (void)state;
    answered(OK_HI, 200, "hi");
    answered(CHUNKED "1\r\nh\r\n1\r\ni\r\n0\r\nT: u\r\n\r\n", 200, "hi");
    answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "");
}

static void an_answer_to_head_has_no_body(void **state) {
    (void)state;
    caller c;
    for (int i = 0; i < 2; i++) {
        prepare(&c, "HEAD", "/x");
        start_call(&c);
        expect_request(0, "/x");
        says(0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        expect_content(&c, 200, "");
    }
    assert_int_equal(accepted, 1);
}

static void a_body_without_a_length_ends_with_the_connection(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\n\r\nhi");
    turns(5);
    assert_false(is_over(&c));
    hangs_up(0);
    expect_content(&c, 200, "hi");
    assert_int_equal(stats().connections, 0);
}

static void a_reset_is_no_end_of_a_body(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.stream = true;
    start_call(&c);
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\n\r\nhi");
    UNTIL(c.changes > 0 && mg_call_content(c.call).n == 2);
    mg_stream_close(&peers[0].s, true);
    expect_fault(&c, "closed", false);
}

static void what_is_cut_off_is_no_response(void **state) {
    (void)state;
    breaks("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true, "closed");
    breaks(CHUNKED "2\r\nhi\r\n", true, "closed");
    breaks("HTTP/1.1 200 OK\r\nContent-", true, "closed");
}

static void what_is_malformed_closes_the_connection(void **state) {
    (void)state;
    breaks("SSH-2.0-x\r\n", false, "protocol");
    breaks("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, "protocol");
    breaks(CHUNKED "x\r\n", false, "protocol");
    breaks("HTTP/1.1 101 Switching Protocols\r\n\r\n", false, "protocol");
}

static void interim_responses_are_passed_over(void **state) {
    (void)state;
    answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: a\r\n\r\n" OK_HI, 200, "hi");
}

static void endless_interim_responses_are_refused(void **state) {
    (void)state;
    char text[17 * 32] = "";
    for (int i = 0; i < 17; i++) {
        strcat(text, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    breaks(text, false, "protocol");
}

static void the_limit_of_a_body_is_exact(void **state) {
    (void)state;
    static const char *const answers[] = {OK_HI, CHUNKED "1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"};
    caller c;
    for (int i = 0; i < 4; i++) {
        prepare(&c, "GET", "/x");
        c.options.max_bytes = i < 2 ? 2 : 1;
        start_call(&c);
        int at = i < 3 ? 0 : 1; // a fault closes the connection
        expect_request(at, "/x");
        says(at, answers[i % 2]);
        if (i < 2) {
            expect_content(&c, 200, "hi");
        } else {
            expect_fault(&c, "limit", false);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_body_ends_by_length_chunk_or_status),
        EACH(an_answer_to_head_has_no_body),
        EACH(a_body_without_a_length_ends_with_the_connection),
        EACH(a_reset_is_no_end_of_a_body),
        EACH(what_is_cut_off_is_no_response),
        EACH(what_is_malformed_closes_the_connection),
        EACH(interim_responses_are_passed_over),
        EACH(endless_interim_responses_are_refused),
        EACH(the_limit_of_a_body_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
