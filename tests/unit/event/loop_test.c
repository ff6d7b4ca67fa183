#include "event/loop.h"

#include "event/timer.h"
#include "event/wake.h"
#include "wire.h"

#include <signal.h>
#include <unistd.h>

typedef struct hook {
    mg_turn turn;
    char name;
    struct hook *remove;
    struct hook *add;
    int soon;
} hook;

static mg_loop *loop;
static mg_buf order;

static void run(mg_turn *turn) {
    hook *h = MG_OF(turn, hook, turn);
    mg_buf_append_char(&order, h->name);
    if (h->remove != NULL) {
        mg_loop_remove_turn(&h->remove->turn);
        h->remove = NULL;
    }
    if (h->add != NULL) {
        mg_loop_add_turn(loop, &h->add->turn);
        h->add = NULL;
    }
    if (h->soon > 0) {
        h->soon--;
        mg_loop_turn_soon(loop);
    }
}

static void add(hook *h, char name) {
    h->name = name;
    h->turn.run = run;
    mg_loop_add_turn(loop, &h->turn);
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

static void hooks_run_once_a_turn_in_the_order_of_registration(void **state) {
    (void)state;
    hook h[3] = {0};
    add(&h[0], 'a');
    add(&h[1], 'b');
    add(&h[2], 'c');
    turn_times(loop, 2);
    assert_order("abcabc");
}

static void note_heard(mg_timer *t) {
    (void)t;
    mg_buf_append_char(&order, mg_loop_has_heard(loop) ? 'h' : '-');
}

static void run_noting(mg_turn *turn) {
    (void)turn;
    note_heard(NULL);
}

static void on_early_wake(void *arg) {
    (void)arg;
    note_heard(NULL);
}

static void all_has_been_heard_in_timers_and_hooks(void **state) {
    (void)state;
    mg_timer t = {0};
    mg_turn turn = {.run = run_noting};
    mg_wake *wake;
    mg_wake_open(&wake, loop, on_early_wake, NULL);
    mg_wake_send(wake);
    mg_timer_start(loop, &t, 0, 0, note_heard);
    mg_loop_add_turn(loop, &turn);
    turn_times(loop, 1);
    assert_order("-hh");
    assert_false(mg_loop_has_heard(loop));
    mg_wake_close(wake);
}

static void a_hook_may_remove_itself_its_neighbours_and_add_others(void **state) {
    (void)state;
    hook h[4] = {0};
    add(&h[0], 'a');
    add(&h[1], 'b');
    add(&h[2], 'c');
    h[3].name = 'd';
    h[3].turn.run = run;
    h[1].remove = &h[1];
    h[0].remove = &h[2];
    h[0].add = &h[3];
    turn_times(loop, 2);
    assert_order("abdad");
}

static void a_turn_asked_for_comes_without_waiting(void **state) {
    (void)state;
    hook h = {.soon = 3};
    add(&h, 'a');
    mg_loop_run(loop);
    assert_true(order.n >= 4);
    assert_int_equal(h.soon, 0);
}

static void on_time(mg_timer *t) {
    (void)t;
    mg_buf_append_char(&order, 't');
}

static void timers_fire_before_the_hooks_of_their_turn(void **state) {
    (void)state;
    hook h = {.soon = 0};
    mg_timer t = {0};
    add(&h, 'h');
    mg_timer_start(loop, &t, 0, 0, on_time);
    mg_loop_turn(loop, false, false, 0);
    assert_order("th");
}

static void bytes_come_before_timers_and_hooks(void **state) {
    (void)state;
    hook h = {.soon = 0};
    mg_timer t = {0};
    wire a = {.ends = 0};
    wire b = {.ends = 0};
    mg_stream_pair(loop, &a.s, &b.s, &wire_events, &wire_events, 10);
    mg_stream_read_start(&b.s);
    wire_send(&a, "x", 1);
    add(&h, 'h');
    mg_timer_start(loop, &t, 0, 0, on_time);
    mg_loop_turn(loop, false, false, 0);
    assert_int_equal(b.got.n, 1);
    assert_order("th");
    wire_close(loop, &a);
    wire_close(loop, &b);
}

static void stop_in_hook(mg_turn *turn) {
    mg_buf_append_char(&order, 's');
    mg_loop_turn_soon(loop);
    mg_loop_stop(loop);
    (void)turn;
}

static void stop_ends_run_while_there_is_work(void **state) {
    (void)state;
    mg_turn t = {.run = stop_in_hook};
    mg_loop_add_turn(loop, &t);
    mg_loop_run(loop);
    assert_order("s");
    mg_loop_run(loop);
    assert_order("s");
}

static void an_empty_turn_is_idle(void **state) {
    (void)state;
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_IDLE);
}

static void a_turn_that_finds_work_does_not_jump(void **state) {
    (void)state;
    mg_timer t = {0};
    wire a = {.ends = 0};
    wire b = {.ends = 0};
    mg_stream_pair(loop, &a.s, &b.s, &wire_events, &wire_events, 10);
    mg_stream_read_start(&b.s);
    mg_timer_start(loop, &t, 1000, 0, on_time);
    wire_send(&a, "x", 1);
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_MOVED);
    assert_int_equal(mg_loop_now_ms(loop), 0);
    assert_int_equal(b.got.n, 1);
    mg_loop_turn_soon(loop);
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_MOVED);
    assert_int_equal(mg_loop_now_ms(loop), 0);
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_JUMPED);
    assert_int_equal(mg_loop_now_ms(loop), 1000);
    assert_int_equal(mg_loop_now_us(loop), 1000000);
    wire_close(loop, &a);
    wire_close(loop, &b);
}

