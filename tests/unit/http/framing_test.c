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
}

static void the_target_tells_the_host_before_the_field(void **state) {
    (void)state;
    mg_field field = {MG_STR("hOST"), MG_STR("b:80")};
    mg_head h = {.minor = 1, .field_count = 1, .fields = &field};
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_text("b:80", h.host);
    assert_ptr_equal(mg_head_find(&h, MG_STR("Host")), &field);
    assert_null(mg_head_find(&h, MG_STR("Hos")));
    h.target.authority = MG_STR("a");
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_text("a", h.host);
    h.minor = 0;
    h.field_count = 0;
    h.target.authority = (mg_str){NULL, 0};
    h.host = (mg_str){NULL, 0};
    assert_int_equal(mg_framing_of(&h).status, 0); // HTTP/1.0 has no Host
    assert_int_equal(h.host.n, 0);
}

static void an_expectation_is_of_http_1_1_and_of_one_kind(void **state) {
    (void)state;
    mg_field fields[] = {{MG_STR("Host"), MG_STR("a")},
                         {MG_STR("Expect"), MG_STR("100-continue")},
                         {MG_STR("Expect"), MG_STR("x")}};
    mg_head h = {.minor = 1, .field_count = 2, .fields = fields};
    assert_int_equal(mg_framing_of(&h).status, 0);
    assert_true(h.expect_continue);
    h.field_count = 3;
    assert_int_equal(mg_framing_of(&h).status, 417);
    h = (mg_head){.field_count = 3, .fields = fields};
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_is_one_number),
        cmocka_unit_test(a_coding_is_chunked_alone),
        cmocka_unit_test(a_host_is_there_once_and_well_formed),
        cmocka_unit_test(the_target_tells_the_host_before_the_field),
        cmocka_unit_test(an_expectation_is_of_http_1_1_and_of_one_kind),
        cmocka_unit_test(connection_is_a_list_of_tokens),
        cmocka_unit_test(only_100_continue_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
