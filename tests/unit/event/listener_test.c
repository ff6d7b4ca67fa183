#include "event/listener.h"

#include "event/timer.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

enum { MANY = 100 };

static mg_loop *loop;
static mg_listener *listener;
static mg_address address;
static wire wires[MANY + 1]; // one more is asked for when all have come
static int accepted;
static int calls;
static int failures;
static int last_failure;
static bool pause_in_call;
static bool close_in_call;
static bool close_after_accept;

static void on_connection(void *arg, mg_listener *l) {
    assert_ptr_equal(arg, &address);
    calls++;
    if (pause_in_call) {
        mg_listener_pause(l);
        return;
    }
    if (close_in_call) {
        mg_listener_close(l);
        listener = NULL;
        return;
    }
    assert_true(accepted <= MANY);
    wires[accepted] = (wire){.ends = 0};
    int rc = mg_listener_accept(l, &wires[accepted].s, &wire_events);
    if (rc == 0) {
        accepted++;
        if (close_after_accept) {
            mg_listener_close(l);
            listener = NULL;
        }
    } else if (rc != -EAGAIN) {
        failures++;
        last_failure = rc;
    }
}

static void open_on(bool virtual_clock) {
    alarm(30);
    loop = new_loop(virtual_clock);
    accepted = calls = failures = 0;
    pause_in_call = close_in_call = close_after_accept = false;
    int fd = listen_on("127.0.0.1:0");
    assert_int_equal(mg_listener_open(&listener, loop, fd, on_connection, &address), 0);
    assert_int_equal(mg_listener_address(listener, &address), 0);
}

static int set_up(void **state) {
    (void)state;
    open_on(false);
    return 0;
}

static int set_up_virtual(void **state) {
    (void)state;
    open_on(true);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_listener_close(listener);
    for (int i = 0; i < accepted; i++) {
        mg_stream_close(&wires[i].s, false);
    }
    int leaked = mg_loop_free(loop);
    for (int i = 0; i < accepted; i++) {
        mg_buf_deinit(&wires[i].got);
    }
    return leaked;
}

static void a_crowd_of_peers_is_taken_in(void **state) {
    (void)state;
    int peers[MANY];
    for (int i = 0; i < MANY; i++) {
        peers[i] = dial(&address);
    }
    turn_until(loop, &accepted, MANY);
    for (int i = 0; i < MANY; i++) {
        close(peers[i]);
    }
}

