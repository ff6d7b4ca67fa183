#include "base/str.h"

#include "unit.h"

static void equal_strings_may_be_null(void **state) {
    (void)state;
    assert_true(mg_str_eq((mg_str){0}, MG_STR("")));
    assert_true(mg_str_eq(MG_STR("a\0b"), MG_STR("a\0b")));
    assert_false(mg_str_eq(MG_STR("a\0b"), MG_STR("a\0c")));
    assert_false(mg_str_eq(MG_STR("a"), MG_STR("ab")));
}

static void ignoring_case_touches_letters_only(void **state) {
    (void)state;
    assert_true(mg_str_ieq(MG_STR("Content-LENGTH"), MG_STR("content-length")));
    assert_true(mg_str_ieq((mg_str){0}, MG_STR("")));
    assert_false(mg_str_ieq(MG_STR("@"), MG_STR("`")));
    assert_false(mg_str_ieq(MG_STR("["), MG_STR("{")));
    assert_false(mg_str_ieq(MG_STR("\xC4"), MG_STR("\xE4")));
    assert_false(mg_str_ieq(MG_STR("a"), MG_STR("ab")));
}

static void ignoring_case_is_the_same_at_every_place_of_a_text(void **state) {
    (void)state;
    char a[11];
    char b[11];
    for (int i = 0; i < 256; i++) {
        for (int j = 0; j < 256; j++) {
            size_t at = (size_t)(i + j) % sizeof a;
            memset(a, 'x', sizeof a);
            memset(b, 'X', sizeof b);
            a[at] = (char)i;
            b[at] = (char)j;
            bool same = mg_lower((char)i) == mg_lower((char)j);
            assert_int_equal(mg_str_ieq((mg_str){a, sizeof a}, (mg_str){b, sizeof b}), same);
        }
    }
}

static void ends_with_a_suffix(void **state) {
    (void)state;
    assert_true(mg_str_ends(MG_STR("abc"), MG_STR("bc")));
    assert_true(mg_str_ends(MG_STR("abc"), MG_STR("abc")));
    assert_true(mg_str_ends(MG_STR("abc"), (mg_str){0}));
    assert_true(mg_str_ends((mg_str){0}, (mg_str){0}));
    assert_false(mg_str_ends(MG_STR("c"), MG_STR("bc")));
    assert_false(mg_str_ends(MG_STR("abc"), MG_STR("ab")));
}

static void starts_with_a_prefix(void **state) {
    (void)state;
    assert_true(mg_str_starts(MG_STR("abc"), MG_STR("ab")));
    assert_true(mg_str_starts(MG_STR("abc"), (mg_str){0}));
    assert_true(mg_str_starts((mg_str){0}, (mg_str){0}));
    assert_false(mg_str_starts(MG_STR("a"), MG_STR("ab")));
    assert_false(mg_str_starts(MG_STR("ABC"), MG_STR("ab")));
}

static void starts_with_a_prefix_ignoring_case(void **state) {
    (void)state;
    assert_true(mg_str_istarts(MG_STR("HTTP/1.1"), MG_STR("http/")));
    assert_true(mg_str_istarts(MG_STR("http/"), MG_STR("HTTP/")));
    assert_true(mg_str_istarts((mg_str){0}, (mg_str){0}));
    assert_false(mg_str_istarts(MG_STR("HTTP"), MG_STR("http/")));
    assert_false(mg_str_istarts(MG_STR("HTTPS/"), MG_STR("http/")));
}

static void cuts_off_what_stands_before_a_byte(void **state) {
    (void)state;
    mg_str s = MG_STR("a bc  d");
    assert_text("a", mg_str_cut(&s, ' '));
    assert_text("bc", mg_str_cut(&s, ' '));
    assert_text("", mg_str_cut(&s, ' '));
    assert_text("d", s);
    assert_text("d", mg_str_cut(&s, ' '));
    assert_int_equal(s.n, 0);
    assert_text("", mg_str_cut(&s, ' '));
    s = (mg_str){0};
    assert_int_equal(mg_str_cut(&s, ' ').n, 0);
}

static void trims_spaces_and_tabs_but_no_line_ends(void **state) {
    (void)state;
    assert_text("a b", mg_str_trim(MG_STR(" \t a b\t ")));
    assert_text("\r\na", mg_str_trim(MG_STR("\r\na ")));
    assert_text("", mg_str_trim(MG_STR(" \t")));
    assert_text("", mg_str_trim((mg_str){0}));
}

static void reads_decimal_digits_up_to_a_maximum(void **state) {
    (void)state;
    uint64_t v = 1;
    assert_true(mg_str_to_u64(MG_STR("0"), 0, &v));
    assert_int_equal(v, 0);
    assert_true(mg_str_to_u64(MG_STR("18446744073709551615"), UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_true(mg_str_to_u64(MG_STR("0000000000000000000000255"), 255, &v));
    assert_int_equal(v, 255);
    assert_false(mg_str_to_u64(MG_STR("18446744073709551616"), UINT64_MAX, &v));
    assert_false(mg_str_to_u64(MG_STR("99999999999999999999"), UINT64_MAX, &v));
    assert_false(mg_str_to_u64(MG_STR("256"), 255, &v));
    assert_false(mg_str_to_u64(MG_STR("9"), 5, &v));
    assert_int_equal(v, 255);
}

static void reads_nothing_but_digits(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "+1", "-1", " 1", "1 ", "0x1", "1e1", "1_0", "\xB2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint64_t v;
        assert_false(mg_str_to_u64(mg_str_of(wrong[i]), UINT64_MAX, &v));
    }
    uint64_t v;
    assert_false(mg_str_to_u64(MG_STR("1\0"), UINT64_MAX, &v));
}

static void reads_whole_numbers_of_64_bits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"-17", -17},
                {"0017", 17},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const wrong[] = {
        "", "-", "--1", "+1", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809"};
    int64_t v = 5;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(mg_str_to_i64(mg_str_of(wrong[i]), &v));
        assert_int_equal(v, 5);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(mg_str_to_i64(mg_str_of(good[i].text), &v));
        assert_true(v == good[i].value);
    }
}

