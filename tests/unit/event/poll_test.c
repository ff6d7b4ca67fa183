#include "event/poll.h"

#include "event/timer.h"

#include "wire.h"

#include <errno.h>

static mg_loop *loop;
static mg_poll *watch;
static int ends[2];
static int calls;
static int last_events;
static bool close_in_call;

static void on_ready(void *arg, int events) {
    assert_ptr_equal(arg, &calls);
    calls++;
    last_events = events;
    if (close_in_call) {
        mg_poll_close(watch);
        watch = NULL;
    }
}

static void on_later(mg_timer *t) {
    (void)t;
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(false);
    calls = 0;
    close_in_call = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return mg_poll_open(&watch, loop, ends[0], on_ready, &calls);
}

static int tear_down(void **state) {
    (void)state;
    mg_poll_close(watch);
    close(ends[0]);
    close(ends[1]);
    return mg_loop_free(loop);
}

static void what_is_wanted_is_reported_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(mg_poll_want(watch, MG_POLL_READ), 0);
    turn_times(loop, 3);
    assert_int_equal(calls, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    turn_until(loop, &calls, 1);
    assert_int_equal(last_events, MG_POLL_READ);
    assert_int_equal(mg_poll_want(watch, MG_POLL_READ | MG_POLL_WRITE), 0);
    turn_until(loop, &calls, 2);
    assert_int_equal(last_events, MG_POLL_READ | MG_POLL_WRITE);
}

static void a_virtual_clock_stands_still_while_it_is_awaited(void **state) {
    (void)state;
    mg_timer later = {0};
    mg_loop *virtual = new_loop(true);
    mg_poll *p;
    assert_int_equal(mg_poll_open(&p, virtual, ends[1], on_ready, &calls), 0);
    assert_int_equal(mg_poll_want(p, MG_POLL_READ), 0);
    mg_timer_start(virtual, &later, 1000, 0, on_later);
    mg_poll_idle(p, false);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mg_loop_turn(virtual, false, true, UINT64_MAX), MG_LOOP_MOVED);
    }
    mg_poll_idle(p, true);
    assert_int_equal(mg_loop_turn(virtual, false, true, UINT64_MAX), MG_LOOP_JUMPED);
    assert_int_equal(mg_loop_now_ms(virtual), 1000);
    mg_timer_start(virtual, &later, 1000, 0, on_later);
    mg_poll_idle(p, false);
    mg_poll_close(p); // which awaits nothing any more
    while (mg_loop_now_ms(virtual) < 2000) {
        mg_loop_turn(virtual, false, true, UINT64_MAX);
    }
    assert_int_equal(mg_loop_free(virtual), 0);
}

static void wanting_nothing_stops(void **state) {
    (void)state;
    mg_poll_want(watch, MG_POLL_WRITE);
    turn_until(loop, &calls, 1);
    assert_int_equal(mg_poll_want(watch, 0), 0);
    turn_times(loop, 3);
    assert_int_equal(calls, 1);
    mg_loop_run(loop);
}

static void closing_inside_the_call_is_allowed(void **state) {
    (void)state;
    close_in_call = true;
    mg_poll_want(watch, MG_POLL_WRITE);
    turn_times(loop, 3);
    assert_int_equal(calls, 1);
}

static void a_watched_descriptor_is_outside_work(void **state) {
    (void)state;
    assert_true(mg_loop_has_outside_work(loop));
    mg_poll_close(watch);
    watch = NULL;
    assert_false(mg_loop_has_outside_work(loop));
}

static void a_failed_descriptor_is_reported_as_both(void **state) {
    (void)state;
    int pipe_ends[2];
    mg_poll *p;
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(mg_poll_open(&p, loop, pipe_ends[1], on_ready, &calls), 0);
    close(pipe_ends[0]);
    mg_poll_want(p, MG_POLL_READ);
    turn_until(loop, &calls, 1);
    assert_int_equal(last_events, MG_POLL_READ | MG_POLL_WRITE);
    mg_poll_close(p);
    close(pipe_ends[1]);
}

static void what_cannot_be_polled_is_refused(void **state) {
    (void)state;
    mg_poll *p;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(mg_poll_open(&p, loop, fd, on_ready, &calls), -EPERM);
    close(fd);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(what_is_wanted_is_reported_and_nothing_else),
        EACH(a_virtual_clock_stands_still_while_it_is_awaited),
        EACH(wanting_nothing_stops),
        EACH(closing_inside_the_call_is_allowed),
        EACH(a_watched_descriptor_is_outside_work),
        EACH(a_failed_descriptor_is_reported_as_both),
        EACH(what_cannot_be_polled_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
