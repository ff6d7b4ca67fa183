#include "server/server.h"

#include "base/mem.h"

#include "peer.h"

#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/a"
#define LAST      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/a"

enum { WINDOW = 1 << 20 };

static rig r;
static peer peers[8];
static int drained;

static void on_drained(void *arg) {
    assert_ptr_equal(arg, &drained);
    drained++;
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    rig_open(&r);
    drained = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    rig_close(&r);
    return 0;
}

static void open_peers(int n) {
    for (int i = 0; i < n; i++) {
        peer_open(&r, &peers[i], WINDOW);
    }
}

static void close_peers(int n) {
    for (int i = 0; i < n; i++) {
        peer_close(&r, &peers[i], false);
    }
}

// --- in memory ---

static void connections_are_counted_and_numbered(void **state) {
    (void)state;
    open_peers(2);
    mg_conn *c = peer_open(&r, &peers[2], WINDOW);
    assert_int_equal(c->id, 3);
    peer_send(&r, &peers[0], GET("/a") GET("/a"));
    assert_int_equal(r.server->stats.connections, 3);
    assert_int_equal(r.server->stats.accepted, 3);
    assert_int_equal(r.server->stats.requests, 2);
    assert_int_equal(r.server->stats.bytes_in, 2 * strlen(GET("/a")));
    assert_int_equal(r.server->stats.bytes_out, peers[0].got.n);
    close_peers(3);
    assert_int_equal(r.server->stats.connections, 0);
    assert_int_equal(r.server->stats.accepted, 3);
}

static void a_pair_without_a_window_is_refused(void **state) {
    (void)state;
    assert_null(mg_server_connect_pair(r.server, &peers[0].s, &peer_events, 0, false));
    assert_int_equal(r.server->stats.connections, 0);
}

static void memory_goes_back_to_the_pools_between_requests(void **state) {
    (void)state;
    open_peers(8);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 8; i++) {
            peer_send(&r, &peers[i], GET("/a"));
            assert_got(&peers[i], OK);
        }
    }
    assert_int_equal(r.server->h1_exchanges.count, 1);
    assert_int_equal(r.server->outputs.count, 1);
    close_peers(8);
}

static void a_recycled_exchange_is_as_new(void **state) {
    (void)state;
    peer_open(&r, &peers[0], WINDOW);
    r.echo = false;
    peer_send(&r, &peers[0], "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    mg_exchange *x = rig_take(&r);
    x->app_data = &r;
    x->route = MG_STR("r");
    mg_exchange_respond(x, &rig_ok, MG_STR("/a"));
    peer_send(&r, &peers[0], GET("/b"));
    mg_exchange *y = rig_take(&r);
    assert_ptr_equal(x, y);
    assert_null(y->app_data);
    assert_int_equal(y->route.n, 0);
    assert_int_equal(y->content.n, 0);
    assert_true(mg_exchange_body_complete(y));
    close_peers(1);
}

static void requests_under_way_keep_their_app(void **state) {
    (void)state;
    rig other = {.app = r.app};
    peer_open(&r, &peers[0], WINDOW);
    r.echo = false;
    peer_send(&r, &peers[0], GET("/a"));
    r.server->apps[MG_APP_MAIN] = &other.app;
    peer_close(&r, &peers[0], true);
    assert_int_equal(r.gone, 1);
    assert_int_equal(other.gone, 0);
}

static void closing_tells_every_request_that_the_server_stops(void **state) {
    (void)state;
    open_peers(4);
    r.echo = false;
    peer_send(&r, &peers[0], GET("/a"));
    peer_send(&r, &peers[1], GET("/a") GET("/b"));
    peer_send(&r, &peers[2], "GET /");
    mg_server_close(r.server);
    assert_int_equal(r.gone, 2);
    assert_int_equal(r.why, MG_GONE_STOP);
    rig_settle(&r);
    assert_int_equal(r.server->stats.connections, 0);
    close_peers(4);
}

// --- draining ---

static void draining_closes_what_is_idle_and_lets_the_rest_finish(void **state) {
    (void)state;
    open_peers(3);
    r.echo = false;
    peer_send(&r, &peers[1], GET("/a") GET("/b"));
    peer_send(&r, &peers[2], "GET /a HT");
    mg_server_drain(r.server, 0, on_drained, &drained);
    rig_settle(&r);
    assert_int_equal(peers[0].ends, 1);
    assert_int_equal(r.server->stats.connections, 2);
    r.echo = true;
    rig_settle(&r);
    assert_got(&peers[1], LAST);
    peer_send(&r, &peers[2], "TP/1.1\r\nHost: h\r\n\r\n");
    assert_got(&peers[2], LAST);
    assert_int_equal(drained, 0);
    close_peers(3);
    assert_int_equal(drained, 1);
    rig_pass(&r, 100000);
    assert_int_equal(drained, 1);
}

static void draining_without_connections_is_over_at_once(void **state) {
    (void)state;
    mg_server_drain(r.server, 0, on_drained, &drained);
    assert_int_equal(drained, 1);
}

static void draining_waits_for_answers_that_are_on_their_way(void **state) {
    (void)state;
    peer_open(&r, &peers[0], 8);
    mg_stream_read_stop(&peers[0].s);
    peer_send(&r, &peers[0], GET("/a"));
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(r.loop, false, false, 0);
    }
    mg_server_drain(r.server, 0, on_drained, &drained);
    rig_settle(&r);
    assert_int_equal(drained, 0);
    mg_stream_read_start(&peers[0].s);
    rig_settle(&r);
    assert_got(&peers[0], OK);
    assert_int_equal(drained, 1);
    close_peers(1);
}

