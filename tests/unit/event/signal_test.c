#include "event/signal.h"

#include "wire.h"

#include <signal.h>

static mg_loop *loop;
static int heard;

static void on_signal(void *arg, int signum) {
    assert_ptr_equal(arg, &heard);
    assert_int_equal(signum, SIGUSR1);
    heard++;
}

static void a_signal_becomes_an_event_and_does_not_keep_the_loop_running(void **state) {
    (void)state;
    alarm(30);
    mg_signal *s;
    loop = new_loop(false);
    assert_int_equal(mg_signal_open(&s, loop, SIGUSR1, on_signal, &heard), 0);
    mg_loop_run(loop);
    assert_int_equal(heard, 0);
    raise(SIGUSR1);
    while (heard == 0) {
        mg_loop_turn(loop, false, false, 0);
    }
    assert_int_equal(heard, 1);
    mg_signal_close(s);
    mg_signal_close(NULL);
    assert_int_equal(mg_loop_free(loop), 0);
}

static void a_signal_that_cannot_be_caught_is_refused(void **state) {
    (void)state;
    mg_signal *s;
    loop = new_loop(false);
    assert_true(mg_signal_open(&s, loop, SIGKILL, on_signal, &heard) < 0);
    assert_int_equal(mg_loop_free(loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_becomes_an_event_and_does_not_keep_the_loop_running),
        cmocka_unit_test(a_signal_that_cannot_be_caught_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
