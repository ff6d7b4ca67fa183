#include "proxy/admission.h"

#include "cells.h"

#include "base/error.h"

#include "proxy/verdict.h"

static mg_upstream_options want;
static mg_no_server why;
static char line[600];
static int lines;

static void on_warning(void *arg, const char *text) {
    (void)arg;
    snprintf(line, sizeof line, "%s", text);
    lines++;
}

static const mg_changes to = {on_warning, on_warning, NULL};

static int setup(void **state) {
    cells *c = test_calloc(1, sizeof *c);
    cells_init(c, NULL, 0, 3);
    want = (mg_upstream_options){.retries = {.budget = 0.2}};
    lines = 0;
    *state = c;
    return 0;
}

static int teardown(void **state) {
    cells_deinit(*state);
    test_free(*state);
    return 0;
}

static int admit(cells *c, mg_admission *a, mg_choice_kind kind, uint64_t now_ms) {
    return mg_admit(a, &want, &c->upstream, kind, now_ms, &why);
}

static void end(cells *c, const mg_admission *a, mg_result result, uint64_t now_ms) {
    mg_admission_end(a, &want, &c->group, &c->servers[0], result, now_ms, &to);
}

static void assert_nothing_under_way(const cells *c) {
    mg_upstream_sums now = mg_upstream_sum(&c->upstream);
    assert_int_equal(now.in_flight, 0);
    assert_int_equal(now.extra, 0);
}

static void by_default_all_may_pass(void **state) {
    cells *c = *state;
    mg_admission a;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 1000), MG_OK);
        end(c, &a, MG_RESULT_BAD, 1000);
        assert_true(mg_server_is_usable(&want, &c->servers[0], 1000));
    }
    assert_int_equal(lines, 0);
    assert_nothing_under_way(c);
}

static void an_open_circuit_says_when_to_come_again(void **state) {
    cells *c = *state;
    mg_admission a;
    want.circuit = (mg_circuit_options){.on = true, .failures = 0.5, .volume = 2, .open_ms = 5000};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 1000), MG_OK);
        end(c, &a, MG_RESULT_BAD, 1000);
    }
    assert_string_equal(line,
                        "upstream shop: the circuit is open for 5.0 s: too many requests failed");
    assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 1500), MG_EAGAIN);
    assert_int_equal(why.retry_after, 5);
    assert_int_equal(admit(c, &a, MG_CHOICE_RETRY, 5999), MG_EAGAIN);
    assert_int_equal(why.retry_after, 1);
    assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 6000), MG_OK);
    mg_admission_undo(&a, &want, &c->upstream, 6000); // no server: another one is the probe
    assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 6000), MG_OK);
    end(c, &a, MG_RESULT_GOOD, 6100);
    assert_string_equal(line, "upstream shop: the circuit is closed again");
    assert_int_equal(lines, 2);
    assert_nothing_under_way(c);
}

static void too_many_at_once_are_refused(void **state) {
    cells *c = *state;
    mg_admission a, b;
    want.circuit = (mg_circuit_options){.on = true, .in_flight = 1};
    assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 1000), MG_OK);
    assert_int_equal(admit(c, &b, MG_CHOICE_RETRY, 1000), MG_ELIMIT);
    assert_string_equal(why.why, "circuit.in_flight requests are under way");
    assert_int_equal(why.retry_after, 1);
    end(c, &a, MG_RESULT_GOOD, 1000);
    assert_nothing_under_way(c);
}

static void retries_have_a_budget(void **state) {
    cells *c = *state;
    mg_admission a[4];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admit(c, &a[i], MG_CHOICE_RETRY, 1000), MG_OK);
    }
    assert_int_equal(admit(c, &a[3], MG_CHOICE_HEDGE, 1000), MG_EAGAIN);
    assert_string_equal(why.why, "the budget for retries is used up");
    assert_int_equal(admit(c, &a[3], MG_CHOICE_MIRROR, 1000), MG_OK);
    for (int i = 0; i < 4; i++) {
        end(c, &a[i], MG_RESULT_GOOD, 1000);
    }
    assert_nothing_under_way(c);
    assert_int_equal(atomic_load(&c->upstream.own->retries), 3);
}

static void an_ejection_is_told(void **state) {
    cells *c = *state;
    mg_admission a;
    want.outlier = (mg_outlier_options){.on = true, .failures = 2, .eject_ms = 10000, .most = 0.5};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(admit(c, &a, MG_CHOICE_FIRST, 1000), MG_OK);
        end(c, &a, MG_RESULT_BAD, 1000);
    }
    assert_string_equal(
        line, "upstream shop: http://host-0 is left out for 10.0 s: it failed 2 times in a row");
    assert_false(mg_server_is_usable(&want, &c->servers[0], 10999));
    assert_true(mg_server_is_usable(&want, &c->servers[0], 11000));
}

static void a_server_that_is_down_is_not_usable(void **state) {
    cells *c = *state;
    want.health = (mg_health_options){.on = true, .up = 1, .down = 1};
    assert_true(mg_server_is_usable(&want, &c->servers[0], 1000));
    mg_health_tell(&want.health, &c->servers[0], MG_FOUND_REFUSED, 0, 1000);
    assert_false(mg_server_is_usable(&want, &c->servers[0], 1000));
    want.health.on = false; // a reload took the checks away
    assert_true(mg_server_is_usable(&want, &c->servers[0], 1000));
}

static void how_a_try_ended(void **state) {
    (void)state;
    assert_int_equal(mg_result_of(&(mg_outcome){.status = 404}), MG_RESULT_GOOD);
    assert_int_equal(mg_result_of(&(mg_outcome){.status = 500}), MG_RESULT_BAD);
    assert_int_equal(mg_result_of(&(mg_outcome){0}), MG_RESULT_BAD);
    assert_int_equal(mg_result_of(&(mg_outcome){.cancelled = true}), MG_RESULT_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_default_all_may_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_circuit_says_when_to_come_again, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_at_once_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(retries_have_a_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(an_ejection_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_is_down_is_not_usable, setup, teardown),
        cmocka_unit_test(how_a_try_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