static void a_stream_begun_before_the_drain_is_its_connections_last(void **state) {
    (void)state;
    peer_open(&r, &peers[0], WINDOW);
    r.echo = false;
    peer_send(&r, &peers[0], GET("/a"));
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, 2);
    mg_server_drain(r.server, 0, on_drained, &drained);
    mg_exchange_write(x, MG_STR("/a"));
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_got(&peers[0], OK);
    assert_int_equal(drained, 1);
    close_peers(1);
}

// --- real sockets: the limit on connections ---

static void turn(int times) {
    for (int i = 0; i < times; i++) {
        mg_loop_turn(r.loop, false, false, 0);
    }
}

static const mg_endpoint plain = {.address = "127.0.0.1:0", .mode = MG_MODE_ANY};
static mg_listener *listener;

// Turns until `*what` has the value; a test that waits in vain is ended by the alarm.
static void turn_until(const uint64_t *what, uint64_t value) {
    while (*what != value) {
        mg_loop_turn(r.loop, true, false, 0);
    }
}

static int open_limited(void **state) {
    (void)state;
    alarm(30);
    mg_server_options options = rig_options();
    rig_open_with(&r, false, &options);
    mg_descriptors_set_limit(r.loop, 3); // the listener, two connections
    mg_address a;
    mg_error err;
    assert_int_equal(mg_address_parse("127.0.0.1:0", &a, &err), 0);
    int fd = mg_listen_socket(&a, false, &err);
    assert_true(fd >= 0);
    assert_int_equal(mg_server_listen(r.server, fd, &plain, &listener), 0);
    return 0;
}

static int close_limited(void **state) {
    (void)state;
    mg_server_close(r.server);
    turn_until(&r.server->stats.connections, 0);
    turn(3);
    mg_server_free(r.server);
    mg_loop_remove_turn(&r.turn);
    assert_int_equal(mg_loop_free(r.loop), 0);
    mg_buf_deinit(&r.log);
    return 0;
}

static int dial(void) {
    mg_address a;
    assert_int_equal(mg_listener_address(listener, &a), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a.sa, a.sa_len), 0);
    return fd;
}

