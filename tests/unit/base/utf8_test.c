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

static void measures_what_one_replacement_stands_for(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\x80", 1},         {"\xC0\x80", 1},     {"\xC2", 1},
        {"\xC2\x41", 1},     {"\xE2\x82", 2},     {"\xE2\x82\xC0", 2},
        {"\xE0\x9F\xBF", 1}, {"\xED\xA0\x80", 1}, {"\xF0\x9F", 2},
        {"\xF0\x9F\x98", 3}, {"\xF0\x9F\x41", 2}, {"\xF0\x8F\xBF\xBF", 1},
        {"\xFF", 1},         {"\xE2\x41", 1},     {"\xF0\x9F\x98\x41", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(mg_utf8_subpart(cases[i].bytes, strlen(cases[i].bytes)), cases[i].n);
    }
}

static void looks_at_the_whole_text(void **state) {
    (void)state;
    assert_true(mg_utf8_valid((mg_str){0}));
    assert_true(mg_utf8_valid(MG_STR("gr\xC3\xBC\xC3\x9F dich, \xE2\x82\xAC \xF0\x9F\x8C\x95\0")));
    assert_false(mg_utf8_valid(MG_STR("good until \xFF here")));
    assert_false(mg_utf8_valid(MG_STR("cut \xE2\x82")));
}

// The end of a piece may lie amid a character.
static void measures_what_is_whole(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t whole;
        bool broken;
    } cases[] = {
        {"", 0, false},
        {"eight by", 8, false},
        {"more than eight\xC3", 15, false},
        {"more than eight\xFF", 15, true},
        {"\xC3", 0, false},
        {"\xC3\xBC\xE2", 2, false},
        {"\xE2\x82", 0, false},
        {"\xF0\x9F\x8C", 0, false},
        {"\xF0\x9F\x8C\x95", 4, false},
        {"\x80", 0, true},
        {"\xC1", 0, true},
        {"\xF5", 0, true},
        {"\xED\xA0", 0, true},
        {"\xF4\x90", 0, true},
        {"\xF0\x9F\x41", 0, true},
        {"\xE2\x82\x41", 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool broken;
        assert_int_equal(mg_utf8_whole(mg_str_of(cases[i].text), &broken), cases[i].whole);
        assert_int_equal(broken, cases[i].broken);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_value_survives_writing_and_reading),
        cmocka_unit_test(refuses_what_is_no_sequence),
        cmocka_unit_test(measures_what_one_replacement_stands_for),
        cmocka_unit_test(looks_at_the_whole_text),
        cmocka_unit_test(measures_what_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
