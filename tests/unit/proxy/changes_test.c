#include "proxy/changes.h"

#include "unit.h"

#include <string.h>

static int lines;
static char last[600];

static void on_warning(void *arg, const char *text) {
    assert_ptr_equal(arg, last);
    snprintf(last, sizeof last, "%s", text);
    lines++;
}

static int news;

static void on_news(void *arg, const char *text) {
    (void)arg;
    (void)text;
    news++;
}

static const mg_changes to = {on_warning, on_news, last};

static void a_storm_is_not_written(void **state) {
    (void)state;
    _Atomic uint64_t word = 0;
    lines = 0;
    for (int i = 0; i < 100; i++) {
        mg_changes_tell(&to, MG_LOG_WARN, &word, 20000 + (uint64_t)i, "change %d", i);
    }
    assert_int_equal(lines, MG_CHANGES_LINES);
    assert_string_equal(last, "change 9");
    mg_changes_tell(&to, MG_LOG_WARN, &word, 30000, "change %d", 100);
    assert_string_equal(last, "change 100 (90 changes before it were not logged)");
    mg_changes_tell(&to, MG_LOG_WARN, &word, 30000, "change %d", 101);
    assert_string_equal(last, "change 101");
}

static void a_long_line_is_cut(void **state) {
    (void)state;
    _Atomic uint64_t word = 5; // some are missing
    mg_changes_tell(&to, MG_LOG_WARN, &word, 10, "%*d", 2000, 7);
    assert_int_equal(strlen(last), 511);
}

static void good_news_are_no_warnings(void **state) {
    (void)state;
    _Atomic uint64_t word = 0;
    lines = 0;
    mg_changes_tell(&to, MG_LOG_INFO, &word, 10, "well");
    assert_int_equal(news, 1);
    assert_int_equal(lines, 0);
}

static void nobody_need_read_it(void **state) {
    (void)state;
    _Atomic uint64_t word = 0;
    mg_changes_tell(&(mg_changes){0}, MG_LOG_WARN, &word, 10, "nothing");
    assert_int_equal(atomic_load(&word), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_is_not_written),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(good_news_are_no_warnings),
        cmocka_unit_test(nobody_need_read_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
