// What is wanted of an address: who answers there, and what comes before the first request.

#include "server/endpoint.h"

#include "rig.h"
#include "tls_server.h"

#include "event/tls_certificates.h"
#include "server/requester.h"

#include <sys/socket.h>
#include <unistd.h>

enum { ADMIN = 1 }; // a second app's place

static rig r;
static rig admin; // its app alone
static char answer[2000];

// --- the second app ---

static void on_admin_turn(mg_turn *turn) {
    mg_exchange *x;
    while ((x = rig_take(MG_OF(turn, rig, turn))) != NULL) {
        mg_exchange_respond(x, &rig_ok, MG_STR("the admin's"));
    }
}

static void open_admin(void) {
    admin = (rig){.app = r.app, .turn = {.run = on_admin_turn}};
    mg_link_init(&admin.requests);
    mg_loop_add_turn(r.loop, &admin.turn);
    mg_server_set_app(r.server, ADMIN, &admin.app);
}

// --- life ---

static int set_up(void **state) {
    (void)state;
    alarm(30); // ends a test that waits in vain
    mg_server_options options = rig_options();
    rig_open_with(&r, false, &options);
    open_admin();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_server_close(r.server);
    while (r.server->stats.connections > 0) {
        mg_loop_turn(r.loop, true, false, 0);
    }
    rig_settle(&r); // the listeners' ends
    mg_server_free(r.server);
    mg_loop_remove_turn(&r.turn);
    mg_loop_remove_turn(&admin.turn);
    assert_int_equal(mg_loop_free(r.loop), 0);
    mg_buf_deinit(&r.log);
    return 0;
}

// Listens at a port that is picked.
static mg_listener *listen_as(const mg_endpoint *e) {
    mg_address a;
    mg_error err;
    mg_listener *l = NULL;
    assert_int_equal(mg_address_parse(e->address, &a, &err), 0);
    int fd = mg_listen_socket(&a, false, &err);
    assert_true(fd >= 0);
    assert_int_equal(mg_server_listen(r.server, fd, e, &l), 0);
    return l;
}

static int connect_to(const mg_listener *l) {
    mg_address a;
    assert_int_equal(mg_listener_address(l, &a), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&a.sa, a.sa_len), 0);
    return fd;
}

// Asks over a connection that is there, and reads what comes in one piece.
static const char *ask(int fd) {
    static const char request[] = "GET /main HTTP/1.1\r\nHost: a\r\n\r\n";
    uint64_t before = r.server->stats.bytes_out;
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while (r.server->stats.bytes_out == before) {
        mg_loop_turn(r.loop, true, false, 0);
    }
    ssize_t n = read(fd, answer, sizeof answer - 1);
    assert_true(n > 0);
    answer[n] = '\0';
    return strstr(answer, "\r\n\r\n") + 4;
}

// --- apps ---

static const mg_endpoint of_main = {
    .address = "127.0.0.1:0", .app = MG_APP_MAIN, .mode = MG_MODE_ANY};
static const mg_endpoint of_admin = {.address = "127.0.0.1:0", .app = ADMIN, .mode = MG_MODE_ANY};

static void each_listener_has_its_app(void **state) {
    (void)state;
    int one = connect_to(listen_as(&of_main));
    int two = connect_to(listen_as(&of_admin));
    assert_string_equal(ask(one), "/main");
    assert_string_equal(ask(two), "the admin's");
    assert_string_equal(ask(one), "/main");
    close(one);
    close(two);
}

static void a_new_app_leaves_the_others_alone(void **state) {
    (void)state;
    int one = connect_to(listen_as(&of_main));
    int two = connect_to(listen_as(&of_admin));
    assert_string_equal(ask(two), "the admin's");
    mg_server_set_app(r.server, ADMIN, &r.app); // as a reload does
    assert_string_equal(ask(two), "/main");
    assert_string_equal(ask(one), "/main");
    close(one);
    close(two);
}

