#include "http/date.h"

#include "unit.h"

static void writes(int64_t seconds, const char *want) {
    char text[30];
    memset(text, 'x', sizeof text);
    mg_date_write(text, seconds);
    assert_string_equal(text, want);
}

static void reads(const char *text, int64_t want) {
    int64_t seconds = -1;
    assert_true(mg_date_parse(mg_str_of(text), &seconds));
    assert_int_equal(seconds, want);
}

static void writes_imf_fixdates(void **state) {
    (void)state;
    writes(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    writes(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    writes(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
    writes(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    writes(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    writes(1798761599, "Thu, 31 Dec 2026 23:59:59 GMT");
}

static void keeps_to_four_digits_of_a_year(void **state) {
    (void)state;
    writes(MG_DATE_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    writes(MG_DATE_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
    writes(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
    writes(INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void reads_all_three_forms(void **state) {
    (void)state;
    reads("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    reads("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    reads("Sun Nov  6 08:49:37 1994", 784111777);
    reads("Wed Nov 16 08:49:37 1994", 784975777);
    reads("Wednesday, 16-Nov-94 08:49:37 GMT", 784975777);
}

static void counts_two_digit_years_from_1970(void **state) {
    (void)state;
    reads("Thursday, 01-Jan-70 00:00:00 GMT", 0);
    reads("Tuesday, 01-Jan-69 00:00:00 GMT", 3124224000);
}

static void reads_back_what_it_wrote(void **state) {
    (void)state;
    for (int64_t at = MG_DATE_MIN; at < MG_DATE_MAX; at += 86400 * 97 + 12345) {
        char text[30];
        mg_date_write(text, at);
        reads(text, at);
    }
}

static void reads_leap_seconds_and_days(void **state) {
    (void)state;
    reads("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800);
    reads("Tue, 29 Feb 2000 12:00:00 GMT", 951825600);
}

static void refuses_what_is_no_date(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "nonsense",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Mon, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 08:49:3",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t seconds;
        if (mg_date_parse(mg_str_of(wrong[i]), &seconds)) {
            fail_msg("not refused: %s", wrong[i]);
        }
    }
    int64_t seconds;
    assert_false(mg_date_parse((mg_str){NULL, 0}, &seconds));
}

static void a_cached_date_changes_with_the_second(void **state) {
    (void)state;
    mg_date_cache cache = {0};
    assert_text("Thu, 01 Jan 1970 00:00:00 GMT", mg_date_cached(&cache, 0));
    assert_text("Thu, 01 Jan 1970 00:00:01 GMT", mg_date_cached(&cache, 1));
    assert_text("Thu, 01 Jan 1970 00:00:01 GMT", mg_date_cached(&cache, 1));
    assert_text("Thu, 01 Jan 1970 00:00:00 GMT", mg_date_cached(&cache, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_imf_fixdates),
        cmocka_unit_test(keeps_to_four_digits_of_a_year),
        cmocka_unit_test(reads_all_three_forms),
        cmocka_unit_test(counts_two_digit_years_from_1970),
        cmocka_unit_test(reads_back_what_it_wrote),
        cmocka_unit_test(reads_leap_seconds_and_days),
        cmocka_unit_test(refuses_what_is_no_date),
        cmocka_unit_test(a_cached_date_changes_with_the_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
