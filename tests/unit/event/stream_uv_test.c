#include "event/stream.h"

#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

static mg_loop *loop;
static mg_listener *listener;
static mg_address address;
static char *folder;
static wire w;
static int accepted;
static int peer;

static void on_connection(void *arg, mg_listener *l) {
    (void)arg;
    if (accepted == 0) {
        accepted += mg_listener_accept(l, &w.s, &wire_events) == 0;
    }
}

static void connect_over(int fd) {
    alarm(30);
    loop = new_loop(false);
    w = (wire){.ends = 0};
    accepted = 0;
    assert_int_equal(mg_listener_open(&listener, loop, fd, on_connection, NULL), 0);
    assert_int_equal(mg_listener_address(listener, &address), 0);
    peer = dial(&address);
    turn_until(loop, &accepted, 1);
    assert_int_equal(mg_stream_read_start(&w.s), 0);
}

static int set_up_tcp(void **state) {
    (void)state;
    connect_over(listen_on("127.0.0.1:0"));
    return 0;
}

static int set_up_unix(void **state) {
    (void)state;
    folder = new_folder();
    char text[128];
    snprintf(text, sizeof text, "unix:%s/s", folder);
    connect_over(listen_on(text));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_listener_close(listener);
    mg_stream_close(&w.s, false);
    int leaked = mg_loop_free(loop);
    assert_int_equal(w.closes, 1);
    mg_buf_deinit(&w.got);
    close(peer);
    if (folder != NULL) {
        remove_folder(folder);
        folder = NULL;
    }
    return leaked;
}

// Enough that no kernel buffer takes it whole.
enum { MUCH = 8 * 1024 * 1024 };

static char *much(void) {
    char *data = malloc(MUCH);
    for (int i = 0; i < MUCH; i++) {
        data[i] = (char)(i * 7 + i / 251);
    }
    return data;
}

static void assert_peer_gets(const char *data, size_t n) {
    char *got = malloc(n);
    int flags = fcntl(peer, F_GETFL);
    fcntl(peer, F_SETFL, flags | O_NONBLOCK);
    for (size_t at = 0; at < n;) {
        ssize_t part = recv(peer, got + at, n - at, 0);
        if (part > 0) {
            at += (size_t)part;
        } else {
            assert_int_equal(errno, EAGAIN);
            mg_loop_turn(loop, true, false, 0);
        }
    }
    fcntl(peer, F_SETFL, flags);
    assert_memory_equal(got, data, n);
    free(got);
}

static void bytes_go_both_ways_without_a_queue(void **state) {
    (void)state;
    assert_int_equal(send(peer, "hello", 5, 0), 5);
    turn_until_bytes(loop, &w, 5);
    assert_memory_equal(w.got.p, "hello", 5);
    struct iovec v[] = {{(void *)(uintptr_t) "wor", 3}, {NULL, 0}, {(void *)(uintptr_t) "ld", 2}};
    assert_int_equal(mg_stream_write(&w.s, v, 3), 0);
    assert_int_equal(w.s.queued, 0);
    assert_peer_gets("world", 5);
    assert_int_equal(w.drains, 0);
    assert_true(mg_loop_has_outside_work(loop));
}

static void a_write_of_nothing_is_good(void **state) {
    (void)state;
    assert_int_equal(mg_stream_write(&w.s, NULL, 0), 0);
    assert_int_equal(wire_send(&w, "", 0), 0);
    assert_int_equal(w.s.queued, 0);
}

static void a_slow_reader_gets_everything_in_order_and_the_queue_drains_once(void **state) {
    (void)state;
    char *data = much();
    struct iovec v[] = {{data, 10}, {data + 10, MUCH - 1000}};
    assert_int_equal(mg_stream_write(&w.s, v, 2), 0);
    assert_true(w.s.queued > 0);
    assert_int_equal(wire_send(&w, data + MUCH - 990, 990), 0);
    assert_int_equal(w.drains, 0);
    assert_peer_gets(data, MUCH);
    turn_until(loop, &w.drains, 1);
    assert_int_equal(w.drain_status, 0);
    assert_int_equal(w.drains, 1);
    free(data);
}

static void a_fin_leaves_after_the_queue(void **state) {
    (void)state;
    char *data = much();
    assert_int_equal(wire_send(&w, data, MUCH), 0);
    assert_int_equal(mg_stream_shutdown(&w.s), 0);
    assert_int_equal(mg_stream_shutdown(&w.s), 0);
    assert_int_equal(wire_send(&w, "x", 1), -EPIPE);
    assert_peer_gets(data, MUCH);
    turn_until(loop, &w.drains, 1);
    char byte;
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
    assert_int_equal(send(peer, "late", 4, 0), 4);
    turn_until_bytes(loop, &w, 4);
    assert_int_equal(w.ends, 0);
    free(data);
}