static void an_app_that_is_not_there_is_refused(void **state) {
    (void)state;
    mg_listener *l = NULL;
    const mg_endpoint beyond = {.address = "127.0.0.1:0", .app = MG_SERVER_APPS};
    r.server->apps[ADMIN] = NULL;
    assert_int_equal(mg_server_listen(r.server, -1, &of_admin, &l), MG_ECONFIG);
    assert_int_equal(mg_server_listen(r.server, -1, &beyond, &l), MG_ECONFIG);
    assert_null(l);
}

static void who_came_before_keeps_what_the_endpoint_was(void **state) {
    (void)state;
    mg_listener *l = listen_as(&of_main);
    int one = connect_to(l);
    assert_string_equal(ask(one), "/main");
    mg_server_unlisten(r.server, l); // and what was its door has gone
    assert_string_equal(ask(one), "/main");
    close(one);
}

// --- TLS ---

// A client that asks as soon as it may.
typedef struct secure_peer {
    mg_stream s;
    mg_buf got;
    int readies, status;
    bool closed;
} secure_peer;

static mg_tls_context *certificate, *trusting;
static secure_peer peer;

static void on_peer_read(mg_stream *s, const char *data, size_t n) {
    mg_buf_append(&MG_OF(s, secure_peer, s)->got, data, n);
}

static void on_peer_end(mg_stream *s, int status) {
    (void)status;
    mg_stream_close(s, false);
}

static void on_peer_drain(mg_stream *s, int status) {
    (void)s;
    (void)status;
}

static void on_peer_closed(mg_stream *s) {
    MG_OF(s, secure_peer, s)->closed = true;
}

static const mg_stream_events peer_events = {on_peer_read, on_peer_end, on_peer_drain,
                                             on_peer_closed};

static void on_peer_ready(mg_stream *s, int status, const char *text) {
    static const char request[] = "GET /main HTTP/1.1\r\nHost: good.test\r\n\r\n";
    const struct iovec v = {(void *)(uintptr_t)request, strlen(request)};
    (void)text;
    peer.readies++;
    peer.status = status;
    if (status != 0) {
        mg_stream_close(s, false);
        return;
    }
    assert_int_equal(mg_stream_write(s, &v, 1), 0);
    assert_int_equal(mg_stream_read_start(s), 0);
}

static int set_up_tls(void **state) {
    mg_error err;
    peer = (secure_peer){0};
    assert_int_equal(
        server_of_files(&certificate, path_of("good.pem"), path_of("good.key"), "http/1.1", &err),
        0);
    assert_int_equal(
        mg_tls_client_new(&trusting, &(mg_tls_client_options){.ca_file = path_of("ca.pem")}, &err),
        0);
    return set_up(state);
}

static int tear_down_tls(void **state) {
    mg_buf_deinit(&peer.got);
    mg_tls_unref(trusting);
    mg_tls_unref(certificate);
    return tear_down(state);
}

static mg_listener *listen_securely(void) {
    const mg_endpoint secure = {
        .address = "127.0.0.1:0", .app = MG_APP_MAIN, .mode = MG_MODE_ANY, .tls = certificate};
    return listen_as(&secure);
}

static void shake_hands(int fd, const char *host) {
    assert_int_equal(mg_tls_connect(&peer.s, &(mg_tls_opening){.loop = r.loop,
                                                               .context = trusting,
                                                               .fd = fd,
                                                               .host = host,
                                                               .events = &peer_events,
                                                               .on_ready = on_peer_ready}),
                     0);
}

#define UNTIL(condition)                                                                           \
    while (!(condition)) {                                                                         \
        mg_loop_turn(r.loop, true, false, 0);                                                      \
    }

static void a_request_is_served_over_tls(void **state) {
    (void)state;
    shake_hands(connect_to(listen_securely()), "good.test");
    UNTIL(peer.got.n > 0);
    assert_int_equal(peer.status, 0);
    mg_str got = mg_buf_str(&peer.got);
    assert_true(mg_str_starts(got, MG_STR("HTTP/1.1 200 OK\r\n")));
    assert_memory_equal(got.p + got.n - 5, "/main", 5);
    mg_stream_close(&peer.s, false);
    UNTIL(peer.closed);
}

