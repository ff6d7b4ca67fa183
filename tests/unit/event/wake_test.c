#include "event/wake.h"

#include "event/timer.h"
#include "wire.h"

#include <pthread.h>

static mg_loop *loop;
static mg_wake *wake;
static int wakes;
static bool close_in_wake;

static void on_wake(void *arg) {
    assert_ptr_equal(arg, &wakes);
    wakes++;
    if (close_in_wake) {
        mg_wake_close(wake);
    }
}

static void *send_from_thread(void *arg) {
    mg_wake_send(arg);
    return NULL;
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(false);
    wakes = 0;
    close_in_wake = false;
    return mg_wake_open(&wake, loop, on_wake, &wakes);
}

static int tear_down(void **state) {
    (void)state;
    return mg_loop_free(loop);
}

static void on_time(mg_timer *t) {
    (void)t;
    fail_msg("the wake was lost");
}

static void another_thread_makes_the_loop_call_back(void **state) {
    (void)state;
    mg_timer guard = {0}; // an open wake alone would not let the poll wait
    mg_timer_start(loop, &guard, 20000, 0, on_time);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_from_thread, wake), 0);
    turn_until(loop, &wakes, 1);
    pthread_join(thread, NULL);
    mg_timer_stop(&guard);
    mg_wake_close(wake);
}

static void many_sends_may_become_one_call_but_never_none(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        mg_wake_send(wake);
    }
    turn_times(loop, 2);
    assert_in_range(wakes, 1, 100);
    mg_wake_close(wake);
}

static void an_open_wake_does_not_keep_the_loop_running(void **state) {
    (void)state;
    mg_loop_run(loop);
    assert_int_equal(wakes, 0);
    mg_wake_close(wake);
}

static void *send_later(void *arg) {
    usleep(20000);
    mg_wake_send(arg);
    return NULL;
}

static void an_expected_send_keeps_the_loop_running(void **state) {
    (void)state;
    close_in_wake = true;
    mg_wake_expect(wake, true);
    mg_wake_expect(wake, true);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_later, wake), 0);
    mg_loop_run(loop); // ends, because the call closes the wake
    assert_int_equal(wakes, 1);
    pthread_join(thread, NULL);
}

static void a_virtual_clock_stands_still_while_a_send_is_expected(void **state) {
    (void)state;
    mg_loop *other = new_loop(true);
    mg_wake *w;
    assert_int_equal(mg_wake_open(&w, other, on_wake, &wakes), 0);
    mg_timer timer = {0};
    mg_timer_start(other, &timer, 1000, 0, on_time);
    mg_wake_expect(w, true);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_later, w), 0);
    turn_until(other, &wakes, 1);
    pthread_join(thread, NULL);
    assert_int_equal(mg_loop_now_ms(other), 0);
    assert_true(mg_loop_has_outside_work(other));
    mg_wake_expect(w, false);
    assert_false(mg_loop_has_outside_work(other));
    mg_timer_stop(&timer);
    mg_wake_close(w);
    assert_int_equal(mg_loop_free(other), 0);
    mg_wake_close(wake);
}

static void closing_inside_the_call_is_allowed(void **state) {
    (void)state;
    close_in_wake = true;
    mg_wake_send(wake);
    turn_times(loop, 3);
    assert_int_equal(wakes, 1);
}

static void nothing_comes_after_close(void **state) {
    (void)state;
    mg_wake_send(wake);
    mg_wake_close(wake);
    turn_times(loop, 3);
    assert_int_equal(wakes, 0);
    mg_wake_close(NULL);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(another_thread_makes_the_loop_call_back),
        EACH(many_sends_may_become_one_call_but_never_none),
        EACH(an_open_wake_does_not_keep_the_loop_running),
        EACH(an_expected_send_keeps_the_loop_running),
        EACH(a_virtual_clock_stands_still_while_a_send_is_expected),
        EACH(closing_inside_the_call_is_allowed),
        EACH(nothing_comes_after_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
