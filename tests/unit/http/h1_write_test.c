#include "http/h1_write.h"

#include "base/error.h"
#include "unit.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static void writes(mg_answer_head a, const char *want) {
    mg_buf out = {0};
    a.date = MG_STR(DATE);
    mg_h1_write_head(&out, &a);
    assert_text(want, mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void writes_heads(void **state) {
    (void)state;
    writes(
        (mg_answer_head){
            .status = 200, .kind = MG_LENGTH_KNOWN, .length = 12, .content_type = MG_STR("a/b")},
        "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Type: a/b\r\nContent-Length: 12\r\n\r\n");
    writes((mg_answer_head){.status = 299, .kind = MG_LENGTH_CHUNKED, .close = true},
           "HTTP/1.1 299 \r\nDate: " DATE
           "\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    writes((mg_answer_head){.status = 204,
                            .has_date = true,
                            .fields = MG_STR("A: b\r\n"),
                            .keep_alive_to_10 = true},
           "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nA: b\r\n\r\n");
}

static void writes_interim_answers(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_h1_write_interim(&out, 100, (mg_str){NULL, 0});
    mg_h1_write_interim(&out, 103, MG_STR("Link: </a.css>\r\n"));
    assert_text("HTTP/1.1 100 Continue\r\n\r\n"
                "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
                mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void writes_requests(void **state) {
    (void)state;
    mg_field field = mg_field_of(MG_STR("x-a"), MG_STR("b"));
    mg_fields fields = {.at = &field, .count = 1, .bytes = 36};
    mg_request_head head = {.method = MG_STR("PUT"),
                            .target = MG_STR("/a?b"),
                            .host = MG_STR("c:1"),
                            .fields = &fields,
                            .kind = MG_LENGTH_KNOWN,
                            .length = 7};
    mg_buf out = {0};
    mg_h1_write_request(&out, &head);
    assert_text("PUT /a?b HTTP/1.1\r\nHost: c:1\r\nx-a: b\r\nContent-Length: 7\r\n\r\n",
                mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void writes_chunks(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_h1_write_chunk(&out, "0123456789", 10);
    mg_h1_write_last_chunk(&out, MG_STR("X: y\r\n"));
    assert_text("a\r\n0123456789\r\n0\r\nX: y\r\n\r\n", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void writes_no_field_that_would_split_the_head(void **state) {
    (void)state;
    mg_buf out = {0};
    assert_int_equal(mg_h1_write_field(&out, MG_STR("A"), MG_STR("b\tc")), MG_OK);
    assert_int_equal(mg_h1_write_field(&out, MG_STR("A"), MG_STR("b\r\nC: d")), MG_ESYNTAX);
    assert_int_equal(mg_h1_write_field(&out, MG_STR("A"), MG_STR("b\0")), MG_ESYNTAX);
    assert_int_equal(mg_h1_write_field(&out, MG_STR("A b"), MG_STR("")), MG_ESYNTAX);
    assert_int_equal(mg_h1_write_field(&out, MG_STR(""), MG_STR("")), MG_ESYNTAX);
    assert_text("A: b\tc\r\n", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_heads),
        cmocka_unit_test(writes_requests),
        cmocka_unit_test(writes_chunks),
        cmocka_unit_test(writes_interim_answers),
        cmocka_unit_test(writes_no_field_that_would_split_the_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