static void a_fin_without_a_queue_leaves_at_once(void **state) {
    (void)state;
    assert_int_equal(wire_send(&w, "bye", 3), 0);
    assert_int_equal(mg_stream_shutdown(&w.s), 0);
    char text[8];
    assert_int_equal(recv(peer, text, 8, MSG_WAITALL), 3);
}

static void the_peers_fin_ends_reading_but_not_writing(void **state) {
    (void)state;
    assert_int_equal(send(peer, "q", 1, 0), 1);
    shutdown(peer, SHUT_WR);
    turn_until(loop, &w.ends, 1);
    assert_int_equal(w.end_status, 0);
    assert_int_equal(w.got.n, 1);
    assert_int_equal(wire_send(&w, "answer", 6), 0);
    assert_peer_gets("answer", 6);
    assert_int_equal(mg_stream_read_start(&w.s), 0);
    turn_times(loop, 3);
    assert_int_equal(w.ends, 1);
}

static void the_peers_reset_is_told_with_its_error(void **state) {
    (void)state;
    reset_and_close(peer);
    peer = -1;
    turn_until(loop, &w.ends, 1);
    assert_int_equal(w.end_status, -ECONNRESET);
    assert_true(wire_send(&w, "x", 1) < 0);
}

static void a_queued_write_that_fails_is_told_once(void **state) {
    (void)state;
    char *data = much();
    mg_stream_read_stop(&w.s);
    assert_int_equal(wire_send(&w, data, MUCH), 0);
    assert_int_equal(wire_send(&w, data, 100), 0);
    reset_and_close(peer);
    peer = -1;
    turn_until(loop, &w.drains, 1);
    assert_true(w.drain_status < 0);
    assert_int_equal(wire_send(&w, "x", 1), -EPIPE);
    mg_stream_close(&w.s, false);
    turn_until(loop, &w.closes, 1);
    assert_int_equal(w.drains, 1);
    free(data);
}

static void closing_drops_the_queue_and_tells_only_closed(void **state) {
    (void)state;
    char *data = much();
    assert_int_equal(wire_send(&w, data, MUCH), 0);
    mg_stream_close(&w.s, false);
    assert_true(mg_stream_closing(&w.s));
    assert_int_equal(w.closes, 0);
    assert_int_equal(wire_send(&w, "x", 1), MG_ECLOSED);
    assert_int_equal(mg_stream_shutdown(&w.s), MG_ECLOSED);
    assert_int_equal(mg_stream_read_start(&w.s), MG_ECLOSED);
    turn_until(loop, &w.closes, 1);
    assert_int_equal(w.drains + w.ends, 0);
    assert_false(mg_loop_has_outside_work(loop));
    free(data);
}

static void closing_with_reset_resets_the_peer_even_after_a_shutdown(void **state) {
    (void)state;
    char *data = much();
    assert_int_equal(wire_send(&w, data, MUCH), 0);
    mg_stream_shutdown(&w.s);
    mg_stream_close(&w.s, true);
    turn_until(loop, &w.closes, 1);
    ssize_t n;
    while ((n = recv(peer, data, MUCH, 0)) > 0) {
    }
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    free(data);
}

static void closing_with_reset_is_an_ordinary_close_for_a_unix_socket(void **state) {
    (void)state;
    mg_stream_close(&w.s, true);
    turn_until(loop, &w.closes, 1);
    char byte;
    assert_int_equal(recv(peer, &byte, 1, 0), 0);
}

static void closing_inside_on_read_is_allowed(void **state) {
    (void)state;
    w.close_in_read = true;
    assert_int_equal(send(peer, "hello", 5, 0), 5);
    turn_until(loop, &w.closes, 1);
    assert_int_equal(w.got.n, 5);
}

static void closing_inside_on_end_is_allowed(void **state) {
    (void)state;
    w.close_in_end = true;
    shutdown(peer, SHUT_WR);
    turn_until(loop, &w.closes, 1);
    assert_int_equal(w.ends, 1);
}

static void closing_inside_on_end_after_a_reset_is_allowed(void **state) {
    (void)state;
    w.close_in_end = true;
    reset_and_close(peer);
    peer = -1;
    turn_until(loop, &w.closes, 1);
    assert_int_equal(w.ends, 1);
}

static void closing_inside_on_drain_is_allowed(void **state) {
    (void)state;
    char *data = much();
    w.close_in_drain = true;
    assert_int_equal(wire_send(&w, data, MUCH), 0);
    assert_peer_gets(data, MUCH);
    turn_until(loop, &w.closes, 1);
    assert_int_equal(w.drains, 1);
    free(data);
}

