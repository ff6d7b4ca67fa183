#include "gate/accepting.h"

#include "config/endpoint.h"
#include "gate/channel.h"

#include "server/rig.h"

#include <sys/socket.h>
#include <unistd.h>

enum { OWN = 0, OTHER = 1 };

static rig r;
static mg_accepting a;

static int set_up(void **state) {
    (void)state;
    alarm(30); // ends a test that waits in vain
    mg_server_options options = rig_options();
    rig_open_with(&r, false, &options);
    a = (mg_accepting){.loop = r.loop, .own = OWN};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_accepting_end(&a);
    mg_accepting_deinit(&a);
    mg_server_close(r.server);
    while (r.server->stats.connections > 0) {
        mg_loop_turn(r.loop, true, false, 0);
    }
    rig_settle(&r);
    mg_server_free(r.server);
    mg_loop_remove_turn(&r.turn);
    assert_int_equal(mg_loop_free(r.loop), 0);
    mg_buf_deinit(&r.log);
    return 0;
}

// A socket that listens, of which the test keeps none.
static int listening(mg_address *at) {
    mg_error err;
    assert_int_equal(mg_address_parse("127.0.0.1:0", at, &err), 0);
    int fd = mg_listen_socket(at, false, &err);
    assert_true(fd >= 0);
    assert_int_equal(mg_address_of_socket(fd, at), 0);
    return fd;
}

static void add(uint32_t id, uint32_t slot, mg_address *at, const char *endpoint) {
    mg_accepting_add(&a, id, slot, listening(at), mg_str_of(endpoint));
}

static void dial(const mg_address *at) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at->sa, at->sa_len), 0);
    close(fd);
}

static bool is_accepted_from(const mg_address *at) {
    uint64_t before = r.server->stats.accepted;
    dial(at);
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(r.loop, false, false, 0);
    }
    return r.server->stats.accepted > before;
}

#define PLAIN "{\"address\":\"127.0.0.1:0\",\"app\":\"main\",\"mode\":false}"

static void accepts_from_its_own_and_from_those_of_all(void **state) {
    (void)state;
    mg_address own, other, all;
    add(1, OWN, &own, PLAIN);
    add(2, OTHER, &other, PLAIN);
    add(3, MG_SLOT_ALL, &all, PLAIN);
    mg_accepting_begin(&a, r.server);
    assert_true(is_accepted_from(&own));
    assert_false(is_accepted_from(&other));
    assert_true(is_accepted_from(&all));
}

static void accepts_from_what_is_lent_as_long_as_it_is(void **state) {
    (void)state;
    mg_address other;
    mg_accepting_begin(&a, r.server);
    add(2, OTHER, &other, PLAIN);
    mg_accepting_lend(&a, OTHER, true);
    assert_true(is_accepted_from(&other));
    mg_accepting_lend(&a, OTHER, false);
    assert_false(is_accepted_from(&other));
}

static void what_is_forgotten_is_closed(void **state) {
    (void)state;
    mg_address own;
    mg_accepting_begin(&a, r.server);
    add(1, OWN, &own, PLAIN);
    mg_accepting_forget(&a, 1);
    mg_accepting_forget(&a, 1);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&own.sa, own.sa_len), -1);
    close(fd);
}

static void a_change_loses_nobody(void **state) {
    (void)state;
    mg_address own;
    mg_accepting_begin(&a, r.server);
    add(1, OWN, &own, PLAIN);
    dial(&own); // waits in the kernel
    mg_accepting_change(&a, 1, MG_STR("{\"address\":\"127.0.0.1:0\"}"));
    assert_int_equal(r.server->stats.accepted, 1);
    assert_true(is_accepted_from(&own));
    mg_accepting_change(&a, 7, MG_STR(PLAIN)); // of no socket
}

static void an_endpoint_that_is_not_understood_lets_nobody_in(void **state) {
    (void)state;
    mg_address own;
    mg_accepting_begin(&a, r.server);
    add(1, OWN, &own, "{\"address\":\"127.0.0.1:0\",\"of\":\"later\"}");
    assert_false(is_accepted_from(&own));
    mg_accepting_change(&a, 1, MG_STR(PLAIN));
    assert_true(is_accepted_from(&own));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(accepts_from_its_own_and_from_those_of_all),
        TEST(accepts_from_what_is_lent_as_long_as_it_is),
        TEST(what_is_forgotten_is_closed),
        TEST(a_change_loses_nobody),
        TEST(an_endpoint_that_is_not_understood_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
