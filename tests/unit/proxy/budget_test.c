#include "proxy/budget.h"

#include "cells.h"

static void in_flight(cells *c, int n) {
    atomic_store(&c->upstream.own->in_flight, (uint32_t)n);
}

static int begin_all(cells *c, double share) {
    int n = 0;
    while (mg_budget_begin(&c->upstream, share)) {
        n++;
        assert_true(n < 1000);
    }
    return n;
}

static void at_once_are_a_share_of_those_in_flight(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    assert_int_equal(begin_all(&c, 0.2), MG_BUDGET_LEAST);
    in_flight(&c, 99);
    assert_int_equal(begin_all(&c, 0.2), 20 - MG_BUDGET_LEAST);
    mg_budget_end(&c.upstream, false);
    assert_int_equal(begin_all(&c, 0.2), 1);
    assert_false(mg_budget_begin(&c.upstream, 0));
    cells_deinit(&c);
}

static void workers_have_one_budget(void **state) {
    (void)state;
    void *room = room_new();
    cells a, b;
    cells_init(&a, room, 0, 0);
    cells_init(&b, room, 1, 0);
    in_flight(&a, 49);
    in_flight(&b, 50);
    assert_int_equal(begin_all(&a, 0.2), 20);
    assert_int_equal(begin_all(&b, 0.2), 0);
    mg_shared_forget_worker(room, 0); // with those that it had in flight
    assert_int_equal(begin_all(&b, 0.2), 10);
    cells_deinit(&b);
    mg_shared_free(a.shared);
    room_free(room);
}

// One request after the other: there are never three at once.
static int retries_of(cells *c, int requests, bool dead) {
    int retries = 0;
    for (int i = 0; i < requests; i++) {
        mg_budget_pay(&c->upstream, 0.2);
        if (mg_budget_begin(&c->upstream, 0.2)) {
            retries++;
            mg_budget_end(&c->upstream, dead);
        }
    }
    return retries;
}

static void a_dead_upstream_sees_no_more_than_its_share_besides(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    assert_in_range(retries_of(&c, 10000, true), 1990, 2000 + MG_BUDGET_LEAST);
    cells_deinit(&c);
}

static void what_nobody_can_owe_is_no_debt(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    atomic_store(&c.upstream.cell->budget, UINT64_MAX / 2);
    assert_true(mg_budget_begin(&c.upstream, 0.2));
    mg_budget_pay(&c.upstream, 0.2);
    assert_int_equal(atomic_load(&c.upstream.cell->budget), 0);
    mg_budget_end(&c.upstream, false);
    cells_deinit(&c);
}

static void retries_that_succeed_cost_nothing(void **state) {
    (void)state;
    cells c;
    cells_init(&c, NULL, 0, 0);
    assert_int_equal(retries_of(&c, 1000, false), 1000);
    cells_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once_are_a_share_of_those_in_flight),
        cmocka_unit_test(workers_have_one_budget),
        cmocka_unit_test(a_dead_upstream_sees_no_more_than_its_share_besides),
        cmocka_unit_test(what_nobody_can_owe_is_no_debt),
        cmocka_unit_test(retries_that_succeed_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
