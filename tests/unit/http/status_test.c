#include "http/status.h"

#include "unit.h"

static void registered_codes_have_a_phrase(void **state) {
    (void)state;
    assert_text("OK", mg_status_phrase(200));
    assert_text("Content Too Large", mg_status_phrase(413));
    assert_text("", mg_status_phrase(299));
    assert_text("", mg_status_phrase(0));
}

static void some_have_no_content(void **state) {
    (void)state;
    assert_true(mg_status_is_bodyless(103));
    assert_true(mg_status_is_bodyless(204));
    assert_true(mg_status_is_bodyless(304));
    assert_false(mg_status_is_bodyless(200));
    assert_false(mg_status_is_bodyless(205));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registered_codes_have_a_phrase),
        cmocka_unit_test(some_have_no_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
