#include "base/random.h"

#include "../unit.h"

static void the_same_seed_draws_the_same(void **state) {
    (void)state;
    mg_random a;
    mg_random b;
    mg_random_init(&a, 7);
    mg_random_init(&b, 7);
    for (int i = 0; i < 100; i++) {
        assert_true(mg_random_u64(&a) == mg_random_u64(&b));
    }
    mg_random_init(&a, 0);
    mg_random_init(&b, 0);
    assert_true(mg_random_u64(&a) != mg_random_u64(&b));
}

static void every_number_below_is_drawn_about_as_often(void **state) {
    (void)state;
    mg_random r;
    int seen[7] = {0};
    double sum = 0;
    mg_random_init(&r, 1);
    for (int i = 0; i < 70000; i++) {
        seen[mg_random_below(&r, 7)]++;
        double unit = mg_random_unit(&r);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 9500, 10500);
    }
    assert_true(sum / 70000 > 0.49 && sum / 70000 < 0.51);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_draws_the_same),
        cmocka_unit_test(every_number_below_is_drawn_about_as_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