static void paused_reading_leaves_bytes_in_the_kernel(void **state) {
    (void)state;
    mg_stream_read_stop(&w.s);
    mg_stream_read_stop(&w.s);
    assert_int_equal(send(peer, "hello", 5, 0), 5);
    turn_times(loop, 3);
    assert_int_equal(w.got.n, 0);
    mg_stream_read_start(&w.s);
    mg_stream_read_start(&w.s);
    turn_until_bytes(loop, &w, 5);
}

static void addresses_of_both_sides_are_known(void **state) {
    (void)state;
    struct sockaddr_storage sa;
    assert_int_equal(mg_stream_local(&w.s, &sa), 0);
    assert_memory_equal(&sa, &address.sa, address.sa_len);
    assert_int_equal(mg_stream_peer(&w.s, &sa), 0);
    struct sockaddr_storage own = {0};
    socklen_t n = sizeof own;
    getsockname(peer, (struct sockaddr *)&own, &n);
    assert_int_equal(sa.ss_family, own.ss_family);
    if (own.ss_family == AF_INET) {
        assert_memory_equal(&sa, &own, n);
    }
    assert_ptr_equal(mg_stream_loop(&w.s), loop);
}

static void reset(int fd) {
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void the_peers_end_shows_while_reading_is_stopped(void **state) {
    (void)state;
    int status = 1;
    mg_stream_read_stop(&w.s);
    assert_int_equal(send(peer, "hello", 5, 0), 5);
    turn_times(loop, 3);
    assert_false(mg_stream_ending(&w.s, &status));
    shutdown(peer, SHUT_WR);
    while (!mg_stream_ending(&w.s, &status)) {
    }
    assert_int_equal(status, 0);
    if (folder == NULL) {
        reset(peer);
        peer = -1;
        while (mg_stream_ending(&w.s, &status) && status == 0) {
        }
        assert_int_equal(status, -ECONNRESET);
    }
    assert_int_equal(w.ends, 0);
}

static void the_peers_address_is_kept_when_it_has_been_asked_for(void **state) {
    (void)state;
    struct sockaddr_storage before;
    struct sockaddr_storage after;
    assert_int_equal(mg_stream_peer(&w.s, &before), 0);
    reset(peer);
    turn_until(loop, &w.ends, 1); // a reset: the kernel has forgotten the peer
    assert_int_equal(mg_stream_peer(&w.s, &after), 0);
    assert_memory_equal(&before, &after, sizeof before);
    peer = -1;
}

#define TCP(f) cmocka_unit_test_setup_teardown(f, set_up_tcp, tear_down)
#define UNIX(f)                                                                                    \
    { #f " (unix)", f, set_up_unix, tear_down, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {
        TCP(bytes_go_both_ways_without_a_queue),
        TCP(a_write_of_nothing_is_good),
        TCP(a_slow_reader_gets_everything_in_order_and_the_queue_drains_once),
        TCP(a_fin_leaves_after_the_queue),
        TCP(a_fin_without_a_queue_leaves_at_once),
        TCP(the_peers_fin_ends_reading_but_not_writing),
        TCP(the_peers_reset_is_told_with_its_error),
        TCP(a_queued_write_that_fails_is_told_once),
        TCP(closing_drops_the_queue_and_tells_only_closed),
        TCP(closing_with_reset_resets_the_peer_even_after_a_shutdown),
        TCP(closing_inside_on_read_is_allowed),
        TCP(closing_inside_on_end_is_allowed),
        TCP(closing_inside_on_end_after_a_reset_is_allowed),
        TCP(closing_inside_on_drain_is_allowed),
        TCP(paused_reading_leaves_bytes_in_the_kernel),
        TCP(addresses_of_both_sides_are_known),
        TCP(the_peers_end_shows_while_reading_is_stopped),
        UNIX(the_peers_end_shows_while_reading_is_stopped),
        TCP(the_peers_address_is_kept_when_it_has_been_asked_for),
        UNIX(bytes_go_both_ways_without_a_queue),
        UNIX(a_slow_reader_gets_everything_in_order_and_the_queue_drains_once),
        UNIX(a_fin_leaves_after_the_queue),
        UNIX(the_peers_fin_ends_reading_but_not_writing),
        UNIX(a_queued_write_that_fails_is_told_once),
        UNIX(closing_with_reset_is_an_ordinary_close_for_a_unix_socket),
        UNIX(closing_inside_on_read_is_allowed),
        UNIX(closing_inside_on_drain_is_allowed),
        UNIX(addresses_of_both_sides_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
