#include "proxy/verdict.h"

#include "cells.h"

static const mg_health_options want = {.on = true, .up = 2, .down = 3};

static bool tell(cells *c, mg_finding found, uint64_t now_ms) {
    return mg_health_tell(&want, &c->servers[0], found, found == MG_FOUND_STATUS ? 503 : 0, now_ms);
}

static mg_verdict verdict(const cells *c) {
    return mg_verdict_of(&c->servers[0]);
}

static void takes_several_checks_in_a_row(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 1);
    assert_int_equal(verdict(&c), MG_VERDICT_UNKNOWN);
    assert_true(tell(&c, MG_FOUND_GOOD, 10));
    assert_int_equal(verdict(&c), MG_VERDICT_UP);
    assert_false(tell(&c, MG_FOUND_STATUS, 20));
    assert_false(tell(&c, MG_FOUND_TIMEOUT, 30));
    assert_false(tell(&c, MG_FOUND_GOOD, 40));
    assert_false(tell(&c, MG_FOUND_STATUS, 50));
    assert_false(tell(&c, MG_FOUND_REFUSED, 60));
    assert_int_equal(verdict(&c), MG_VERDICT_UP);
    assert_true(tell(&c, MG_FOUND_CLOSED, 70));
    assert_int_equal(verdict(&c), MG_VERDICT_DOWN);
    assert_false(tell(&c, MG_FOUND_GOOD, 80));
    assert_false(tell(&c, MG_FOUND_BROKEN, 90));
    assert_false(tell(&c, MG_FOUND_GOOD, 100));
    assert_int_equal(atomic_load(&c.servers[0].cell->slow_since_ms), 0);
    assert_true(tell(&c, MG_FOUND_GOOD, 110));
    assert_int_equal(verdict(&c), MG_VERDICT_UP);
    assert_int_equal(atomic_load(&c.servers[0].cell->slow_since_ms), 110);
    cells_deinit(&c);
}

static void one_that_never_was_well_goes_down_after_as_many(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 1);
    assert_false(tell(&c, MG_FOUND_REFUSED, 10));
    assert_false(tell(&c, MG_FOUND_REFUSED, 20));
    assert_int_equal(verdict(&c), MG_VERDICT_UNKNOWN);
    assert_true(tell(&c, MG_FOUND_REFUSED, 30));
    assert_int_equal(verdict(&c), MG_VERDICT_DOWN);
    mg_health_forget(&c.servers[0]);
    assert_int_equal(verdict(&c), MG_VERDICT_UNKNOWN);
    cells_deinit(&c);
}

static void says_why(void **state) {
    (void)state;
    cells c;
    char text[64];
    cells_init(&c, NULL, 0, 1);
    tell(&c, MG_FOUND_STATUS, 10);
    mg_health h = mg_health_of(c.servers[0].cell);
    assert_string_equal(mg_health_text(&h, text, sizeof text), "the status was 503");
    tell(&c, MG_FOUND_TIMEOUT, 10);
    h = mg_health_of(c.servers[0].cell);
    assert_string_equal(mg_health_text(&h, text, sizeof text), "no answer in time");
    h.last = (mg_finding)77; // somebody scribbled
    assert_string_equal(mg_health_text(&h, text, sizeof text), "");
    cells_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_several_checks_in_a_row),
        cmocka_unit_test(one_that_never_was_well_goes_down_after_as_many),
        cmocka_unit_test(says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
