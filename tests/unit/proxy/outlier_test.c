#include "proxy/outlier.h"

#include "cells.h"

#include "proxy/verdict.h"

enum { NOW = 5000 }; // or about that: no ejection is so long that it matters

static const mg_outlier_options want = {.on = true, .failures = 3, .eject_ms = 1000, .most = 0.5};

// `n` failures in a row of server `i`. True: the last of them ejected it.
static bool fails(cells *c, size_t i, int n, uint64_t now_ms) {
    bool ejected = false;
    while (n-- > 0) {
        ejected = mg_outlier_tell(&want, &c->group, &c->servers[i], MG_RESULT_BAD, now_ms);
    }
    return ejected;
}

static void succeed(cells *c, size_t i, uint64_t now_ms) {
    assert_false(mg_outlier_tell(&want, &c->group, &c->servers[i], MG_RESULT_GOOD, now_ms));
}

static void failures_in_a_row_eject(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 4);
    assert_false(fails(&c, 0, 2, 5000));
    succeed(&c, 0, 5000);
    assert_false(fails(&c, 0, 2, 5000));
    assert_false(mg_outlier_tell(&want, &c.group, &c.servers[0], MG_RESULT_NONE, 5000));
    assert_false(mg_server_is_ejected(&c.servers[0], 5000));
    assert_true(fails(&c, 0, 1, 5000));
    assert_true(mg_server_is_ejected(&c.servers[0], 5999));
    assert_false(mg_server_is_ejected(&c.servers[0], 6000));
    assert_false(mg_server_is_ejected(&c.servers[1], 5000));
    assert_int_equal(atomic_load(&c.servers[0].cell->slow_since_ms), 6000);
    cells_deinit(&c);
}

static void what_nobody_meant_ejects_nobody(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 4);
    atomic_store(&c.servers[0].cell->ejection, UINT64_MAX);
    assert_false(mg_server_is_ejected(&c.servers[0], 5000));
    assert_true(fails(&c, 0, 3, 5000));
    assert_true(mg_server_is_ejected(&c.servers[0], 5999));
    assert_false(mg_server_is_ejected(&c.servers[0], 6000));
    atomic_store(&c.servers[1].cell->health, UINT64_MAX);
    assert_int_equal(mg_verdict_of(&c.servers[1]), MG_VERDICT_UNKNOWN);
    cells_deinit(&c);
}

static void nothing_is_ejected_unless_it_is_configured(void **state) {
    (void)state;
    cells c;
    const mg_outlier_options off = {.failures = 1, .eject_ms = 1000, .most = 1};
    cells_init(&c, NULL, 0, 4);
    assert_false(mg_outlier_tell(&off, &c.group, &c.servers[0], MG_RESULT_BAD, 1));
    assert_false(mg_server_is_ejected(&c.servers[0], 1));
    cells_deinit(&c);
}

static void each_time_lasts_longer_until_it_was_well_for_as_long(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 4);
    assert_true(fails(&c, 0, 3, 1000));
    assert_true(fails(&c, 0, 3, 2000));
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).until_ms, 4000);
    assert_true(fails(&c, 0, 3, 4000));
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).until_ms, 7000);
    succeed(&c, 0, 9999);
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).times, 3);
    succeed(&c, 0, 10000);
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).times, 2);
    succeed(&c, 0, 12000);
    succeed(&c, 0, 13000);
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).times, 0);
    assert_true(fails(&c, 0, 3, 20000));
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).until_ms, 21000);
    cells_deinit(&c);
}

static void it_does_not_grow_without_end(void **state) {
    (void)state;
    cells c;
    uint64_t now_ms = 1;
    cells_init(&c, NULL, 0, 2);
    for (int i = 0; i < 2000; i++) {
        assert_true(fails(&c, 0, 3, now_ms));
        now_ms = mg_ejection_of(&c.servers[0], NOW).until_ms;
    }
    assert_true(fails(&c, 0, 3, now_ms));
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).until_ms, now_ms + 30 * 1000);
    cells_deinit(&c);
}

static void no_more_than_their_share_are_out(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 5);
    assert_true(fails(&c, 0, 3, 1000));
    assert_true(fails(&c, 1, 3, 1000));
    assert_false(fails(&c, 2, 9, 1000));
    assert_true(fails(&c, 2, 1, 2000)); // the others are back
    cells_deinit(&c);
    cells_init(&c, NULL, 0, 3); // half of three is one
    assert_true(fails(&c, 0, 3, 1000));
    assert_false(fails(&c, 1, 9, 1000));
    cells_deinit(&c);
}

static void the_last_one_is_never_taken(void **state) {
    (void)state;
    cells c;
    const mg_outlier_options all = {.on = true, .failures = 1, .eject_ms = 1000, .most = 1};
    const mg_health_options health = {.on = true, .up = 1, .down = 1};
    cells_init(&c, NULL, 0, 1);
    assert_false(fails(&c, 0, 9, 1000));
    cells_deinit(&c);
    cells_init(&c, NULL, 0, 3);
    assert_true(mg_health_tell(&health, &c.servers[1], MG_FOUND_REFUSED, 0, 1000));
    assert_true(mg_outlier_tell(&all, &c.group, &c.servers[0], MG_RESULT_BAD, 1000));
    assert_false(mg_outlier_tell(&all, &c.group, &c.servers[2], MG_RESULT_BAD, 1000));
    cells_deinit(&c);
}

static void what_fails_while_it_is_out_does_not_count(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 4);
    assert_true(fails(&c, 0, 3, 1000));
    assert_false(fails(&c, 0, 50, 1500));
    succeed(&c, 0, 1500);
    assert_int_equal(mg_ejection_of(&c.servers[0], NOW).until_ms, 2000);
    assert_false(fails(&c, 0, 2, 2000));
    assert_true(fails(&c, 0, 1, 2000));
    cells_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_eject),
        cmocka_unit_test(what_nobody_meant_ejects_nobody),
        cmocka_unit_test(nothing_is_ejected_unless_it_is_configured),
        cmocka_unit_test(each_time_lasts_longer_until_it_was_well_for_as_long),
        cmocka_unit_test(it_does_not_grow_without_end),
        cmocka_unit_test(no_more_than_their_share_are_out),
        cmocka_unit_test(the_last_one_is_never_taken),
        cmocka_unit_test(what_fails_while_it_is_out_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