static void takes_items_apart_and_skips_empty_ones(void **state) {
    (void)state;
    mg_str rest = MG_STR(" , gzip;q=1 ,\t, br,,");
    mg_str item;
    assert_true(mg_str_next_item(&rest, &item));
    assert_text("gzip;q=1", item);
    assert_true(mg_str_next_item(&rest, &item));
    assert_text("br", item);
    assert_false(mg_str_next_item(&rest, &item));
    assert_false(mg_str_next_item(&rest, &item));
}

static void a_comma_in_quotes_does_not_separate(void **state) {
    (void)state;
    mg_str rest = MG_STR("a=\"x,\\\",y\", b=\"open, c");
    mg_str item;
    assert_true(mg_str_next_item(&rest, &item));
    assert_text("a=\"x,\\\",y\"", item);
    assert_true(mg_str_next_item(&rest, &item));
    assert_text("b=\"open, c", item);
    assert_false(mg_str_next_item(&rest, &item));
}

static void a_backslash_may_end_an_item(void **state) {
    (void)state;
    mg_str rest = MG_STR("\"\\");
    mg_str item;
    assert_true(mg_str_next_item(&rest, &item));
    assert_text("\"\\", item);
    assert_int_equal(rest.n, 0);
}

static void a_token_has_no_delimiters(void **state) {
    (void)state;
    assert_true(mg_str_is_token(MG_STR("!#$%&'*+-.^_`|~09azAZ")));
    assert_false(mg_str_is_token(MG_STR("")));
    unsigned count = 0;
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        count += mg_str_is_token((mg_str){&one, 1}) ? 1 : 0;
    }
    assert_int_equal(count, 10 + 26 + 26 + 15);
}

static void knows_hex_digits(void **state) {
    (void)state;
    assert_int_equal(mg_hex_value('0'), 0);
    assert_int_equal(mg_hex_value('9'), 9);
    assert_int_equal(mg_hex_value('a'), 10);
    assert_int_equal(mg_hex_value('F'), 15);
    static const char wrong[] = "/:@G`g \xE1";
    for (size_t i = 0; i < sizeof wrong; i++) {
        assert_int_equal(mg_hex_value(wrong[i]), -1);
    }
}

static void a_token_is_taken_off_the_front(void **state) {
    (void)state;
    mg_str s = MG_STR("max-age=5");
    mg_str token;
    assert_true(mg_str_take_token(&s, &token));
    assert_text("max-age", token);
    assert_text("=5", s);
    assert_false(mg_str_take_token(&s, &token));
    assert_text("", token);
    assert_text("=5", s);
    mg_str_skip(&s, 1);
    assert_true(mg_str_take_token(&s, &token));
    assert_int_equal(s.n, 0);
    assert_false(mg_str_take_token(&s, &token));
}

static void texts_have_the_hash_of_fnv(void **state) {
    (void)state;
    assert_int_equal(mg_str_hash(MG_STR("")), 0x811c9dc5);
    assert_int_equal(mg_str_hash(MG_STR("foobar")), 0xbf9cf968);
}

static void reads_sizes_as_people_write_them(void **state) {
    (void)state;
    uint64_t n;
    assert_true(mg_str_to_size(MG_STR("512"), &n));
    assert_int_equal(n, 512);
    assert_true(mg_str_to_size(MG_STR("64M"), &n));
    assert_int_equal(n, 64 << 20);
    assert_true(mg_str_to_size(MG_STR("1k"), &n));
    assert_int_equal(n, 1024);
    assert_false(mg_str_to_size(MG_STR("M"), &n));
    assert_false(mg_str_to_size(MG_STR(""), &n));
    assert_false(mg_str_to_size(MG_STR("1.5M"), &n));
    assert_false(mg_str_to_size(MG_STR("99999999999T"), &n));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes_as_people_write_them),
        cmocka_unit_test(texts_have_the_hash_of_fnv),
        cmocka_unit_test(a_token_is_taken_off_the_front),
        cmocka_unit_test(equal_strings_may_be_null),
        cmocka_unit_test(ignoring_case_touches_letters_only),
        cmocka_unit_test(ignoring_case_is_the_same_at_every_place_of_a_text),
        cmocka_unit_test(starts_with_a_prefix),
        cmocka_unit_test(starts_with_a_prefix_ignoring_case),
        cmocka_unit_test(ends_with_a_suffix),
        cmocka_unit_test(cuts_off_what_stands_before_a_byte),
        cmocka_unit_test(trims_spaces_and_tabs_but_no_line_ends),
        cmocka_unit_test(reads_decimal_digits_up_to_a_maximum),
        cmocka_unit_test(reads_nothing_but_digits),
        cmocka_unit_test(reads_whole_numbers_of_64_bits),
        cmocka_unit_test(takes_items_apart_and_skips_empty_ones),
        cmocka_unit_test(a_comma_in_quotes_does_not_separate),
        cmocka_unit_test(a_backslash_may_end_an_item),
        cmocka_unit_test(a_token_has_no_delimiters),
        cmocka_unit_test(knows_hex_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
