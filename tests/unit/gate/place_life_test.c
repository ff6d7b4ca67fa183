#include "gate/place_life.h"

#include "unit.h"

static mg_place_life life;

static int set_up(void **state) {
    (void)state;
    life = (mg_place_life){0};
    return 0;
}

static void serve(uint64_t now_ms) {
    mg_place_life_start(&life);
    assert_true(mg_place_life_serve(&life, now_ms));
}

// Its loop is busy and does not get on.
static unsigned look_stuck(uint64_t gap_ms) {
    return mg_place_life_watch(
        &life, &(mg_place_look){
                   .busy = true, .progress = 7, .gap_ms = gap_ms, .warn_ms = 250, .kill_ms = 1000});
}

static void only_what_is_drawn_may_happen(void **state) {
    static const char *const allowed[] = {
        // to: EMPTY, STARTING, SERVING, STOPPING, WAITING
        [MG_PLACE_EMPTY] = "01000",    [MG_PLACE_STARTING] = "10111", [MG_PLACE_SERVING] = "10011",
        [MG_PLACE_STOPPING] = "10000", [MG_PLACE_WAITING] = "11000",
    };
    (void)state;
    for (mg_place_state from = MG_PLACE_EMPTY; from <= MG_PLACE_WAITING; from++) {
        for (mg_place_state to = MG_PLACE_EMPTY; to <= MG_PLACE_WAITING; to++) {
            assert_int_equal(mg_place_may_become(from, to), allowed[from][to] == '1');
        }
    }
}

static void it_begins_to_serve_once(void **state) {
    (void)state;
    serve(50);
    assert_int_equal(life.state, MG_PLACE_SERVING);
    assert_int_equal(life.since_ms, 50);
    assert_false(mg_place_life_serve(&life, 90));
    assert_int_equal(life.since_ms, 50);
    assert_int_equal(life.restarts, 0);
}

static void one_that_dies_is_replaced_at_once_if_it_had_lived(void **state) {
    (void)state;
    serve(1000);
    mg_place_life_die(&life, true, 3000);
    assert_int_equal(life.state, MG_PLACE_WAITING);
    assert_int_equal(life.backoff_ms, 0);
    assert_true(mg_place_will_serve(&life));
    mg_place_life_start(&life);
    assert_int_equal(life.restarts, 1);
}

static void those_that_die_young_wait_longer_each_time(void **state) {
    static const uint32_t waits[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    (void)state;
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        serve(1000);
        mg_place_life_die(&life, true, 2999);
        assert_int_equal(life.backoff_ms, waits[i]);
        assert_false(mg_place_will_serve(&life)); // nobody waits for a crash loop
    }
    serve(1000);
    mg_place_life_die(&life, true, 3000);
    assert_int_equal(life.backoff_ms, 0);
}

static void one_that_dies_while_it_starts_has_not_lived(void **state) {
    (void)state;
    mg_place_life_start(&life);
    mg_place_life_die(&life, true, 1000000);
    assert_int_equal(life.state, MG_PLACE_WAITING);
    assert_int_equal(life.backoff_ms, 100);
}

static void one_that_is_not_wanted_leaves_its_place_empty(void **state) {
    (void)state;
    serve(0);
    mg_place_life_die(&life, false, 1);
    assert_int_equal(life.state, MG_PLACE_EMPTY);
    assert_int_equal(life.backoff_ms, 0);
    serve(0);
    mg_place_life_stop(&life);
    mg_place_life_stop(&life); // the server stops meanwhile
    assert_int_equal(life.state, MG_PLACE_STOPPING);
    mg_place_life_die(&life, true, 1); // it was told to
    assert_int_equal(life.state, MG_PLACE_EMPTY);
}

static void a_stop_ends_the_wait_for_a_start(void **state) {
    (void)state;
    mg_place_life_stop(&life);
    assert_int_equal(life.state, MG_PLACE_EMPTY);
    serve(0);
    mg_place_life_die(&life, true, 1);
    mg_place_life_stop(&life);
    assert_int_equal(life.state, MG_PLACE_EMPTY);
}

