#include "http/form.h"

#include "unit.h"

static void reads(mg_str text, const char *want) {
    mg_buf got = {0};
    mg_buf scratch = {0};
    mg_str key;
    mg_str value;
    while (mg_form_next(&text, &scratch, &key, &value)) {
        mg_buf_append_char(&got, '[');
        mg_buf_append_str(&got, key);
        mg_buf_append_char(&got, '|');
        mg_buf_append_str(&got, value);
        mg_buf_append_char(&got, ']');
    }
    assert_int_equal(text.n, 0);
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&scratch);
    mg_buf_deinit(&got);
}

static void reads_pairs_in_order(void **state) {
    (void)state;
    reads(MG_STR("b=2&a=1&b=3"), "[b|2][a|1][b|3]");
    reads(MG_STR("a=b=c"), "[a|b=c]");
}

static void decodes_both_sides(void **state) {
    (void)state;
    reads(MG_STR("a+b=c%20d&%26=%3d%3D&caf%C3%A9=+"), "[a b|c d][&|==][caf\xc3\xa9| ]");
    reads(MG_STR("%41%42=%43%44"), "[AB|CD]");
}

static void a_missing_value_is_empty(void **state) {
    (void)state;
    reads(MG_STR("a&b=&=c"), "[a|][b|][|c]");
}

static void skips_empty_pairs(void **state) {
    (void)state;
    reads(MG_STR("&&a=1&&"), "[a|1]");
    reads(MG_STR(""), "");
    reads((mg_str){NULL, 0}, "");
}

static void a_broken_code_stands_for_itself(void **state) {
    (void)state;
    reads(MG_STR("a=100%&b=%zz&c=%4&%=%1"), "[a|100%][b|%zz][c|%4][%|%1]");
}

static void long_pairs_do_not_move_the_key(void **state) {
    (void)state;
    char text[4096];
    memset(text, '+', sizeof text);
    text[2000] = '=';
    mg_str rest = {text, sizeof text};
    mg_str key;
    mg_str value;
    mg_buf scratch = {0};
    assert_true(mg_form_next(&rest, &scratch, &key, &value));
    assert_int_equal(key.n, 2000);
    assert_int_equal(value.n, 2095);
    assert_int_equal(key.p[0], ' ');
    assert_int_equal(key.p[1999], ' ');
    mg_buf_deinit(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_pairs_in_order),
        cmocka_unit_test(decodes_both_sides),
        cmocka_unit_test(a_missing_value_is_empty),
        cmocka_unit_test(skips_empty_pairs),
        cmocka_unit_test(a_broken_code_stands_for_itself),
        cmocka_unit_test(long_pairs_do_not_move_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
