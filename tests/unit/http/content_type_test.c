#include "http/content_type.h"

#include "unit.h"

// The type and its parameters as "type|name=value|...", with "!" at malformed text.
static void reads(const char *text, const char *want) {
    mg_buf got = {0};
    mg_buf scratch = {0};
    mg_str params;
    mg_str name;
    mg_str value;
    mg_buf_append_str(&got, mg_media_type(mg_str_of(text), &params));
    while (mg_param_next(&params, &name, &value, &scratch)) {
        mg_buf_append_char(&got, '|');
        mg_buf_append_str(&got, name);
        mg_buf_append_char(&got, '=');
        mg_buf_append_str(&got, value);
    }
    if (params.n > 0) {
        mg_buf_append_char(&got, '!');
    }
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&scratch);
    mg_buf_deinit(&got);
}

static void reads_type_and_parameters(void **state) {
    (void)state;
    reads("text/html", "text/html");
    reads(" text/html ; charset=utf-8", "text/html|charset=utf-8");
    reads("Text/HTML;Charset=UTF-8;x=1", "Text/HTML|Charset=UTF-8|x=1");
    reads("a/b;c=\"\"", "a/b|c=");
    reads("", "");
}

static void unquotes(void **state) {
    (void)state;
    reads("a/b; c=\"d e; f\"; g=h", "a/b|c=d e; f|g=h");
    reads("a/b; c=\"d\\\"e\\\\f\"", "a/b|c=d\"e\\f");
}

static void leaves_other_backslashes_alone(void **state) {
    (void)state;
    reads("form-data; filename=\"C:\\temp\\a.txt\"", "form-data|filename=C:\\temp\\a.txt");
}

static void steps_over_empty_parameters(void **state) {
    (void)state;
    reads("a/b;", "a/b");
    reads("a/b;; ; c=d ;", "a/b|c=d");
}

static void stops_at_malformed_text(void **state) {
    (void)state;
    reads("a/b; c", "a/b!");
    reads("a/b; c=", "a/b!");
    reads("a/b; =c", "a/b!");
    reads("a/b; c =d", "a/b!");
    reads("a/b; c= d", "a/b!");
    reads("a/b; c=d e=f", "a/b|c=d!");
    reads("a/b; c=\"d\"e=f", "a/b|c=d!");
    reads("a/b; c=\"d", "a/b!");
    reads("a/b; c=\"d\\\"", "a/b!");
    reads("a/b; c=\"", "a/b!");
    reads("a/b; c=d, e/f", "a/b|c=d!");
}

static void finds_the_first_of_a_name_in_any_case(void **state) {
    (void)state;
    mg_buf scratch = {0};
    mg_str params;
    mg_str value;
    mg_media_type(MG_STR("a/b; x=1; Boundary=\"one two\"; boundary=2"), &params);
    assert_true(mg_param_find(params, MG_STR("boundary"), &scratch, &value));
    assert_text("one two", value);
    assert_false(mg_param_find(params, MG_STR("charset"), &scratch, &value));
    mg_buf_deinit(&scratch);
}

static void knows_a_valid_type(void **state) {
    (void)state;
    assert_true(mg_media_type_valid(MG_STR("application/ld+json")));
    static const char *const wrong[] = {"", "text", "text/", "/html", "a/b/c", "a b/c", "a/b,c"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(mg_media_type_valid(mg_str_of(wrong[i])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_type_and_parameters),
        cmocka_unit_test(unquotes),
        cmocka_unit_test(leaves_other_backslashes_alone),
        cmocka_unit_test(steps_over_empty_parameters),
        cmocka_unit_test(stops_at_malformed_text),
        cmocka_unit_test(finds_the_first_of_a_name_in_any_case),
        cmocka_unit_test(knows_a_valid_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
