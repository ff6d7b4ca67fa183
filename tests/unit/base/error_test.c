#include "base/error.h"

#include "unit.h"

#include <errno.h>
#include <limits.h>

static void sets_a_text_and_returns_the_code(void **state) {
    (void)state;
    mg_error err;
    assert_int_equal(mg_error_set(&err, MG_ECONFIG, "%s:%d: no", "a.lua", 3), MG_ECONFIG);
    assert_string_equal(err.text, "a.lua:3: no");
}

static void the_place_for_the_text_may_be_missing(void **state) {
    (void)state;
    assert_int_equal(mg_error_set(NULL, MG_ELUA, "%s", "lost"), MG_ELUA);
}

static void a_long_text_is_cut(void **state) {
    (void)state;
    mg_error err;
    mg_error_set(&err, MG_ELUA, "%05000d", 1);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void every_code_has_its_own_phrase(void **state) {
    (void)state;
    for (int a = MG_ELIMIT; a >= MG_ECANCELLED; a--) {
        assert_string_not_equal(mg_strerror(a), "unknown error");
        for (int b = MG_ELIMIT; b > a; b--) {
            assert_string_not_equal(mg_strerror(a), mg_strerror(b));
        }
    }
    assert_string_equal(mg_strerror(MG_OK), "no error");
    assert_string_equal(mg_strerror(-ECONNREFUSED), "Connection refused");
}

static void strange_codes_have_a_phrase_too(void **state) {
    (void)state;
    static const int strange[] = {1, -9999, -20000, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        assert_string_equal(mg_strerror(strange[i]), "unknown error");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_a_text_and_returns_the_code),
        cmocka_unit_test(the_place_for_the_text_may_be_missing),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(every_code_has_its_own_phrase),
        cmocka_unit_test(strange_codes_have_a_phrase_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
