#include "relay_rig.h"

#define VIA  "Via: 1.1 moongate\r\n"
#define FROM "X-Forwarded-For: unknown\r\nX-Forwarded-Proto: http\r\n"

static void head_and_content_pass_both_ways(void **state) {
    (void)state;
    asks("GET /a/%7ex?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nConnection: X-B\r\nX-B: 2\r\n\r\n", 0,
         "\r\n\r\n");
    assert_text("GET /a/%7ex?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n" FROM "X-Forwarded-Host: h\r\n" VIA
                "\r\n",
                mg_buf_str(&peers[0].got));
    mg_buf_clear(&peers[0].got);
    says(0, "HTTP/1.1 299 Fine\r\nContent-Length: 5\r\nX-C: 3\r\nKeep-Alive: x\r\n\r\nhe");
    UNTIL(client_has("\r\n\r\nhe"));
    says(0, "llo");
    UNTIL(client_has("hello"));
    assert_got(&p, "HTTP/1.1 299 \r\nContent-Length: 5\r\nX-C: 3\r\n" VIA "\r\nhello");
    asks("GET /a/2 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "GET /a/2 HTTP/1.1\r\n"); // the same connection
    says(0, OK_EMPTY);
    UNTIL(client_has("\r\n\r\n"));
    assert_int_equal(accepted, 1);
}

static void a_path_is_made_of_parameters(void **state) {
    (void)state;
    asks("GET /b/7%2F/x/y?q HTTP/1.1\r\nHost: h\r\n\r\n", 0,
         "GET /v2/x/y/of/7%2F?q HTTP/1.1\r\nHost: 127.0.0.1:");
    says(0, OK_EMPTY);
    UNTIL(client_has("200 OK"));
}

static void a_fault_is_told_without_its_reason(void **state) {
    (void)state;
    asks("GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "\r\n\r\n");
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    UNTIL(client_has("}\n"));
    assert_true(client_has("HTTP/1.1 502 Bad Gateway\r\n"));
    assert_true(client_has("\"detail\":\"the upstream server's answer is not valid\""));
    assert_false(client_has("Connection: close"));
    assert_non_null(strstr(warnings.p, "upstream shop: http://127.0.0.1:"));
    assert_non_null(strstr(warnings.p, "(GET /a/1)"));
    UNTIL(peers[0].ended); // it is not used again
}

static void a_silent_server_is_a_504(void **state) {
    (void)state;
    asks("GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "\r\n\r\n");
    pass_ms(29999);
    assert_int_equal(p.got.n, 0);
    pass_ms(1);
    UNTIL(client_has("HTTP/1.1 504 "));
    assert_non_null(strstr(warnings.p, "no response within 30 s"));
    UNTIL(peers[0].ended);
}

static void an_answer_that_is_cut_off_has_no_end(void **state) {
    (void)state;
    asks("GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "\r\n\r\n");
    says(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    UNTIL(client_has("2\r\nhi\r\n"));
    hangs_up(0);
    UNTIL(p.ends > 0);
    assert_false(client_has("0\r\n\r\n"));
}

static void a_client_that_leaves_cancels_the_call(void **state) {
    (void)state;
    asks("GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "\r\n\r\n");
    mg_stream_close(&p.s, true);
    UNTIL(peers[0].ended);
}

static void trailers_and_interim_answers_pass(void **state) {
    (void)state;
    asks("GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "\r\n\r\n");
    says(0, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n");
    UNTIL(client_has("</a>\r\n\r\n"));
    assert_got(&p, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    says(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            "2\r\nhi\r\n0\r\nX-Sum: 7\r\nHost: b\r\n\r\n");
    UNTIL(client_has("X-Sum: 7\r\n"));
    assert_got(&p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n" VIA
                   "\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n");
}

// What is not read by the client is not read from the server.
static void a_slow_client_holds_the_server_back(void **state) {
    (void)state;
    static char piece[65537];
    memset(piece, 'x', sizeof piece - 1);
    asks("GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n", 0, "\r\n\r\n");
    mg_stream_read_stop(&p.s);
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
    size_t before;
    do {
        before = peers[0].s.queued;
        says(0, piece);
        turns(20);
        assert_true(before < 60 << 20);
    } while (peers[0].s.queued == 0 || peers[0].s.queued != before + 65536);
    mg_stream_read_start(&p.s);
    UNTIL(peers[0].s.queued == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(head_and_content_pass_both_ways),      EACH(a_path_is_made_of_parameters),
        EACH(a_fault_is_told_without_its_reason),   EACH(a_silent_server_is_a_504),
        EACH(an_answer_that_is_cut_off_has_no_end), EACH(a_client_that_leaves_cancels_the_call),
        EACH(trailers_and_interim_answers_pass),    EACH(a_slow_client_holds_the_server_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
