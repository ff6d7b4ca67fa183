#include "http/h1_write.h"

#include "field_list.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static mg_arena arena;
static const mg_fields none;

static int tear_down(void **state) {
    (void)state;
    mg_arena_deinit(&arena);
    return 0;
}

static void writes(mg_answer_head a, const char *want) {
    mg_buf out = {0};
    a.fields = a.fields != NULL ? a.fields : &none;
    a.date = MG_STR(DATE);
    mg_h1_write_head(&out, &a);
    assert_text(want, mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void writes_heads(void **state) {
    (void)state;
    mg_fields own = FIELD_LIST(&arena, "A", "b", "date", "x");
    writes(
        (mg_answer_head){
            .status = 200, .kind = MG_LENGTH_KNOWN, .length = 12, .content_type = MG_STR("a/b")},
        "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Type: a/b\r\nContent-Length: 12\r\n\r\n");
    writes((mg_answer_head){.status = 299, .kind = MG_LENGTH_CHUNKED, .close = true},
           "HTTP/1.1 299 \r\nDate: " DATE
           "\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    writes((mg_answer_head){.status = 200, .reason = MG_STR("Fine")},
           "HTTP/1.1 200 Fine\r\nDate: " DATE "\r\n\r\n");
    writes((mg_answer_head){.status = 204, .fields = &own, .keep_alive_to_10 = true},
           "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nA: b\r\ndate: x\r\n\r\n");
}

static void writes_interim_answers(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_fields link = FIELD_LIST(&arena, "Link", "</a.css>");
    mg_h1_write_interim(&out, 100, NULL);
    mg_h1_write_interim(&out, 103, &link);
    assert_text("HTTP/1.1 100 Continue\r\n\r\n"
                "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
                mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void writes_requests(void **state) {
    (void)state;
    mg_fields fields = FIELD_LIST(&arena, "x-a", "b");
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
    mg_fields trailers = FIELD_LIST(&arena, "X", "y", "Z", "");
    mg_h1_write_last_chunk(&out, &trailers);
    mg_h1_write_last_chunk(&out, NULL);
    assert_text("a\r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n0\r\n\r\n", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_heads),
        cmocka_unit_test(writes_requests),
        cmocka_unit_test(writes_chunks),
        cmocka_unit_test(writes_interim_answers),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
