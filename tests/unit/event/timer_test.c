#include "event/timer.h"

#include "wire.h"

typedef struct tick {
    mg_timer timer;
    char name;
    struct tick *victim;
    uint64_t again_ms;
    int left;
} tick;

static mg_loop *loop;
static mg_buf order;

static void on_time(mg_timer *t) {
    tick *k = MG_OF(t, tick, timer);
    mg_buf_append_char(&order, k->name);
    if (k->victim != NULL) {
        mg_timer_stop(&k->victim->timer);
    }
    if (k->left > 0) {
        k->left--;
        mg_timer_start(loop, t, k->again_ms, 0, on_time);
    }
}

static void start(tick *k, char name, uint64_t after_ms) {
    k->name = name;
    mg_timer_start(loop, &k->timer, after_ms, 0, on_time);
}

static void assert_order(const char *expected) {
    mg_buf_append_char(&order, '\0');
    assert_string_equal(order.p, expected);
    mg_buf_clear(&order);
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(true);
    return 0;
}

static int set_up_real(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(false);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&order);
    return mg_loop_free(loop);
}

static void timers_fire_in_order_of_time_then_of_start(void **state) {
    (void)state;
    tick k[5] = {0};
    start(&k[0], 'c', 30);
    start(&k[1], 'a', 10);
    start(&k[2], 'd', 30);
    start(&k[3], 'b', 20);
    start(&k[4], 'e', 40);
    mg_loop_run(loop);
    assert_order("abcde");
    assert_int_equal(mg_loop_now_ms(loop), 40);
}

static void the_clock_stands_still_until_nothing_else_can_happen(void **state) {
    (void)state;
    tick k = {0};
    start(&k, 'a', 86400000);
    assert_int_equal(mg_loop_turn(loop, true, false, UINT64_MAX), MG_LOOP_IDLE);
    assert_int_equal(mg_loop_now_ms(loop), 0);
    assert_int_equal(mg_loop_turn(loop, true, true, 86399999), MG_LOOP_IDLE);
    assert_int_equal(mg_loop_turn(loop, true, true, 86400000), MG_LOOP_JUMPED);
    assert_int_equal(mg_loop_now_ms(loop), 86400000);
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_IDLE);
    assert_order("a");
}

static void a_timer_stopped_in_a_callback_does_not_fire(void **state) {
    (void)state;
    tick k[3] = {0};
    k[0].victim = &k[1];
    start(&k[0], 'a', 10);
    start(&k[1], 'b', 10);
    start(&k[2], 'c', 10);
    mg_loop_run(loop);
    assert_order("ac");
    assert_false(mg_timer_active(&k[1].timer));
}

static void a_timer_of_zero_restarted_in_its_callback_waits_for_the_next_turn(void **state) {
    (void)state;
    tick k = {.again_ms = 0, .left = 3};
    tick other = {0};
    start(&k, 'a', 0);
    start(&other, 'b', 0);
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_MOVED);
    assert_order("ab");
    mg_loop_run(loop);
    assert_order("aaa");
    assert_int_equal(mg_loop_now_ms(loop), 0);
}

static void starting_an_active_timer_moves_it(void **state) {
    (void)state;
    tick k[3] = {0};
    start(&k[0], 'a', 10);
    start(&k[1], 'b', 20);
    start(&k[2], 'c', 30);
    start(&k[0], 'a', 25);
    start(&k[2], 'c', 5);
    mg_loop_run(loop);
    assert_order("cba");
}

static void on_repeat(mg_timer *t) {
    tick *k = MG_OF(t, tick, timer);
    mg_buf_append_char(&order, k->name);
    if (--k->left == 0) {
        mg_timer_stop(t);
    }
}

