#include "http/framing.h"

#include "reads.h"

#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

static void refuses(const char *input, int status) {
    char want[32];
    snprintf(want, sizeof want, "refused %d\n", status);
    reads(input, want);
}

static void a_length_is_one_number(void **state) {
    (void)state;
    reads(POST("Content-Length: 0\r\n"), "POST / 1.1 keep\nHost=a\nContent-Length=0\nend\n");
    refuses(POST("Content-Length: -1\r\n"), 400);
    refuses(POST("Content-Length: 1, 1\r\n"), 400);
    refuses(POST("Content-Length: 0x1\r\n"), 400);
    refuses(POST("Content-Length:\r\n"), 400);
    refuses(POST("Content-Length: 99999999999999999999\r\n"), 400);
    refuses(POST("Content-Length: 1\r\nContent-Length: 1\r\n"), 400);
    refuses(POST("Content-Length: 1\t1\r\n"), 400);
    refuses(POST("Content-Length:\t\r\n"), 400);
}

static void tabs_are_space_around_a_value(void **state) {
    (void)state;
    reads(POST("Content-Length:\t1\r\n") "x",
          "POST / 1.1 keep\nHost=a\nContent-Length=1\ncontent=x\nend\n");
    reads(POST("X:\ta:\tb\t\r\nContent-Length: \t 1 \t\r\n") "x",
          "POST / 1.1 keep\nHost=a\nX=a:\tb\nContent-Length=1\ncontent=x\nend\n");
    reads(POST("Transfer-Encoding:\tchunked\t\r\n") "0\r\n\r\n",
          "POST / 1.1 keep\nHost=a\nTransfer-Encoding=chunked\nend\n");
    refuses(POST("Content-Length\t: 1\r\n"), 400);
    refuses(POST("Content-Length\t:\t1\r\n"), 400);
}