static void accepted_sockets_are_private_and_do_not_delay(void **state) {
    (void)state;
    int peer = dial(&address);
    turn_until(loop, &accepted, 1);
    uv_os_fd_t fd;
    int on = 0;
    socklen_t n = sizeof on;
    assert_int_equal(uv_fileno(&wires[0].s.u.handle, &fd), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
    assert_true(on);
    close(peer);
}

static void nobody_waiting_is_eagain(void **state) {
    (void)state;
    wire w;
    assert_int_equal(mg_listener_accept(listener, &w.s, &wire_events), -EAGAIN);
}

static void a_paused_listener_leaves_peers_in_the_queue(void **state) {
    (void)state;
    mg_listener_pause(listener);
    int peer = dial(&address);
    turn_times(loop, 3);
    assert_int_equal(calls, 0);
    mg_listener_resume(listener);
    turn_until(loop, &accepted, 1);
    close(peer);
}

static void a_listener_paused_inside_the_call_keeps_the_peer(void **state) {
    (void)state;
    pause_in_call = true;
    int peer = dial(&address);
    turn_until(loop, &calls, 1);
    turn_times(loop, 3);
    assert_int_equal(calls, 1);
    pause_in_call = false;
    mg_listener_resume(listener);
    turn_until(loop, &accepted, 1);
    close(peer);
}

static void a_listener_may_be_closed_inside_the_call(void **state) {
    (void)state;
    close_in_call = true;
    int peer = dial(&address);
    turn_until(loop, &calls, 1);
    turn_times(loop, 3);
    assert_int_equal(calls, 1);
    close(peer);
}

static void a_listener_may_be_closed_after_an_accept_inside_the_call(void **state) {
    (void)state;
    close_after_accept = true;
    int peer = dial(&address);
    turn_until(loop, &accepted, 1);
    turn_times(loop, 3);
    assert_int_equal(calls, 1);
    close(peer);
}

static void peers_that_left_before_they_were_taken_do_no_harm(void **state) {
    (void)state;
    mg_listener_pause(listener);
    for (int i = 0; i < 10; i++) {
        reset_and_close(dial(&address));
    }
    int peer = dial(&address);
    mg_listener_resume(listener);
    turn_until(loop, &accepted, 1);
    while (accepted < 11 && failures == 0 && calls < 12) {
        mg_loop_turn(loop, true, true, UINT64_MAX);
    }
    assert_int_equal(failures, 0);
    close(peer);
}

static void use_up_descriptors(struct rlimit *old) {
    assert_int_equal(getrlimit(RLIMIT_NOFILE, old), 0);
    int next = dup(0);
    struct rlimit low = {.rlim_cur = (rlim_t)next, .rlim_max = old->rlim_max};
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

static void without_descriptors_the_listener_rests_and_then_goes_on(void **state) {
    (void)state;
    struct rlimit old;
    int peers[2] = {dial(&address), dial(&address)};
    use_up_descriptors(&old);
    while (failures == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
    int calls_then = calls;
    turn_times(loop, 5);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(last_failure, -EMFILE);
    assert_int_equal(calls, calls_then);
    assert_int_equal(accepted, 0);
    turn_times(loop, 5);
    assert_int_equal(calls, calls_then);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 100);
    turn_until(loop, &accepted, 2);
    assert_int_equal(failures, 1);
    close(peers[0]);
    close(peers[1]);
}

static void a_pause_outlasts_the_rest(void **state) {
    (void)state;
    struct rlimit old;
    int peer = dial(&address);
    use_up_descriptors(&old);
    while (failures == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    mg_listener_pause(listener);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 200);
    turn_times(loop, 3);
    assert_int_equal(accepted, 0);
    mg_listener_resume(listener);
    turn_until(loop, &accepted, 1);
    close(peer);
}

static void stop(mg_timer *t) {
    mg_loop_stop(t->loop);
}

static void an_open_listener_keeps_a_real_loop_running_even_paused(void **state) {
    (void)state;
    mg_timer t = {0};
    mg_timer_start(loop, &t, 1, 0, stop);
    mg_listener_pause(listener);
    mg_loop_run(loop);
    assert_int_equal(mg_loop_turn(loop, false, false, 0), MG_LOOP_MOVED);
    assert_false(mg_loop_has_outside_work(loop));
    mg_listener_close(listener);
    listener = NULL;
    mg_loop_run(loop);
    mg_listener_close(NULL);
}

static void what_is_no_socket_is_refused(void **state) {
    (void)state;
    mg_listener *l;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(mg_listener_open(&l, loop, fd, on_connection, NULL), -ENOTSOCK);
    close(fd);
}

#define REAL(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define VIRTUAL(f) cmocka_unit_test_setup_teardown(f, set_up_virtual, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        REAL(a_crowd_of_peers_is_taken_in),
        REAL(accepted_sockets_are_private_and_do_not_delay),
        REAL(nobody_waiting_is_eagain),
        REAL(a_paused_listener_leaves_peers_in_the_queue),
        REAL(a_listener_paused_inside_the_call_keeps_the_peer),
        REAL(a_listener_may_be_closed_inside_the_call),
        REAL(a_listener_may_be_closed_after_an_accept_inside_the_call),
        REAL(peers_that_left_before_they_were_taken_do_no_harm),
        VIRTUAL(without_descriptors_the_listener_rests_and_then_goes_on),
        VIRTUAL(a_pause_outlasts_the_rest),
        REAL(an_open_listener_keeps_a_real_loop_running_even_paused),
        REAL(what_is_no_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