static void a_loop_that_does_not_get_on_is_stuck(void **state) {
    (void)state;
    serve(0);
    assert_int_equal(look_stuck(100), 0); // its progress is new
    assert_int_equal(look_stuck(100), 0);
    assert_int_equal(look_stuck(100), 0);
    assert_true(mg_place_can_accept(&life));
    assert_int_equal(look_stuck(100), MG_PLACE_CHANGED);
    assert_false(mg_place_can_accept(&life));
    assert_true(mg_place_will_serve(&life));
    assert_int_equal(look_stuck(100), 0);
}

static void one_that_gets_on_or_waits_is_not_stuck(void **state) {
    (void)state;
    mg_place_look on = {.busy = true, .progress = 8, .gap_ms = 100, .warn_ms = 250};
    mg_place_look idle = {.busy = false, .progress = 7, .gap_ms = 100, .warn_ms = 250};
    serve(0);
    look_stuck(0);
    assert_int_equal(look_stuck(300), MG_PLACE_CHANGED);
    assert_int_equal(mg_place_life_watch(&life, &on), MG_PLACE_CHANGED);
    assert_int_equal(life.stuck_ms, 0);
    look_stuck(0);
    assert_int_equal(look_stuck(300), MG_PLACE_CHANGED);
    assert_int_equal(mg_place_life_watch(&life, &idle), MG_PLACE_CHANGED);
    assert_true(mg_place_can_accept(&life));
}

static void one_that_stays_stuck_is_killed_once(void **state) {
    (void)state;
    serve(0);
    look_stuck(0);
    assert_int_equal(look_stuck(999), MG_PLACE_CHANGED);
    assert_int_equal(look_stuck(1), MG_PLACE_KILL);
    assert_true(life.killed);
    assert_int_equal(look_stuck(1), 0);
    mg_place_life_die(&life, true, 5000);
    mg_place_life_start(&life);
    assert_false(life.killed);
    assert_false(life.stuck);
    assert_int_equal(life.stuck_ms, 0);
}

static void one_that_is_stuck_while_it_stops_is_killed_likewise(void **state) {
    (void)state;
    serve(0);
    look_stuck(0);
    look_stuck(400);
    mg_place_life_stop(&life);
    assert_true(mg_place_is_watched(&life));
    assert_int_equal(look_stuck(600), MG_PLACE_KILL);
    assert_false(mg_place_can_accept(&life));
    mg_place_life_die(&life, true, 5000);
    assert_int_equal(life.state, MG_PLACE_EMPTY);
    assert_false(mg_place_is_watched(&life));
}

static void with_zero_nothing_is_warned_of_or_killed(void **state) {
    (void)state;
    mg_place_look look = {.busy = true, .progress = 0, .gap_ms = 1000000};
    serve(0);
    assert_int_equal(mg_place_life_watch(&life, &look), 0);
    assert_true(mg_place_can_accept(&life));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_what_is_drawn_may_happen, set_up),
        cmocka_unit_test_setup(it_begins_to_serve_once, set_up),
        cmocka_unit_test_setup(one_that_dies_is_replaced_at_once_if_it_had_lived, set_up),
        cmocka_unit_test_setup(those_that_die_young_wait_longer_each_time, set_up),
        cmocka_unit_test_setup(one_that_dies_while_it_starts_has_not_lived, set_up),
        cmocka_unit_test_setup(one_that_is_not_wanted_leaves_its_place_empty, set_up),
        cmocka_unit_test_setup(a_stop_ends_the_wait_for_a_start, set_up),
        cmocka_unit_test_setup(a_loop_that_does_not_get_on_is_stuck, set_up),
        cmocka_unit_test_setup(one_that_gets_on_or_waits_is_not_stuck, set_up),
        cmocka_unit_test_setup(one_that_stays_stuck_is_killed_once, set_up),
        cmocka_unit_test_setup(one_that_is_stuck_while_it_stops_is_killed_likewise, set_up),
        cmocka_unit_test_setup(with_zero_nothing_is_warned_of_or_killed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