static void a_coding_is_chunked_alone(void **state) {
    (void)state;
    refuses(POST("Transfer-Encoding: gzip\r\n"), 501);
    refuses(POST("Transfer-Encoding: gzip, chunked\r\n"), 501);
    refuses(POST("Transfer-Encoding: chunked, gzip\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunked, chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunked, gzip, chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: gzip, chunked, chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding:\r\n"), 400);
    refuses(POST("Transfer-Encoding: ,chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunked,\r\n"), 400);
    refuses(POST("Transfer-Encoding: \t,\t chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: gzip,, chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: gzip, ,chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"), 400);
    refuses(POST("Transfer-Encoding: ,\r\nTransfer-Encoding: chunked\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunkedx\r\n"), 501);
    refuses(POST("Transfer-Encoding: \"chunked\"\r\n"), 501);
    refuses(POST("Content-Length: 1\r\nTransfer-Encoding: gzip\r\n"), 400);
    refuses(POST("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n"), 400);
    refuses(POST("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), 400);
    refuses("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

static void a_host_is_there_once_and_well_formed(void **state) {
    (void)state;
    refuses("GET / HTTP/1.1\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400);
    refuses("GET http://a/ HTTP/1.1\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400);
    refuses("GET http://a/ HTTP/1.1\r\nHost: \t\r\n\r\n", 400);
    refuses("GET / HTTP/1.0\r\nHost:\r\n\r\n", 400);
    refuses("CONNECT a:80 HTTP/1.1\r\nHost:\r\n\r\n", 400);
    refuses("GET http://a/ HTTP/1.1\r\nHost: [12]\r\n\r\n", 400);
    reads("GET http://b:1/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 keep\nHost=b:1\nend\n");
}

static void the_target_tells_the_host_before_the_field(void **state) {
    (void)state;
    mg_field field = mg_field_of(MG_STR("hOST"), MG_STR("b:80"));
    mg_head h = {.minor = 1, .fields = {.at = &field, .count = 1, .ids = UINT64_MAX}};
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_text("b:80", h.host);
    h.target.authority = MG_STR("a");
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_text("a", h.host);
    h.minor = 0;
    h.fields.count = 0;
    h.target.authority = (mg_str){NULL, 0};
    h.host = (mg_str){NULL, 0};
    assert_int_equal(mg_framing_of(&h).status, 0); // HTTP/1.0 has no Host
    assert_int_equal(h.host.n, 0);
}

static void an_expectation_is_of_http_1_1_and_of_one_kind(void **state) {
    (void)state;
    mg_field fields[] = {mg_field_of(MG_STR("Host"), MG_STR("a")),
                         mg_field_of(MG_STR("Expect"), MG_STR("100-continue")),
                         mg_field_of(MG_STR("Expect"), MG_STR("x"))};
    mg_head h = {.minor = 1, .fields = {.at = fields, .count = 2}};
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_true(h.expect_continue);
    h.fields.count = 3;
    assert_int_equal(mg_framing_of(&h).status, 417);
    h = (mg_head){.fields = {.at = fields, .count = 3}};
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_false(h.expect_continue);
}

static void connection_is_a_list_of_tokens(void **state) {
    (void)state;
    reads("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\t\r\n\r\n",
          "GET / 1.1 close\nHost=a\nConnection=x, CLOSE\nend\n");
    reads("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
          "GET / 1.0 keep\nConnection=Keep-Alive\nend\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n",
          "GET / 1.1 keep\nHost=a\nConnection=closed\nend\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
          "GET / 1.1 close\nHost=a\nConnection=keep-alive\nConnection=close\nend\n");
    reads("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
          "GET / 1.0 close\nConnection=keep-alive, close\nend\n");
}

static void only_100_continue_is_expected(void **state) {
    (void)state;
    refuses(POST("Expect: 200-ok\r\n"), 417);
    reads(POST("Expect: 100-Continue\r\n"), "POST / 1.1 keep\nHost=a\nExpect=100-Continue\nend\n");
}

// --- responses (RFC 9112 section 6.3) ---

typedef struct says {
    const char *name, *value;
} says;

typedef struct answer {
    int status;
    int minor;
    bool to_head;
    says fields[3];
} answer;

static const char *judge(const answer *a, mg_response *out) {
    static mg_field fields[3];
    *out =
        (mg_response){.status = a->status, .head = {.minor = a->minor, .fields = {.at = fields}}};
    for (size_t i = 0; i < 3 && a->fields[i].name != NULL; i++) {
        fields[i] = mg_field_of(mg_str_of(a->fields[i].name), mg_str_of(a->fields[i].value));
        out->head.fields.count++;
    }
    mg_refusal refusal = mg_framing_of_response(out, a->to_head);
    assert_int_equal(refusal.status == 0, refusal.reason == NULL);
    return refusal.reason;
}

static void frames(answer a, mg_framing framing, uint64_t length, bool keep_alive) {
    mg_response r;
    assert_null(judge(&a, &r));
    assert_int_equal(r.head.framing, framing);
    assert_int_equal(r.head.length, length);
    assert_int_equal(r.head.keep_alive, keep_alive);
}

static void refuses_response(answer a, const char *reason) {
    mg_response r;
    const char *got = judge(&a, &r);
    assert_non_null(got);
    assert_string_equal(reason, got);
}

#define LENGTH(n)                                                                                  \
    { "Content-Length", n }
#define CODING(c)                                                                                  \
    { "Transfer-Encoding", c }
#define CONN(c)                                                                                    \
    { "Connection", c }

static void a_response_is_framed_by_its_fields(void **state) {
    (void)state;
    frames((answer){200, 1, false, {LENGTH("5")}}, MG_FRAMING_LENGTH, 5, true);
    frames((answer){200, 1, false, {LENGTH("0")}}, MG_FRAMING_NONE, 0, true);
    frames((answer){500, 1, false, {LENGTH("9223372036854775807")}}, MG_FRAMING_LENGTH, INT64_MAX,
           true);
    frames((answer){404, 1, false, {CODING("CHUNKED")}}, MG_FRAMING_CHUNKED, 0, true);
    frames((answer){404, 1, false, {CODING(" chunked\t")}}, MG_FRAMING_CHUNKED, 0, true);
}

static void a_response_without_either_lasts_until_the_end(void **state) {
    (void)state;
    frames((answer){200, 1, false, {CONN("keep-alive")}}, MG_FRAMING_CLOSE, 0, false);
    frames((answer){200, 0, false, {CONN("keep-alive")}}, MG_FRAMING_CLOSE, 0, false);
    frames((answer){205, 1, false, {{0}}}, MG_FRAMING_CLOSE, 0, false);
    frames((answer){301, 1, false, {{0}}}, MG_FRAMING_CLOSE, 0, false);
}

static void some_responses_have_no_content_whatever_they_say(void **state) {
    (void)state;
    static const int statuses[] = {100, 101, 199, 204, 304};
    for (size_t i = 0; i < 5; i++) {
        frames((answer){statuses[i], 1, false, {LENGTH("5")}}, MG_FRAMING_NONE, 0, true);
        frames((answer){statuses[i], 1, false, {CODING("chunked")}}, MG_FRAMING_NONE, 0, true);
        frames((answer){statuses[i], 1, false, {{0}}}, MG_FRAMING_NONE, 0, true);
        frames((answer){statuses[i], 1, false, {CONN("close")}}, MG_FRAMING_NONE, 0, false);
    }
    frames((answer){200, 1, true, {LENGTH("5")}}, MG_FRAMING_NONE, 0, true);
    frames((answer){200, 1, true, {CODING("chunked")}}, MG_FRAMING_NONE, 0, true);
    frames((answer){200, 1, true, {{0}}}, MG_FRAMING_NONE, 0, true);
    frames((answer){200, 0, true, {{0}}}, MG_FRAMING_NONE, 0, false);
}

static void a_response_keeps_the_connection_by_version_and_field(void **state) {
    (void)state;
    says length = LENGTH("1");
    frames((answer){200, 1, false, {length}}, MG_FRAMING_LENGTH, 1, true);
    frames((answer){200, 1, false, {length, CONN("x, Close")}}, MG_FRAMING_LENGTH, 1, false);
    frames((answer){200, 1, false, {length, CONN("keep-alive"), CONN("close")}}, MG_FRAMING_LENGTH,
           1, false);
    frames((answer){200, 0, false, {length}}, MG_FRAMING_LENGTH, 1, false);
    frames((answer){200, 0, false, {length, CONN("Keep-Alive")}}, MG_FRAMING_LENGTH, 1, true);
    frames((answer){200, 0, false, {length, CONN("close, keep-alive")}}, MG_FRAMING_LENGTH, 1,
           false);
}

static void contradictory_responses_are_refused(void **state) {
    (void)state;
    says five = LENGTH("5");
    says chunked = CODING("chunked");
    static const char *both = "Transfer-Encoding together with Content-Length";
    static const char *last = "chunked is not the last transfer coding";
    refuses_response((answer){200, 1, false, {five, five}}, "Content-Length is repeated");
    refuses_response((answer){200, 1, false, {five, chunked}}, both);
    refuses_response((answer){200, 1, false, {chunked, five}}, both);
    refuses_response((answer){200, 0, false, {chunked}}, "Transfer-Encoding in HTTP/1.0");
    refuses_response((answer){200, 1, false, {CODING("")}},
                     "Transfer-Encoding is empty, or has an empty member");
    refuses_response((answer){200, 1, false, {CODING("chunked,")}},
                     "Transfer-Encoding is empty, or has an empty member");
    refuses_response((answer){200, 1, false, {chunked, chunked}}, "chunked is applied twice");
    refuses_response((answer){200, 1, false, {CODING("chunked, gzip")}}, last);
    refuses_response((answer){200, 1, false, {CODING("gzip, chunked")}},
                     "a transfer coding other than chunked");
    refuses_response((answer){200, 1, false, {CODING("identity")}},
                     "a transfer coding other than chunked");
}

static void a_response_length_is_one_number(void **state) {
    (void)state;
    static const char *values[] = {
        "", "-1", "+1", "5, 5", "0x5", "5 ", "5;", "5.0", "9223372036854775808", "1e3"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        refuses_response((answer){200, 1, false, {LENGTH(values[i])}},
                         "Content-Length is not a number");
    }
}

// What lies about its framing lies to whoever else reads along.
static void no_content_excuses_no_contradiction(void **state) {
    (void)state;
    refuses_response((answer){204, 1, false, {LENGTH("1"), LENGTH("1")}},
                     "Content-Length is repeated");
    refuses_response((answer){304, 1, false, {LENGTH("x")}}, "Content-Length is not a number");
    refuses_response((answer){200, 1, true, {CODING("gzip")}},
                     "a transfer coding other than chunked");
}

static void fields_of_requests_do_not_frame_responses(void **state) {
    (void)state;
    frames((answer){200, 1, false, {LENGTH("1"), {"Host", "a"}, {"Host", "b c"}}},
           MG_FRAMING_LENGTH, 1, true);
    frames((answer){200, 1, false, {LENGTH("1"), {"Expect", "x"}}}, MG_FRAMING_LENGTH, 1, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_is_one_number),
        cmocka_unit_test(tabs_are_space_around_a_value),
        cmocka_unit_test(a_coding_is_chunked_alone),
        cmocka_unit_test(a_host_is_there_once_and_well_formed),
        cmocka_unit_test(the_target_tells_the_host_before_the_field),
        cmocka_unit_test(an_expectation_is_of_http_1_1_and_of_one_kind),
        cmocka_unit_test(connection_is_a_list_of_tokens),
        cmocka_unit_test(only_100_continue_is_expected),
        cmocka_unit_test(a_response_is_framed_by_its_fields),
        cmocka_unit_test(a_response_without_either_lasts_until_the_end),
        cmocka_unit_test(some_responses_have_no_content_whatever_they_say),
        cmocka_unit_test(a_response_keeps_the_connection_by_version_and_field),
        cmocka_unit_test(contradictory_responses_are_refused),
        cmocka_unit_test(a_response_length_is_one_number),
        cmocka_unit_test(no_content_excuses_no_contradiction),
        cmocka_unit_test(fields_of_requests_do_not_frame_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
