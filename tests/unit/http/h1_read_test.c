#include "reads.h"

#define LINE(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

static void reads_heads_in_a_row(void **state) {
    (void)state;
    reads("GET /a HTTP/1.1\r\nHost: x\r\nA:  b \t\r\nE:\r\n\r\nHEAD /b HTTP/1.0\r\n\r\n",
          "GET /a 1.1 keep\nHost=x\nA=b\nE=\nend\nHEAD /b 1.0 close\nend\n");
    reads("\r\nOPTIONS * HTTP/1.1\r\nHost:\r\n\r\n", "OPTIONS * 1.1 keep\nHost=\nend\n");
    reads("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT  1.1 keep\nHost=a\nend\n");
}

static void reads_upgrades_as_ordinary_requests(void **state) {
    (void)state;
    reads("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" LINE("/next"),
          "GET / 1.1 keep\nHost=a\nUpgrade=x\nConnection=upgrade\nend\nGET /next 1.1 "
          "keep\nHost=a\nend\n");
}

static void refuses_request_lines(void **state) {
    (void)state;
    reads("GET\r\n", "refused 400\n");
    reads("GET /\r\n", "refused 400\n");
    reads("GET  / HTTP/1.1\r\n", "refused 400\n");
    reads("GET / HTTP/1.1 \r\n", "refused 400\n");
    reads("GET / HTTP/2.0\r\n", "refused 505\n");
    reads("GET / http/1.1\r\n", "refused 400\n");
    reads("BREW / HTTP/1.1\r\n", "refused 501\n");
    reads("G(T / HTTP/1.1\r\n", "refused 400\n");
    reads("GET a HTTP/1.1\r\n", "refused 400\n");
}

static void refuses_fields(void **state) {
    (void)state;
    reads("GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", "refused 400\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", "refused 400\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nA(: b\r\n\r\n", "refused 400\n");
    reads("GET / HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", "refused 400\n");
    reads_n("GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n", 33, "refused 400\n");
}

static void refuses_what_is_too_large(void **state) {
    (void)state;
    char input[2048];
    memset(input, 'a', sizeof input);
    memcpy(input, "GET /", 5);
    reads_n(input, 300, "refused 414\n");
    memcpy(input, "GET / HTTP/1.1\r\nA: ", 19);
    reads_n(input, 1500, "refused 431\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_heads_in_a_row),
        cmocka_unit_test(reads_upgrades_as_ordinary_requests),
        cmocka_unit_test(refuses_request_lines),
        cmocka_unit_test(refuses_fields),
        cmocka_unit_test(refuses_what_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
