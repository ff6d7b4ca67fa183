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
    reads(CHUNKED "1;a\r\nx\r\n1 ;\t a = b\t;c=\"\" ;d ;e\t\r\nx\r\n0;f=g \r\n\r\n",
          HEAD "content=xx\nend\n");
    reads(CHUNKED "1;a=b;c=\"d;\\\"\" \r\nx\r\n0 ;e\r\nX-A: 1\r\nX-B:2\r\n\r\n",
          HEAD "content=x\nX-A=1\nX-B=2\nend\n");
}

static void many_padded_sizes_are_not_extensions(void **state) {
    (void)state;
    mg_buf input = {0};
    mg_buf want = {0};
    mg_buf_append_str(&input, MG_STR(CHUNKED));
    mg_buf_append_str(&want, MG_STR(HEAD "content="));
    for (int i = 0; i < 20; i++) {
        mg_buf_append_str(&input, MG_STR("00000002\r\nab\r\n"));
        mg_buf_append_str(&want, MG_STR("ab"));
    }
    mg_buf_append_str(&input, MG_STR("0000000000000000\r\n\r\n"));
    mg_buf_append(&want, "\nend\n", 6);
    mg_buf_append_char(&want, 0);
    reads_n(input.p, input.n, want.p);
    mg_buf_deinit(&input);
    mg_buf_deinit(&want);
}

static void more_leading_zeros_count_as_extensions(void **state) {
    (void)state;
    char input[256];
    snprintf(input, sizeof input, "%s%081d\r\nx\r\n0\r\n\r\n", CHUNKED, 1); // 16 + 64 + 1
    reads(input, HEAD "refused 400\n");
    snprintf(input, sizeof input, "%s%080d\r\nx\r\n0\r\n\r\n", CHUNKED, 1);
    reads(input, HEAD "content=x\nend\n");
}

static void a_whole_body_leaves_what_is_behind(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_head none = {0};
    mg_head length = {.framing = MG_FRAMING_LENGTH, .length = 2};
    mg_body b;
    mg_str piece;
    size_t used = 9;
    mg_body_init(&b, &none, &rig_body_limits, &arena);
    assert_true(mg_body_complete(&b));
    assert_int_equal(mg_body_read(&b, "x", 1, &used, &piece), MG_BODY_END);
    assert_int_equal(used, 0);
    mg_body_init(&b, &length, &rig_body_limits, &arena);
    assert_int_equal(mg_body_read(&b, "", 0, &used, &piece), MG_BODY_MORE);
    assert_int_equal(mg_body_read(&b, "abc", 3, &used, &piece), MG_BODY_PIECE);
    assert_int_equal(used, 2);
    assert_text("ab", piece);
    assert_int_equal(b.received, 2);
    assert_int_equal(mg_body_read(&b, "c", 1, &used, &piece), MG_BODY_END);
    mg_body_deinit(&b);
    mg_arena_deinit(&arena);
}

static void a_body_until_the_connection_ends_takes_everything(void **state) {
    (void)state;
    mg_arena arena = {0};
    mg_head head = {.framing = MG_FRAMING_CLOSE};
    mg_body b;
    mg_str piece;
    size_t used = 9;
    mg_body_init(&b, &head, &rig_body_limits, &arena);
    assert_false(mg_body_complete(&b));
    assert_int_equal(mg_body_read(&b, "", 0, &used, &piece), MG_BODY_MORE);
    assert_int_equal(used, 0);
    assert_int_equal(mg_body_read(&b, "0\r\n\r\n", 5, &used, &piece), MG_BODY_PIECE);
    assert_int_equal(used, 5);
    assert_text("0\r\n\r\n", piece);
    assert_int_equal(mg_body_read(&b, "HTTP/1.1", 8, &used, &piece), MG_BODY_PIECE);
    assert_text("HTTP/1.1", piece);
    assert_int_equal(b.received, 13);
    assert_false(mg_body_complete(&b)); // its reader knows when
    mg_body_deinit(&b);
    mg_arena_deinit(&arena);
}

static void extensions_are_counted_over_the_whole_body(void **state) {
    (void)state;
    char input[512] = CHUNKED;
    for (int i = 0; i < 8; i++) {
        strcat(input, "1;234567\r\nx\r\n"); // 7 bytes of 64, with the CR
    }
    strcat(input, "1;2345678901\r\n");
    reads(input, HEAD "refused 400\n");
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
                           "1;\r\n",
                           "1; \r\n",
                           "1;=\r\n",
                           "1;=a\r\n",
                           "1;a=\r\n",
                           "1;a=;b\r\n",
                           "1;;a\r\n",
                           "1;a;\r\n",
                           "1;a b\r\n",
                           "1;a=b c\r\n",
                           "1;a=b=c\r\n",
                           "1;a=\"b\"c\r\n",
                           "1;a=b\"c\"\r\n",
                           "1;\"a\"\r\n",
                           "1;a =\r\n",
                           "1;a@=b\r\n",
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
        cmocka_unit_test(many_padded_sizes_are_not_extensions),
        cmocka_unit_test(more_leading_zeros_count_as_extensions),
        cmocka_unit_test(a_whole_body_leaves_what_is_behind),
        cmocka_unit_test(a_body_until_the_connection_ends_takes_everything),
        cmocka_unit_test(extensions_are_counted_over_the_whole_body),
        cmocka_unit_test(refuses_malformed_sizes),
        cmocka_unit_test(refuses_data_that_does_not_end_where_it_should),
        cmocka_unit_test(refuses_malformed_trailers),
        cmocka_unit_test(limits_extensions_and_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