static void a_proxy_tells_before_the_handshake(void **state) {
    (void)state;
    static const char header[] = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
    static const char *const here[] = {"127.0.0.0/8"};
    const mg_endpoint proxied = {.address = "127.0.0.1:0",
                                 .app = MG_APP_MAIN,
                                 .mode = MG_MODE_ANY,
                                 .proxies = {here, 1},
                                 .tls = certificate};
    r.echo = false;
    int fd = connect_to(listen_as(&proxied));
    assert_int_equal(write(fd, header, 20), 20);
    UNTIL(r.server->stats.bytes_in == 0 && r.server->stats.accepted == 1);
    assert_int_equal(write(fd, header + 20, strlen(header) - 20), (ssize_t)strlen(header) - 20);
    shake_hands(fd, "good.test");
    UNTIL(r.server->stats.requests == 1);
    mg_exchange *x = rig_take(&r);
    assert_text("192.0.2.7", mg_exchange_requester(x)->client_ip);
    assert_text("https", mg_exchange_requester(x)->scheme);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    mg_stream_close(&peer.s, false);
    UNTIL(peer.closed);
}

static void the_scheme_follows_the_connection(void **state) {
    (void)state;
    r.echo = false;
    shake_hands(connect_to(listen_securely()), "good.test");
    UNTIL(r.server->stats.requests == 1);
    mg_exchange *x = rig_take(&r);
    assert_text("https", mg_exchange_requester(x)->scheme);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    mg_stream_close(&peer.s, false);
    UNTIL(peer.closed);
    int fd = connect_to(listen_as(&of_main));
    assert_true(write(fd, "GET / HTTP/1.0\r\n\r\n", 18) == 18);
    UNTIL(r.server->stats.requests == 2);
    x = rig_take(&r);
    assert_text("http", mg_exchange_requester(x)->scheme);
    mg_exchange_respond(x, &rig_ok, MG_STR("2"));
    close(fd);
}

static void a_handshake_that_fails_closes(void **state) {
    (void)state;
    shake_hands(connect_to(listen_securely()), "bad.test"); // whom the certificate does not name
    UNTIL(peer.closed && r.server->stats.connections == 0);
    assert_int_not_equal(peer.status, 0);
    assert_int_equal(r.server->stats.accepted, 1);
    assert_int_equal(r.server->stats.requests, 0);
}

static void what_is_no_tls_closes(void **state) {
    (void)state;
    int fd = connect_to(listen_securely());
    assert_true(write(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27) == 27);
    UNTIL(r.server->stats.accepted == 1 && r.server->stats.connections == 0);
    assert_int_equal(r.server->stats.requests, 0);
    close(fd);
}

// The deadline is short, and the peer says nothing: that it comes is the test, not when.
static void a_handshake_that_does_not_come_to_its_end_is_closed(void **state) {
    (void)state;
    mg_server_options options = rig_options();
    options.handshake_ms = 20;
    options.idle_ms = 3600000;
    mg_server_set_options(r.server, &options);
    int fd = connect_to(listen_securely());
    UNTIL(r.server->stats.accepted == 1);
    assert_false(mg_link_alone(&r.server->handshake.head));
    UNTIL(r.server->stats.connections == 0);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
}

static void a_stop_does_not_wait_for_handshakes(void **state) {
    (void)state;
    int fd = connect_to(listen_securely());
    UNTIL(r.server->stats.connections == 1);
    mg_server_drain(r.server, 0, NULL, NULL);
    UNTIL(r.server->stats.connections == 0);
    close(fd);
}

#define TEST(f)   cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SECURE(f) cmocka_unit_test_setup_teardown(f, set_up_tls, tear_down_tls)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_listener_has_its_app),
        TEST(a_new_app_leaves_the_others_alone),
        TEST(an_app_that_is_not_there_is_refused),
        TEST(who_came_before_keeps_what_the_endpoint_was),
        SECURE(a_request_is_served_over_tls),
        SECURE(a_proxy_tells_before_the_handshake),
        SECURE(the_scheme_follows_the_connection),
        SECURE(a_handshake_that_fails_closes),
        SECURE(what_is_no_tls_closes),
        SECURE(a_handshake_that_does_not_come_to_its_end_is_closed),
        SECURE(a_stop_does_not_wait_for_handshakes),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
