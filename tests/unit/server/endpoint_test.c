// What is wanted of an address: who answers there.

#include "server/endpoint.h"

#include "rig.h"

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
    while (r.server->stats->connections > 0) {
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

static int dial(const mg_listener *l) {
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
    uint64_t before = r.server->stats->bytes_out;
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    while (r.server->stats->bytes_out == before) {
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
    int one = dial(listen_as(&of_main));
    int two = dial(listen_as(&of_admin));
    assert_string_equal(ask(one), "/main");
    assert_string_equal(ask(two), "the admin's");
    assert_string_equal(ask(one), "/main");
    close(one);
    close(two);
}

static void a_new_app_leaves_the_others_alone(void **state) {
    (void)state;
    int one = dial(listen_as(&of_main));
    int two = dial(listen_as(&of_admin));
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
    int one = dial(l);
    assert_string_equal(ask(one), "/main");
    mg_server_unlisten(r.server, l); // and what was its door has gone
    assert_string_equal(ask(one), "/main");
    close(one);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_listener_has_its_app),
        TEST(a_new_app_leaves_the_others_alone),
        TEST(an_app_that_is_not_there_is_refused),
        TEST(who_came_before_keeps_what_the_endpoint_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
