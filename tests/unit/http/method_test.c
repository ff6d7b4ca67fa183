#include "http/method.h"

#include "unit.h"

static void names_and_methods_belong_together(void **state) {
    (void)state;
    for (int m = 0; m < MG_METHOD_COUNT; m++) {
        assert_int_equal(mg_method_of(mg_method_name((mg_method)m)), m);
    }
    assert_text("", mg_method_name(MG_METHOD_UNKNOWN));
}

static void other_names_are_unknown(void **state) {
    (void)state;
    assert_int_equal(mg_method_of(MG_STR("get")), MG_METHOD_UNKNOWN);
    assert_int_equal(mg_method_of(MG_STR("GETS")), MG_METHOD_UNKNOWN);
    assert_int_equal(mg_method_of(MG_STR("")), MG_METHOD_UNKNOWN);
    assert_int_equal(mg_method_of(MG_STR("PROPFIND")), MG_METHOD_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_methods_belong_together),
        cmocka_unit_test(other_names_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
