#include "base/utf8.h"

#include "unit.h"

static void every_scalar_value_survives_writing_and_reading(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        char text[4];
        size_t n = mg_utf8_write(text, code);
        bool surrogate = code >= 0xD800 && code < 0xE000;
        assert_int_equal(mg_utf8_sequence(text, n), surrogate ? 0 : n);
    }
}

static void refuses_what_is_no_sequence(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "\x80",         "\xBF",         "\xC0\x80",         "\xC1\xBF",         "\xC2",
        "\xC2\x41",     "\xE0\x9F\xBF", "\xE2\x82",         "\xE2\x82\xC0",     "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x9F\x98", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFE",         "\xFF",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(mg_utf8_sequence(wrong[i], strlen(wrong[i])), 0);
        assert_false(mg_utf8_valid(mg_str_of(wrong[i])));
    }
    assert_int_equal(mg_utf8_sequence("", 0), 0);
}

static void looks_at_the_whole_text(void **state) {
    (void)state;
    assert_true(mg_utf8_valid((mg_str){0}));
    assert_true(mg_utf8_valid(MG_STR("gr\xC3\xBC\xC3\x9F dich, \xE2\x82\xAC \xF0\x9F\x8C\x95\0")));
    assert_false(mg_utf8_valid(MG_STR("good until \xFF here")));
    assert_false(mg_utf8_valid(MG_STR("cut \xE2\x82")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_value_survives_writing_and_reading),
        cmocka_unit_test(refuses_what_is_no_sequence),
        cmocka_unit_test(looks_at_the_whole_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
