#include "event/dial.h"

#include "event/poll.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

static mg_loop *loop;
static int done;
static int done_status;
static int done_fd;
static int listeners[3];
static int fds_before;

static void on_done(void *arg, int status, int fd) {
    assert_ptr_equal(arg, &done);
    done++;
    done_status = status;
    done_fd = fd;
}

static void start(bool virtual_clock) {
    alarm(30);
    loop = new_loop(virtual_clock);
    done = 0;
    done_fd = -1;
    memset(listeners, -1, sizeof listeners);
    fds_before = open_fds();
}

static int set_up(void **state) {
    (void)state;
    start(false);
    return 0;
}

static int set_up_virtual(void **state) {
    (void)state;
    start(true);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (done_fd >= 0) {
        close(done_fd);
    }
    for (size_t i = 0; i < 3; i++) {
        if (listeners[i] >= 0) {
            close(listeners[i]);
        }
    }
    turn_times(loop, 2);
    int leaked = open_fds() - fds_before;
    return mg_loop_free(loop) + leaked;
}

static struct sockaddr_storage name_of(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return a;
}

static struct sockaddr_storage peer_of(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    assert_int_equal(getpeername(fd, (struct sockaddr *)&a, &n), 0);
    return a;
}

static struct sockaddr_storage listening(int slot, const char *text) {
    listeners[slot] = listen_on(text);
    return name_of(listeners[slot]);
}

// A port that was free a moment ago.
static struct sockaddr_storage dead(const char *text) {
    int fd = listen_on(text);
    struct sockaddr_storage a = name_of(fd);
    close(fd);
    return a;
}

static struct sockaddr_storage silent(int *filler, int count) {
    listeners[2] = listen_silently(filler, count);
    return name_of(listeners[2]);
}

static mg_dial *start_dial(const struct sockaddr_storage *a, size_t n) {
    mg_dial *d = NULL;
    assert_int_equal(mg_dial_start(&d, loop, a, n, on_done, &done), 0);
    assert_int_equal(done, 0);
    return d;
}

static void assert_connected_to(const struct sockaddr_storage *a) {
    assert_int_equal(done_status, 0);
    struct sockaddr_storage peer = peer_of(done_fd);
    assert_memory_equal(&peer, a, sizeof(struct sockaddr_in));
}

