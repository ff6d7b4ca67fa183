#include "relay_rig.h"

#include "proxy/members.h"

#define VIA  "Via: 1.1 moongate\r\n"
#define FROM "X-Forwarded-For: unknown\r\nX-Forwarded-Proto: http\r\n"

static void head_and_content_pass_both_ways(void **state) {
    (void)state;
    asks("GET /a/%7ex?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nConnection: X-B\r\nX-B: 2\r\n\r\n", 0,
         "\r\n\r\n");
    assert_text("GET /a/%7ex?q HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n" FROM
                "X-Forwarded-Host: h\r\nForwarded: for=unknown;host=\"h\";proto=http\r\n" VIA
                "\r\n",
                mg_buf_str(&peers[0].got));
    mg_buf_clear(&peers[0].got);
    says(0, "HTTP/1.1 299 Fine\r\nContent-Length: 5\r\nX-C: 3\r\nKeep-Alive: x\r\n\r\nhe");
    UNTIL(client_has("\r\n\r\nhe"));
    says(0, "llo");
    UNTIL(client_has("hello"));
    assert_got(&p, "HTTP/1.1 299 Fine\r\nContent-Length: 5\r\nX-C: 3\r\n" VIA "\r\nhello");
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

static size_t times_warned(const char *text) {
    size_t n = 0;
    for (const char *at = warnings.p; at != NULL && (at = strstr(at, text)) != NULL; at++) {
        n++;
    }
    return n;
}

static void are_refused(int requests) {
    static const char ask[] = "GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n";
    for (int i = 0; i < requests; i++) {
        mg_buf_clear(&p.got);
        peer_write(&p, ask, sizeof ask - 1);
        UNTIL(client_has("}\n"));
        assert_true(client_has("HTTP/1.1 503 "));
    }
}

// They may be all that come, as many as a closed circuit would have served.
static void requests_that_are_refused_get_few_lines_of_the_log(void **state) {
    (void)state;
    static const mg_upstream_servers none;
    mg_upstreams_set_servers(upstreams, MG_STR("shop"), &none);
    are_refused(12);
    assert_int_equal(times_warned("no server is configured (GET /a/1)\n"), 10);
    pass_ms(10000);
    are_refused(1);
    assert_int_equal(times_warned("(GET /a/1); 2 like it were not logged\n"), 1);
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

static double latency_ms(void) {
    mg_upstream_member m;
    mg_upstream_member_of(mg_upstreams_find(upstreams, MG_STR("shop")), 0, &m);
    return m.latency_ms;
}

// Neither the way to it nor what it had to wait for.
static void a_servers_latency_is_its_own(void **state) {
    (void)state;
    const char *put = "PUT /a/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe";
    asks(put, 0, "\r\n\r\nhe");
    pass_ms(700);
    asks("llo", 0, "hello");
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    UNTIL(client_has("200 OK"));
    assert_true(latency_ms() == 0);
    const char *get = "GET /a/1 HTTP/1.1\r\nHost: h\r\n\r\n";
    peer_write(&p, get, strlen(get));
    mg_loop_turn(loop, false, false, 0); // it begins to connect
    pass_ms(500);
    UNTIL(has_got(1, "\r\n\r\n"));
    pass_ms(40);
    mg_buf_clear(&p.got);
    says(1, OK_HI);
    UNTIL(client_has("\r\n\r\nhi"));
    assert_in_range(latency_ms(), 40, 41);
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

// A body that comes with its head goes with it; one that comes later goes on as it comes.
static void a_body_goes_on_as_it_comes(void **state) {
    (void)state;
    asks("POST /a/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nhi\r\n0\r\n\r\n",
         0, "Content-Length: 2\r\n\r\nhi");
    mg_buf_clear(&peers[0].got);
    says(0, OK_EMPTY);
    UNTIL(client_has("200 OK"));
    asks("PUT /a/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 0,
         "Content-Length: 5\r\n\r\n"); // the head does not wait
    asks("he", 0, "\r\n\r\nhe");
    asks("llo", 0, "\r\n\r\nhello");
    says(0, OK_HI);
    UNTIL(client_has("\r\n\r\nhi"));
    asks("POST /a/3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", 0,
         "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    asks("0\r\nX-Sum: 7\r\nHost: b\r\n\r\n", 0, "0\r\nX-Sum: 7\r\n\r\n");
}

static void the_server_says_whether_the_client_is_to_go_on(void **state) {
    (void)state;
    asks("PUT /a/1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", 0,
         "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    turns(5);
    assert_int_equal(p.got.n, 0);
    says(0, "HTTP/1.1 100 Continue\r\n\r\n");
    UNTIL(client_has("HTTP/1.1 100 Continue\r\n\r\n"));
    asks("hi", 0, "\r\n\r\nhi");
    says(0, OK_EMPTY);
    UNTIL(client_has("200 OK"));
}

static void an_early_answer_is_relayed_as_it_is(void **state) {
    (void)state;
    asks("POST /a/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\nabc", 0, "\r\n\r\nabc");
    says(0, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
    hangs_up(0);
    UNTIL(client_has("\r\n\r\nno"));
    assert_true(client_has("HTTP/1.1 413 "));
    assert_true(client_has("Connection: close\r\n"));
}

// The first byte of it goes when the last one has come.
static void a_body_is_taken_whole_on_wish(void **state) {
    (void)state;
    const char *head = "POST /c/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab";
    peer_write(&p, head, strlen(head));
    turns(10);
    assert_int_equal(accepted, 0);
    asks("cd", 0, "Content-Length: 4\r\n\r\nabcd");
    says(0, OK_EMPTY);
    UNTIL(client_has("200 OK"));
}

// A megabyte is kept in memory, more in a file.
static void a_large_body_is_taken_whole_into_a_file(void **state) {
    (void)state;
    enum { SIZE = 3 << 20 };
    static char piece[65536];
    memset(piece, 'x', sizeof piece);
    const char *head = "POST /c/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3145728\r\n\r\n";
    peer_write(&p, head, strlen(head));
    for (size_t n = 0; n < SIZE; n += sizeof piece) {
        assert_int_equal(accepted, 0);
        peer_write(&p, piece, sizeof piece);
        UNTIL(p.s.queued == 0);
    }
    UNTIL(has_got(0, "\r\n\r\n"));
    const char *body = memmem(peers[0].got.p, peers[0].got.n, "\r\n\r\n", 4);
    size_t before = (size_t)(body - peers[0].got.p) + 4;
    UNTIL(peers[0].got.n == before + SIZE);
    says(0, OK_EMPTY);
    UNTIL(client_has("200 OK"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(head_and_content_pass_both_ways),
        EACH(a_path_is_made_of_parameters),
        EACH(a_fault_is_told_without_its_reason),
        EACH(requests_that_are_refused_get_few_lines_of_the_log),
        EACH(a_silent_server_is_a_504),
        EACH(a_servers_latency_is_its_own),
        EACH(an_answer_that_is_cut_off_has_no_end),
        EACH(a_client_that_leaves_cancels_the_call),
        EACH(trailers_and_interim_answers_pass),
        EACH(a_body_goes_on_as_it_comes),
        EACH(the_server_says_whether_the_client_is_to_go_on),
        EACH(an_early_answer_is_relayed_as_it_is),
        EACH(a_body_is_taken_whole_on_wish),
        EACH(a_large_body_is_taken_whole_into_a_file),
        EACH(a_slow_client_holds_the_server_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
