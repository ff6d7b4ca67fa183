// Who is chosen.
#include "rig.h"

static void each_in_turn_by_its_weight_and_never_in_a_run(void **state) {
    (void)state;
    rig_begin(3);
    servers[0].weight = 5;
    mg_upstreams *us = rig_set(NULL);
    mg_upstream *u = mg_upstreams_find(us, MG_STR("shop"));
    static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 7; i++) {
            assert_int_equal(once(u), expected[i]);
        }
    }
    rig_end(us);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_in_turn_by_its_weight_and_never_in_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