static void the_socket_that_answers_is_handed_over(void **state) {
    (void)state;
    struct sockaddr_storage a = listening(0, "127.0.0.1:0");
    start_dial(&a, 1);
    turn_until(loop, &done, 1);
    assert_connected_to(&a);
    assert_true(fcntl(done_fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(done_fd, F_GETFD) & FD_CLOEXEC);
    int on = 0;
    socklen_t n = sizeof on;
    assert_int_equal(getsockopt(done_fd, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
    assert_true(on);
    assert_int_equal(open_fds(), fds_before + 2);
    assert_false(mg_loop_has_outside_work(loop));
}

static void the_socket_can_become_a_watched_one_at_once(void **state) {
    (void)state;
    struct sockaddr_storage a = listening(0, "127.0.0.1:0");
    start_dial(&a, 1);
    turn_until(loop, &done, 1);
    mg_poll *p;
    assert_int_equal(mg_poll_open(&p, loop, done_fd, NULL, NULL), 0);
    mg_poll_close(p);
}

static void a_dead_port_hands_on_at_once(void **state) {
    (void)state;
    struct sockaddr_storage a[] = {dead("127.0.0.1:0"), listening(0, "127.0.0.1:0")};
    start_dial(a, 2);
    while (done == 0) {
        // The clock may not jump: a dial that waits for its timer never ends here.
        mg_loop_turn(loop, true, false, 0);
    }
    assert_connected_to(&a[1]);
    assert_int_equal(mg_loop_now_ms(loop), 0);
}

static void a_silent_address_hands_on_after_the_stagger(void **state) {
    (void)state;
    int filler[4];
    struct sockaddr_storage a[] = {silent(filler, 4), listening(0, "127.0.0.1:0")};
    start_dial(a, 2);
    turn_times(loop, 20);
    assert_int_equal(done, 0);
    mg_loop_set_now(loop, MG_DIAL_STAGGER_MS - 1);
    turn_times(loop, 20);
    assert_int_equal(done, 0);
    mg_loop_set_now(loop, MG_DIAL_STAGGER_MS);
    while (done == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
    assert_connected_to(&a[1]);
    for (int i = 0; i < 4; i++) {
        close(filler[i]);
    }
}

static void a_silent_address_does_not_hide_that_the_next_is_dead(void **state) {
    (void)state;
    int filler[4];
    struct sockaddr_storage a[] = {silent(filler, 4), dead("127.0.0.1:0"),
                                   listening(0, "127.0.0.1:0")};
    start_dial(a, 3);
    turn_times(loop, 3);
    mg_loop_set_now(loop, MG_DIAL_STAGGER_MS);
    while (done == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
    assert_connected_to(&a[2]);
    for (int i = 0; i < 4; i++) {
        close(filler[i]);
    }
}

static void families_take_turns(void **state) {
    (void)state;
    struct sockaddr_storage a[] = {dead("127.0.0.1:0"), listening(0, "127.0.0.1:0"),
                                   listening(1, "[::1]:0")};
    start_dial(a, 3);
    turn_until(loop, &done, 1);
    assert_int_equal(done_status, 0);
    struct sockaddr_storage peer = peer_of(done_fd);
    assert_int_equal(peer.ss_family, AF_INET6);
}

static void the_families_after_a_turn_keep_their_order(void **state) {
    (void)state;
    struct sockaddr_storage a[] = {dead("127.0.0.1:0"), listening(0, "127.0.0.1:0"),
                                   listening(1, "127.0.0.1:0")};
    start_dial(a, 3);
    turn_until(loop, &done, 1);
    assert_connected_to(&a[1]);
}

static void a_unix_path_works(void **state) {
    (void)state;
    char *folder = new_folder();
    char text[128];
    snprintf(text, sizeof text, "unix:%s/s", folder);
    struct sockaddr_storage a = listening(0, text);
    start_dial(&a, 1);
    turn_until(loop, &done, 1);
    assert_int_equal(done_status, 0);
    struct sockaddr_storage peer = peer_of(done_fd);
    assert_string_equal(((struct sockaddr_un *)&peer)->sun_path,
                        ((struct sockaddr_un *)&a)->sun_path);
    remove_folder(folder);
}

// The kernel does not let us wait, as it does for TCP.
static void a_unix_socket_with_a_full_queue_is_waited_for(void **state) {
    (void)state;
    char *folder = new_folder();
    struct sockaddr_storage a = {.ss_family = AF_UNIX};
    struct sockaddr_un *un = (struct sockaddr_un *)&a;
    snprintf(un->sun_path, sizeof un->sun_path, "%s/s", folder);
    listeners[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listeners[0], (struct sockaddr *)un, sizeof *un), 0);
    assert_int_equal(listen(listeners[0], 0), 0);
    int others[8];
    int n = 0;
    do {
        assert_true(n < 8);
        others[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } while (connect(others[n++], (struct sockaddr *)un, sizeof *un) == 0);
    assert_int_equal(errno, EAGAIN);
    start_dial(&a, 1);
    turn_times(loop, 5);
    assert_int_equal(done, 0);
    close(accept(listeners[0], NULL, NULL));
    turn_until(loop, &done, 1);
    assert_int_equal(done_status, 0);
    while (n > 0) {
        close(others[--n]);
    }
    remove_folder(folder);
}

static void when_all_fail_the_error_of_the_first_is_told(void **state) {
    (void)state;
    struct sockaddr_storage a[] = {dead("127.0.0.1:0"), {.ss_family = AF_UNIX}, dead("[::1]:0")};
    strcpy(((struct sockaddr_un *)&a[1])->sun_path, "/nonexistent/socket");
    start_dial(a, 3);
    turn_until(loop, &done, 1);
    assert_int_equal(done_status, -ECONNREFUSED);
    assert_int_equal(done_fd, -1);
    turn_times(loop, 3);
    assert_int_equal(done, 1);
}

static void failing_at_once_is_told_later(void **state) {
    (void)state;
    struct sockaddr_storage a[] = {{.ss_family = AF_UNIX}, {.ss_family = AF_MAX}};
    strcpy(((struct sockaddr_un *)&a[0])->sun_path, "/nonexistent/socket");
    start_dial(a, 2);
    turn_until(loop, &done, 1);
    assert_int_equal(done_status, -ENOENT);
}

static void no_address_is_refused(void **state) {
    (void)state;
    mg_dial *d = NULL;
    assert_int_equal(mg_dial_start(&d, loop, NULL, 0, on_done, &done), -EINVAL);
    assert_null(d);
}

static void cancelling_closes_everything(void **state) {
    (void)state;
    int filler[4];
    struct sockaddr_storage a[] = {silent(filler, 4), listening(0, "127.0.0.1:0")};
    int before = open_fds();
    mg_dial *d = start_dial(a, 2);
    turn_times(loop, 2);
    assert_int_equal(open_fds(), before + 1);
    mg_dial_cancel(d);
    assert_int_equal(open_fds(), before);
    assert_false(mg_loop_has_outside_work(loop));
    mg_loop_set_now(loop, MG_DIAL_STAGGER_MS);
    turn_times(loop, 3);
    assert_int_equal(done, 0);
    mg_dial_cancel(NULL);
    for (int i = 0; i < 4; i++) {
        close(filler[i]);
    }
}

static void cancelling_before_the_news_of_failure_silences_it(void **state) {
    (void)state;
    struct sockaddr_storage a = {.ss_family = AF_MAX};
    mg_dial_cancel(start_dial(&a, 1));
    turn_times(loop, 3);
    assert_int_equal(done, 0);
}

#define EACH(f)         cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define EACH_VIRTUAL(f) cmocka_unit_test_setup_teardown(f, set_up_virtual, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(the_socket_that_answers_is_handed_over),
        EACH(the_socket_can_become_a_watched_one_at_once),
        EACH_VIRTUAL(a_dead_port_hands_on_at_once),
        EACH_VIRTUAL(a_silent_address_hands_on_after_the_stagger),
        EACH_VIRTUAL(a_silent_address_does_not_hide_that_the_next_is_dead),
        EACH(families_take_turns),
        EACH(the_families_after_a_turn_keep_their_order),
        EACH(a_unix_path_works),
        EACH(a_unix_socket_with_a_full_queue_is_waited_for),
        EACH(when_all_fail_the_error_of_the_first_is_told),
        EACH(failing_at_once_is_told_later),
        EACH(no_address_is_refused),
        EACH_VIRTUAL(cancelling_closes_everything),
        EACH_VIRTUAL(cancelling_before_the_news_of_failure_silences_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
