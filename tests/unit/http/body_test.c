#include "reads.h"

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define HEAD    "POST / 1.1 keep\nHost=a\nTransfer-Encoding=chunked\n"

static void reads_by_length(void **state) {
    (void)state;
    reads("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /x HTTP/1.0\r\n\r\n",
          "POST / 1.1 keep\nHost=a\nContent-Length=5\ncontent=hello\nend\nGET /x 1.0 close\nend\n");
}

static void reads_chunks(void **state) {
    (void)state;
    reads(CHUNKED "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nGET /x HTTP/1.0\r\n\r\n",
          HEAD "content=abc0123456789\nend\nGET /x 1.0 close\nend\n");
}

static void reads_extensions_and_trailers(void **state) {
    (void)state;
    reads(CHUNKED "1;a=b;c=\"d;\\\"\" \r\nx\r\n0 ;e\r\nX-A: 1\r\nX-B:2\r\n\r\n",
          HEAD "content=x\nX-A=1\nX-B=2\nend\n");
}

static void refuses_malformed_sizes(void **state) {
    (void)state;
    const char *sizes[] = {"\r\n",
                           "g\r\n",
                           "-1\r\n",
                           "+1\r\n",
                           "0x1\r\n",
                           "1 \r\n",
                           "1\n",
                           "1\rx",
                           "1;\n",
                           "1;a=\"\x01",
                           "1;a@\r\n",
                           "11111111111111111\r\n",
                           "8000000000000000\r\n"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char input[256];
        snprintf(input, sizeof input, "%s%s", CHUNKED, sizes[i]);
        reads(input, HEAD "refused 400\n");
    }
}

static void refuses_data_that_does_not_end_where_it_should(void **state) {
    (void)state;
    reads(CHUNKED "1\r\nxy\r\n", HEAD "refused 400\n");
    reads(CHUNKED "1\r\nx\n", HEAD "refused 400\n");
    reads(CHUNKED "1\r\nx\ry", HEAD "refused 400\n");
}

static void refuses_malformed_trailers(void **state) {
    (void)state;
    reads(CHUNKED "0\r\nA b\r\n\r\n", HEAD "refused 400\n");
    reads(CHUNKED "0\r\nA : b\r\n\r\n", HEAD "refused 400\n");
    reads(CHUNKED "0\r\n A: b\r\n\r\n", HEAD "refused 400\n");
    reads(CHUNKED "0\r\nA: b\n\r\n", HEAD "refused 400\n");
    reads(CHUNKED "0\r\nA: \x7f\r\n\r\n", HEAD "refused 400\n");
}

static void limits_extensions_and_trailers(void **state) {
    (void)state;
    char input[512];
    snprintf(input, sizeof input, "%s1;%080d\r\n", CHUNKED, 0);
    reads(input, HEAD "refused 400\n");
    snprintf(input, sizeof input, "%s0\r\nA: %0200d\r\n\r\n", CHUNKED, 0);
    reads(input, HEAD "refused 431\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_by_length),
        cmocka_unit_test(reads_chunks),
        cmocka_unit_test(reads_extensions_and_trailers),
        cmocka_unit_test(refuses_malformed_sizes),
        cmocka_unit_test(refuses_data_that_does_not_end_where_it_should),
        cmocka_unit_test(refuses_malformed_trailers),
        cmocka_unit_test(limits_extensions_and_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