static void a_repeating_timer_repeats_until_stopped_and_does_not_catch_up(void **state) {
    (void)state;
    tick k = {.name = 'r', .left = 3};
    mg_timer_start(loop, &k.timer, 5, 10, on_repeat);
    mg_loop_set_now(loop, 100);
    mg_loop_turn(loop, false, false, 0);
    assert_order("r");
    mg_loop_run(loop);
    assert_order("rr");
    assert_int_equal(mg_loop_now_ms(loop), 120);
}

static void set_now_lets_due_timers_fire_and_never_goes_back(void **state) {
    (void)state;
    tick k[2] = {0};
    start(&k[0], 'a', 10);
    start(&k[1], 'b', 11);
    mg_loop_set_now(loop, 10);
    mg_loop_set_now(loop, 3);
    assert_int_equal(mg_loop_now_ms(loop), 10);
    assert_int_equal(mg_loop_turn(loop, false, false, 0), MG_LOOP_MOVED);
    assert_order("a");
    mg_timer_stop(&k[1].timer);
}

static void an_endless_wait_does_not_overflow(void **state) {
    (void)state;
    tick k[2] = {0};
    mg_loop_set_now(loop, 1000);
    start(&k[0], 'z', UINT64_MAX);
    start(&k[1], 'a', 1);
    assert_int_equal(mg_loop_turn(loop, false, true, 5000), MG_LOOP_JUMPED);
    assert_order("a");
    mg_timer_stop(&k[0].timer);
}

static void a_thousand_timers_started_and_stopped_at_random_fire_in_order(void **state) {
    (void)state;
    enum { N = 1000 };
    static tick k[N];
    memset(k, 0, sizeof k);
    unsigned seed = 7;
    for (int i = 0; i < N * 10; i++) {
        tick *one = &k[(unsigned)rand_r(&seed) % N];
        if (rand_r(&seed) % 4 == 0) {
            mg_timer_stop(&one->timer);
        } else {
            start(one, 'x', (uint64_t)rand_r(&seed) % 500);
        }
    }
    int active = 0;
    for (int i = 0; i < N; i++) {
        active += mg_timer_active(&k[i].timer);
    }
    uint64_t last = 0;
    while (mg_loop_turn(loop, false, true, UINT64_MAX) != MG_LOOP_IDLE) {
        for (int i = 0; i < N; i++) {
            assert_true(!mg_timer_active(&k[i].timer) ||
                        mg_timer_at_ms(&k[i].timer) > mg_loop_now_ms(loop));
        }
        assert_true(mg_loop_now_ms(loop) >= last);
        last = mg_loop_now_ms(loop);
    }
    assert_int_equal(order.n, active);
}

static void a_real_loop_runs_as_long_as_a_timer_is_armed(void **state) {
    (void)state;
    tick k[4] = {{.again_ms = 2, .left = 2}, {.again_ms = 0, .left = 2}};
    start(&k[0], 'a', 1);
    start(&k[1], 'z', 0);
    start(&k[2], 'b', 30);
    start(&k[3], 'x', 600000);
    mg_timer_stop(&k[3].timer);
    uint64_t began = mg_loop_now_ms(loop);
    mg_loop_run(loop);
    assert_true(mg_loop_now_ms(loop) >= began + 30);
    assert_int_equal(order.p[0], 'z');
    assert_int_equal(order.n, 7);
    assert_int_equal(order.p[6], 'b');
}

static void an_exact_timer_is_never_early_nor_in_the_way_of_others(void **state) {
    (void)state;
    tick k[3] = {{.name = 'e'}, {.name = 'l'}, {.name = 'm'}};
    start(&k[2], 'm', 0);
    uint64_t began_us = mg_loop_now_us(loop);
    mg_timer_start_exact(loop, &k[1].timer, UINT64_MAX, on_time);
    mg_timer_start_exact(loop, &k[0].timer, 2300, on_time);
    while (mg_timer_active(&k[0].timer)) {
        mg_loop_turn(loop, true, false, UINT64_MAX);
    }
    assert_true(mg_loop_now_us(loop) >= began_us + 2300);
    mg_timer_stop(&k[1].timer);
    assert_order("me");
}