static void request(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

// Two that are served and one that waits.
static void dial_with_requests(int fds[3]) {
    for (uint64_t i = 0; i < 3; i++) {
        fds[i] = dial();
        request(fds[i], GET("/a"));
        turn_until(&r.server->stats.requests, i < 2 ? i + 1 : 2);
    }
    turn(20);
}

// The peer is closed: nothing but the end is left to read.
static void assert_evicted(int fd) {
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
}

static void dial_two(int *fds) {
    for (uint64_t i = 0; i < 2; i++) {
        fds[i] = dial();
        turn_until(&r.server->stats.accepted, i + 1);
    }
}

static void ask(int fd) {
    uint64_t before = r.server->stats.requests;
    request(fd, GET("/a"));
    turn_until(&r.server->stats.requests, before + 1);
    turn(3);
}

// A third one comes, and `gone` goes.
static void check_evicted(int fds[3], int gone) {
    fds[2] = dial();
    turn_until(&r.server->stats.accepted, 3);
    turn_until(&r.server->stats.connections, 2);
    for (int i = 0; i < 3; i++) {
        char text[512];
        ssize_t n = recv(fds[i], text, sizeof text, MSG_DONTWAIT);
        n = n > 0 ? recv(fds[i], text, sizeof text, MSG_DONTWAIT) : n;
        assert_int_equal(n, i == gone ? 0 : -1);
        close(fds[i]);
    }
}

static void beyond_the_limit_the_longest_idle_goes(void **state) {
    (void)state;
    int fds[3];
    dial_two(fds);
    ask(fds[1]);
    ask(fds[0]); // now the second is idle for longer
    check_evicted(fds, 1);
}

static void who_has_asked_nothing_yet_goes_last(void **state) {
    (void)state;
    int fds[3];
    dial_two(fds);
    ask(fds[1]); // the first is idle for longer
    check_evicted(fds, 1);
}

static void whose_request_is_on_its_way_is_not_idle(void **state) {
    (void)state;
    r.echo = false;
    int fds[2];
    dial_two(fds);
    assert_true(mg_descriptors_has_idle(r.loop));
    request(fds[0], GET("/a"));
    request(fds[1], GET("/a"));
    assert_false(mg_descriptors_has_idle(r.loop)); // nobody has read them
    turn_until(&r.server->stats.requests, 2);
    close(fds[0]);
    close(fds[1]);
}

static void beyond_the_limit_peers_wait_until_one_closes(void **state) {
    (void)state;
    r.echo = false;
    int fds[3];
    dial_with_requests(fds);
    assert_int_equal(r.server->stats.accepted, 2);
    assert_true(r.server->accept_paused);
    close(fds[0]);
    turn_until(&r.server->stats.accepted, 3);
    turn_until(&r.server->stats.requests, 3);
    close(fds[1]);
    close(fds[2]);
}

static void beyond_the_limit_peers_wait_until_one_is_idle(void **state) {
    (void)state;
    r.echo = false;
    int fds[3];
    dial_with_requests(fds);
    assert_int_equal(r.server->stats.accepted, 2);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("/a"));
    turn_until(&r.server->stats.requests, 3);
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void draining_stops_to_accept(void **state) {
    (void)state;
    int fd = dial();
    turn_until(&r.server->stats.accepted, 1);
    mg_server_drain(r.server, 0, on_drained, &drained);
    turn_until(&r.server->stats.connections, 0);
    assert_evicted(fd);
    assert_int_equal(r.server->door_count, 0);
    close(fd);
}

int main(void) {
#define TEST(f)    cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define LIMITED(f) cmocka_unit_test_setup_teardown(f, open_limited, close_limited)
    const struct CMUnitTest tests[] = {
        TEST(connections_are_counted_and_numbered),
        TEST(a_pair_without_a_window_is_refused),
        TEST(memory_goes_back_to_the_pools_between_requests),
        TEST(a_recycled_exchange_is_as_new),
        TEST(requests_under_way_keep_their_app),
        TEST(closing_tells_every_request_that_the_server_stops),
        TEST(draining_closes_what_is_idle_and_lets_the_rest_finish),
        TEST(draining_without_connections_is_over_at_once),
        TEST(draining_waits_for_answers_that_are_on_their_way),
        TEST(a_stream_begun_before_the_drain_is_its_connections_last),
        LIMITED(beyond_the_limit_the_longest_idle_goes),
        LIMITED(who_has_asked_nothing_yet_goes_last),
        LIMITED(whose_request_is_on_its_way_is_not_idle),
        LIMITED(beyond_the_limit_peers_wait_until_one_closes),
        LIMITED(beyond_the_limit_peers_wait_until_one_is_idle),
        LIMITED(draining_stops_to_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
