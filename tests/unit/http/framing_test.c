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
    refuses(POST("Transfer-Encoding:\r\n"), 400);
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

static void connection_is_a_list_of_tokens(void **state) {
    (void)state;
    reads("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\t\r\n\r\n",
          "GET / 1.1 close\nHost=a\nConnection=x, CLOSE\nend\n");
    reads("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
          "GET / 1.0 keep\nConnection=Keep-Alive\nend\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n",
          "GET / 1.1 keep\nHost=a\nConnection=closed\nend\n");
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
        cmocka_unit_test(connection_is_a_list_of_tokens),
        cmocka_unit_test(only_100_continue_is_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