static void the_wall_clock_moves_with_the_virtual_one(void **state) {
    (void)state;
    uint64_t wall = mg_loop_wall_ms(loop);
    assert_true(wall > 1700000000000);
    mg_loop_set_now(loop, 5000);
    assert_int_equal(mg_loop_wall_ms(loop), wall + 5000);
}

static void the_real_clocks_move_forward(void **state) {
    (void)state;
    mg_timer t = {0};
    uint64_t now = mg_loop_now_ms(loop);
    uint64_t us = mg_loop_now_us(loop);
    mg_timer_start(loop, &t, 3, 0, on_time);
    mg_loop_run(loop);
    assert_true(mg_loop_now_ms(loop) >= now + 3);
    assert_true(mg_loop_now_us(loop) > us);
    assert_true(mg_loop_wall_ms(loop) > 1700000000000);
}

static void on_wake(void *arg) {
    (void)arg;
}

static void the_audit_counts_and_names_what_nobody_closed(void **state) {
    (void)state;
    alarm(30);
    mg_loop *own = new_loop(false);
    mg_wake *wake;
    mg_wake *closed;
    wire a = {.ends = 0};
    wire b = {.ends = 0};
    mg_wake_open(&wake, own, on_wake, NULL);
    mg_wake_open(&closed, own, on_wake, NULL);
    mg_wake_close(closed);
    mg_stream_pair(own, &a.s, &b.s, &wire_events, &wire_events, 10);
    mg_stream_close(&a.s, false);
    int pipe_ends[2];
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    int stderr_copy = dup(STDERR_FILENO);
    dup2(pipe_ends[1], STDERR_FILENO);
    int leaked = mg_loop_free(own);
    dup2(stderr_copy, STDERR_FILENO);
    char text[1024] = "";
    ssize_t n = read(pipe_ends[0], text, sizeof text - 1);
    close(stderr_copy);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    assert_int_equal(leaked, 2);
    assert_int_equal(a.closes, 1);
    assert_int_equal(b.closes, 0);
#ifdef MG_DEBUG
    assert_true(n > 0);
    assert_non_null(strstr(text, "async"));
    assert_non_null(strstr(text, "memory stream"));
#else
    assert_true(n <= 0);
#endif
    free(wake); // the loop cannot know whose memory it is
}

static void a_clock_that_is_read_anew_sees_what_the_turn_has_taken(void **state) {
    (void)state;
    uint64_t now = mg_loop_now_ms(loop);
    usleep(3000);
    assert_int_equal(mg_loop_now_ms(loop), now);
    mg_loop_refresh_now(loop);
    assert_true(mg_loop_now_ms(loop) >= now + 3);
}

static void free_works_after_a_stop_that_nobody_heard(void **state) {
    (void)state;
    mg_loop *own = new_loop(false);
    mg_loop_stop(own);
    assert_int_equal(mg_loop_free(own), 0);
    assert_int_equal(mg_loop_free(NULL), 0);
}

static void a_broken_pipe_does_not_end_the_process(void **state) {
    (void)state;
    struct sigaction now;
    assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
    assert_ptr_equal(now.sa_handler, SIG_IGN);
    assert_non_null(getenv("UV_THREADPOOL_SIZE"));
}

#define VIRTUAL(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define REAL(f)    cmocka_unit_test_setup_teardown(f, set_up_real, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        VIRTUAL(hooks_run_once_a_turn_in_the_order_of_registration),
        VIRTUAL(all_has_been_heard_in_timers_and_hooks),
        VIRTUAL(a_hook_may_remove_itself_its_neighbours_and_add_others),
        VIRTUAL(a_turn_asked_for_comes_without_waiting),
        VIRTUAL(timers_fire_before_the_hooks_of_their_turn),
        VIRTUAL(bytes_come_before_timers_and_hooks),
        VIRTUAL(stop_ends_run_while_there_is_work),
        VIRTUAL(an_empty_turn_is_idle),
        VIRTUAL(a_turn_that_finds_work_does_not_jump),
        VIRTUAL(the_wall_clock_moves_with_the_virtual_one),
        REAL(hooks_run_once_a_turn_in_the_order_of_registration),
        REAL(a_turn_asked_for_comes_without_waiting),
        REAL(timers_fire_before_the_hooks_of_their_turn),
        REAL(bytes_come_before_timers_and_hooks),
        REAL(stop_ends_run_while_there_is_work),
        REAL(an_empty_turn_is_idle),
        REAL(the_real_clocks_move_forward),
        REAL(a_clock_that_is_read_anew_sees_what_the_turn_has_taken),
        cmocka_unit_test(the_audit_counts_and_names_what_nobody_closed),
        cmocka_unit_test(free_works_after_a_stop_that_nobody_heard),
        cmocka_unit_test(a_broken_pipe_does_not_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
