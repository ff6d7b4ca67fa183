#include "server/proxied.h"

#include "rig.h"

#include "server/requester.h"
#include "server/wire.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static rig r;
static mg_buf warnings;
static int fd;

static void on_log(void *arg, mg_log_level level, const char *text) {
    (void)arg;
    assert_int_equal(level, MG_LOG_WARN);
    mg_buf_printf(&warnings, "%s\n", text);
}

static int set_up(void **state) {
    (void)state;
    alarm(30); // ends a test that waits in vain
    mg_server_options options = rig_options();
    rig_open_with(&r, false, &options);
    r.echo = false;
    r.server->on_log = on_log;
    fd = -1;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    close(fd);
    mg_server_close(r.server);
    while (r.server->stats.connections > 0) {
        mg_loop_turn(r.loop, true, false, 0);
    }
    rig_settle(&r); // the listeners' ends
    mg_server_free(r.server);
    mg_loop_remove_turn(&r.turn);
    assert_int_equal(mg_loop_free(r.loop), 0);
    mg_buf_deinit(&r.log);
    mg_buf_deinit(&warnings);
    return 0;
}

#define UNTIL(condition)                                                                           \
    while (!(condition)) {                                                                         \
        mg_loop_turn(r.loop, true, false, 0);                                                      \
    }

// Connects to an endpoint that lets those peers in.
static void connect_where(const char *proxies) {
    const mg_endpoint e = {.address = "127.0.0.1:0",
                           .app = MG_APP_MAIN,
                           .mode = MG_MODE_ANY,
                           .proxies = {&proxies, 1}};
    mg_address a;
    mg_error err;
    mg_listener *l = NULL;
    assert_int_equal(mg_address_parse(e.address, &a, &err), 0);
    assert_int_equal(mg_server_listen(r.server, mg_listen_socket(&a, false, &err), &e, &l), 0);
    assert_int_equal(mg_listener_address(l, &a), 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a.sa, a.sa_len), 0);
}

static void send_text(mg_str text) {
    assert_int_equal(write(fd, text.p, text.n), (ssize_t)text.n);
}

static mg_exchange *next_request(void) {
    mg_exchange *x;
    UNTIL((x = rig_take(&r)) != NULL);
    return x;
}

static void answer(mg_exchange *x) {
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
}

#define LINE "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
#define GET  "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

static void requests_come_from_whom_the_proxy_tells(void **state) {
    (void)state;
    connect_where("127.0.0.1");
    send_text(MG_STR(LINE GET));
    mg_exchange *x = next_request();
    assert_text("192.0.2.7", mg_exchange_requester(x)->client_ip);
    assert_text("192.0.2.7:56324", mg_exchange_peer_name(x));
    answer(x);
    send_text(MG_STR(GET)); // told once, for all of the connection's
    x = next_request();
    assert_text("192.0.2.7", mg_exchange_requester(x)->client_ip);
    answer(x);
    assert_int_equal(warnings.n, 0);
}

static void a_header_comes_in_pieces(void **state) {
    (void)state;
    connect_where("127.0.0.1");
    for (const char *p = LINE; *p != '\0'; p++) {
        uint64_t before = r.server->stats.bytes_in;
        send_text((mg_str){p, 1});
        UNTIL(r.server->stats.bytes_in > before);
    }
    send_text(MG_STR(GET));
    mg_exchange *x = next_request();
    assert_text("192.0.2.7", mg_exchange_requester(x)->client_ip);
    answer(x);
}

static void a_local_connection_is_the_proxys_own(void **state) {
    (void)state;
    connect_where("127.0.0.1");
    send_text(MG_STR("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" GET));
    mg_exchange *x = next_request();
    assert_text("127.0.0.1", mg_exchange_requester(x)->client_ip);
    answer(x);
}

static void both_ends_are_told(void **state) {
    (void)state;
    connect_where("127.0.0.1");
    send_text(MG_STR("PROXY TCP6 2001:db8::7 ::1 1 443\r\n" GET));
    mg_exchange *x = next_request();
    mg_conn *c = MG_OF(r.server->conns.next, mg_conn, link);
    struct sockaddr_storage at;
    assert_int_equal(mg_conn_local(c, &at), 0);
    assert_int_equal(at.ss_family, AF_INET6);
    assert_int_equal(ntohs(((const struct sockaddr_in6 *)&at)->sin6_port), 443);
    assert_text("[2001:db8::7]:1", mg_exchange_peer_name(x));
    answer(x);
}

static void assert_closed_with(const char *warning) {
    UNTIL(r.server->stats.accepted == 1 && r.server->stats.connections == 0);
    assert_int_equal(r.server->stats.requests, 0);
    mg_buf_append_char(&warnings, '\0');
    assert_non_null(strstr(warnings.p, warning));
}

static void who_is_no_proxy_is_refused(void **state) {
    (void)state;
    connect_where("10.0.0.0/8");
    send_text(MG_STR(LINE GET));
    assert_closed_with("is none of its proxy_protocol");
    assert_non_null(strstr(warnings.p, "127.0.0.1:"));
}

static void a_proxy_that_tells_nothing_is_refused(void **state) {
    (void)state;
    connect_where("127.0.0.1");
    send_text(MG_STR(GET));
    assert_closed_with("there is none");
}

static void a_flood_of_refusals_is_none_of_lines(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        mg_server_log(r.server, MG_LOG_WARN, "no");
    }
    assert_int_equal(warnings.n, 16 * strlen("no\n"));
    mg_buf_clear(&warnings);
    r.server->said[MG_LOG_WARN].at_ms -= 1000;
    mg_server_log(r.server, MG_LOG_WARN, "never");
    mg_server_log(r.server, MG_LOG_WARN, "more");
    assert_text("never (and 4 lines like this before it)\nmore\n", mg_buf_str(&warnings));
}

// The deadline is short, and the peer says little: that it comes is the test, not when.
static void a_header_has_its_deadline(void **state) {
    (void)state;
    mg_server_options options = rig_options();
    options.handshake_ms = 20;
    options.idle_ms = 3600000;
    mg_server_set_options(r.server, &options);
    connect_where("127.0.0.1");
    send_text(MG_STR("PROXY "));
    UNTIL(r.server->stats.accepted == 1 && r.server->stats.connections == 0);
}

static void a_fin_within_the_header_ends_it(void **state) {
    (void)state;
    connect_where("127.0.0.1");
    send_text(MG_STR("PROXY "));
    shutdown(fd, SHUT_WR);
    UNTIL(r.server->stats.accepted == 1 && r.server->stats.connections == 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests_come_from_whom_the_proxy_tells),
        TEST(a_header_comes_in_pieces),
        TEST(a_local_connection_is_the_proxys_own),
        TEST(both_ends_are_told),
        TEST(who_is_no_proxy_is_refused),
        TEST(a_proxy_that_tells_nothing_is_refused),
        TEST(a_flood_of_refusals_is_none_of_lines),
        TEST(a_header_has_its_deadline),
        TEST(a_fin_within_the_header_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
