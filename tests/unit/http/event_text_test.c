#include "http/event_text.h"

#include "unit.h"

static void assert_written(mg_event_text e, const char *text) {
    mg_buf out = {0};
    mg_event_write(&out, &e);
    mg_buf_append_char(&out, '\0');
    assert_string_equal(out.p, text);
    mg_buf_deinit(&out);
}

static void events_are_lines_and_an_empty_one(void **state) {
    (void)state;
    assert_written((mg_event_text){.data = MG_STR("hello"), .has_data = true, .retry_ms = -1},
                   "data: hello\n\n");
    assert_written((mg_event_text){.data = MG_STR("x"),
                                   .has_data = true,
                                   .event = MG_STR("tick"),
                                   .id = MG_STR("7"),
                                   .retry_ms = 0},
                   "id: 7\nretry: 0\nevent: tick\ndata: x\n\n");
    assert_written((mg_event_text){.retry_ms = 2500}, "retry: 2500\n\n");
    assert_written((mg_event_text){.has_data = true, .retry_ms = -1}, "data: \n\n");
}

static void every_line_of_the_data_is_one_of_the_event(void **state) {
    (void)state;
    static const struct {
        mg_str data;
        const char *text;
    } cases[] = {
        {MG_STR("a\nb"), "data: a\ndata: b\n\n"},
        {MG_STR("a\r\nb\rc"), "data: a\ndata: b\ndata: c\n\n"},
        {MG_STR("a\n"), "data: a\ndata: \n\n"},
        {MG_STR("\r\n\n"), "data: \ndata: \ndata: \n\n"},
        {MG_STR("a\r"), "data: a\ndata: \n\n"},
        {MG_STR("a\n\rb"), "data: a\ndata: \ndata: b\n\n"},
        {MG_STR("a\n\nevent: forged"), "data: a\ndata: \ndata: event: forged\n\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_written((mg_event_text){.data = cases[i].data, .has_data = true, .retry_ms = -1},
                       cases[i].text);
    }
}

static void words_have_no_line_end_and_no_nul(void **state) {
    (void)state;
    assert_true(mg_event_is_word(MG_STR("room:1 \xc3\xa4")));
    assert_false(mg_event_is_word(MG_STR("a\nb")));
    assert_false(mg_event_is_word(MG_STR("a\rb")));
    assert_false(mg_event_is_word(MG_STR("a\0b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_lines_and_an_empty_one),
        cmocka_unit_test(every_line_of_the_data_is_one_of_the_event),
        cmocka_unit_test(words_have_no_line_end_and_no_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
