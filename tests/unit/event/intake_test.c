#include "event/intake.h"

#include "wire.h"

typedef struct item {
    mg_intake of;
    bool given_up;
} item;

static mg_loop *loop;
static mg_intakes *all;
static item items[100];

static void give_up(mg_intake *i) {
    MG_OF(i, item, of)->given_up = true;
    mg_intake_hold(all, i, 0, false);
}

static void keep_all(mg_intake *i) {
    (void)i;
}

static int set_up(void **state) {
    (void)state;
    loop = new_loop(true);
    all = mg_loop_intakes(loop);
    all->most = 1000;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        items[i].given_up = false;
        mg_intake_init(&items[i].of, give_up);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        mg_intake_hold(all, &items[i].of, 0, false);
    }
    assert_int_equal(all->held, 0);
    assert_true(mg_link_alone(&all->list));
    mg_loop_free(loop);
    return 0;
}

static void hold(int i, size_t n) {
    mg_intake_hold(all, &items[i].of, n, true);
}

static void pass(uint64_t ms) {
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + ms);
}

static void within_the_bound_all_are_let(void **state) {
    (void)state;
    hold(0, 600);
    hold(1, 400);
    assert_false(all->over);
    mg_intakes_bound(all);
    assert_false(items[0].given_up || items[1].given_up);
}

static void who_holds_most_goes(void **state) {
    (void)state;
    hold(0, 300);
    hold(1, 500);
    hold(2, 300);
    assert_true(all->over);
    mg_intakes_bound(all);
    assert_true(items[1].given_up);
    assert_false(items[0].given_up || items[2].given_up);
    assert_int_equal(all->held, 600);
    assert_false(all->over);
}

static void who_comes_fast_is_let_though_it_holds_more(void **state) {
    (void)state;
    hold(0, 400);
    hold(1, 100);
    pass(100);
    hold(1, 600);
    hold(2, 100);
    mg_intakes_bound(all);
    assert_true(items[0].given_up);
    assert_false(items[1].given_up || items[2].given_up);
}

static void whom_we_have_paused_is_not_slow(void **state) {
    (void)state;
    hold(0, 600);
    items[0].of.paused = true;
    pass(1000);
    hold(1, 300);
    hold(2, 200);
    mg_intakes_bound(all);
    assert_false(items[0].given_up || items[2].given_up);
    assert_true(items[1].given_up);
}

static void one_alone_may_hold_more(void **state) {
    (void)state;
    hold(0, 5000);
    mg_intakes_bound(all);
    assert_false(items[0].given_up);
    hold(1, 1);
    mg_intakes_bound(all);
    assert_true(items[0].given_up);
    assert_false(items[1].given_up);
}

static void what_is_whole_counts_but_is_let(void **state) {
    (void)state;
    mg_intake_hold(all, &items[0].of, 900, false);
    hold(1, 60);
    hold(2, 70);
    mg_intakes_bound(all);
    assert_false(items[0].given_up);
    assert_true(items[2].given_up);
    assert_int_equal(all->held, 960);
}

// Each is looked at, though only a few at a time.
static void none_hides_behind_many(void **state) {
    (void)state;
    all->most = 1200;
    for (int i = 0; i < 99; i++) {
        hold(i, 10);
    }
    hold(99, 200);
    for (int i = 0; i < 2; i++) {
        hold(0, 1000);
        mg_intakes_bound(all);
        hold(0, 10);
    }
    assert_true(items[99].given_up);
}

static void a_bound_that_is_taken_away_gives_nobody_up(void **state) {
    (void)state;
    hold(0, 800);
    hold(1, 800);
    all->most = 0; // as by a reload, in the very turn
    mg_intakes_bound(all);
    assert_false(all->over);
    assert_false(items[0].given_up || items[1].given_up);
}

static void who_lets_go_of_nothing_does_not_hold_up_the_rest(void **state) {
    (void)state;
    mg_intake stubborn;
    mg_intake_init(&stubborn, keep_all);
    mg_intake_hold(all, &stubborn, 2000, true);
    hold(0, 100);
    hold(1, 100);
    mg_intakes_bound(all);
    assert_int_equal(1, items[0].given_up + items[1].given_up); // one alone is let
    mg_intake_hold(all, &stubborn, 0, false);
}

static void without_a_bound_nobody_goes(void **state) {
    (void)state;
    all->most = 0;
    hold(0, 100000);
    hold(1, 100000);
    assert_false(all->over);
    mg_intakes_bound(all);
    assert_int_equal(all->held, 200000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(within_the_bound_all_are_let),
        TEST(who_holds_most_goes),
        TEST(who_comes_fast_is_let_though_it_holds_more),
        TEST(whom_we_have_paused_is_not_slow),
        TEST(one_alone_may_hold_more),
        TEST(what_is_whole_counts_but_is_let),
        TEST(none_hides_behind_many),
        TEST(without_a_bound_nobody_goes),
        TEST(a_bound_that_is_taken_away_gives_nobody_up),
        TEST(who_lets_go_of_nothing_does_not_hold_up_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