static void an_exact_timer_of_a_virtual_clock_waits_for_the_next_millisecond(void **state) {
    (void)state;
    tick k[2] = {{.name = 'a'}, {.name = 'b'}};
    mg_timer_start_exact(loop, &k[1].timer, 1500, on_time);
    mg_timer_start_exact(loop, &k[0].timer, 999, on_time);
    mg_loop_turn(loop, false, true, UINT64_MAX);
    assert_order("a");
    assert_int_equal(mg_loop_now_ms(loop), 1);
    mg_loop_run(loop);
    assert_order("b");
    assert_int_equal(mg_loop_now_ms(loop), 2);
    mg_timer_start_exact(loop, &k[0].timer, UINT64_MAX, on_time);
    assert_int_equal(mg_loop_turn(loop, false, true, 5000), MG_LOOP_IDLE);
    mg_timer_stop(&k[0].timer);
}

static void on_time_keep_busy(mg_timer *t) {
    on_time(t);
    uint64_t until_us = mg_loop_now_us(loop) + 8000;
    while (mg_loop_now_us(loop) < until_us) {
    }
}

static void a_deadline_that_passes_in_a_busy_turn_waits_for_the_next_poll(void **state) {
    (void)state;
    tick k[3] = {{.name = 'b'}, {.name = 'e'}, {.name = 'd'}};
    mg_timer_start(loop, &k[0].timer, 0, 0, on_time_keep_busy);
    mg_timer_start_exact(loop, &k[1].timer, 1300, on_time);
    mg_timer_start(loop, &k[2].timer, 4, 0, on_time);
    mg_loop_turn(loop, false, false, UINT64_MAX);
    assert_order("be");
    mg_loop_run(loop);
    assert_order("d");
}

static void a_real_loop_without_timers_returns(void **state) {
    (void)state;
    tick k = {0};
    start(&k, 'a', 600000);
    mg_loop_turn(loop, false, false, 0);
    mg_timer_stop(&k.timer);
    mg_loop_run(loop);
    assert_int_equal(order.n, 0);
}

static void a_real_poll_is_bounded_again_after_an_earlier_timer_came_and_went(void **state) {
    (void)state;
    tick k[3] = {0};
    start(&k[0], 'c', 20);
    start(&k[1], 'x', 1);
    mg_timer_stop(&k[1].timer);
    start(&k[2], 'b', 10);
    mg_loop_run(loop);
    assert_order("bc");
}

#define VIRTUAL(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define REAL(f)    cmocka_unit_test_setup_teardown(f, set_up_real, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        VIRTUAL(timers_fire_in_order_of_time_then_of_start),
        VIRTUAL(the_clock_stands_still_until_nothing_else_can_happen),
        VIRTUAL(a_timer_stopped_in_a_callback_does_not_fire),
        VIRTUAL(a_timer_of_zero_restarted_in_its_callback_waits_for_the_next_turn),
        VIRTUAL(starting_an_active_timer_moves_it),
        VIRTUAL(a_repeating_timer_repeats_until_stopped_and_does_not_catch_up),
        VIRTUAL(set_now_lets_due_timers_fire_and_never_goes_back),
        VIRTUAL(an_endless_wait_does_not_overflow),
        VIRTUAL(a_thousand_timers_started_and_stopped_at_random_fire_in_order),
        VIRTUAL(an_exact_timer_of_a_virtual_clock_waits_for_the_next_millisecond),
        REAL(a_deadline_that_passes_in_a_busy_turn_waits_for_the_next_poll),
        REAL(an_exact_timer_is_never_early_nor_in_the_way_of_others),
        REAL(a_real_loop_runs_as_long_as_a_timer_is_armed),
        REAL(a_real_loop_without_timers_returns),
        REAL(a_real_poll_is_bounded_again_after_an_earlier_timer_came_and_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
