#include "event/descriptors.h"

#include "unit.h"

#include "event/file.h"
#include "event/listener.h"
#include "event/poll.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static mg_loop *loop;

static int set_up(void **state) {
    (void)state;
    return mg_loop_new(&loop, &(mg_loop_options){0});
}

static int tear_down(void **state) {
    (void)state;
    assert_int_equal(mg_descriptors_open(loop), 0);
    assert_int_equal(mg_loop_free(loop), 0);
    return 0;
}

// Holds some that are idle, each counted by hold.
typedef struct hoard {
    mg_holder holder;
    int idle;
    int released;
} hoard;

static bool has_idle(const mg_holder *h) {
    return MG_OF(h, hoard, holder)->idle > 0;
}

static void close_idle(mg_holder *h) {
    MG_OF(h, hoard, holder)->idle--;
    mg_descriptors_release(loop, 1);
}

static void on_released(mg_holder *h) {
    MG_OF(h, hoard, holder)->released++;
}

static void hoard_open(hoard *h, int idle) {
    *h = (hoard){
        {.has_idle = has_idle, .close_idle = close_idle, .on_released = on_released}, idle, 0};
    mg_descriptors_add_holder(loop, &h->holder);
    mg_descriptors_hold(loop, (uint32_t)idle);
}

static void without_a_limit_there_is_always_room(void **state) {
    (void)state;
    mg_descriptors_hold(loop, 1000000);
    assert_true(mg_descriptors_room(loop, 1000000));
    mg_descriptors_release(loop, 1000000);
}

static void what_is_idle_goes_in_the_order_of_the_holders(void **state) {
    (void)state;
    hoard a;
    hoard b;
    hoard_open(&a, 2);
    hoard_open(&b, 2);
    mg_descriptors_set_limit(loop, 5);
    assert_true(mg_descriptors_room(loop, 1));
    assert_int_equal(a.idle, 2);
    assert_true(mg_descriptors_room(loop, 4));
    assert_int_equal(a.idle, 0);
    assert_int_equal(b.idle, 1);
    assert_true(mg_descriptors_has_idle(loop));
    assert_false(mg_descriptors_room(loop, 6));
    assert_false(mg_descriptors_has_idle(loop));
    assert_int_equal(mg_descriptors_left(loop), 5);
    mg_descriptors_remove_holder(&a.holder);
    mg_descriptors_remove_holder(&b.holder);
}

static void holders_hear_of_what_is_given_back(void **state) {
    (void)state;
    hoard h;
    hoard_open(&h, 0);
    mg_descriptors_hold(loop, 1);
    assert_int_equal(h.released, 0);
    mg_descriptors_release(loop, 1);
    assert_int_equal(h.released, 1);
    mg_descriptors_remove_holder(&h.holder);
}

static void on_ready(void *arg, int events) {
    (void)arg;
    (void)events;
}

static void on_connection(void *arg, mg_listener *l) {
    (void)arg;
    (void)l;
}

static void on_opened(void *arg, int status, const struct stat *st) {
    (void)st;
    *(int *)arg = status == 0 ? 1 : status;
}

static void on_read(void *arg, int status, const char *data, size_t n) {
    (void)arg;
    (void)status;
    (void)data;
    (void)n;
}

static void sockets_listeners_and_files_count_themselves(void **state) {
    (void)state;
    static const mg_file_events events = {on_opened, on_read};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    mg_poll *poll = NULL;
    assert_int_equal(mg_poll_open(&poll, loop, pair[0], on_ready, NULL), 0);
    assert_int_equal(mg_descriptors_open(loop), 1);
    mg_address a;
    mg_error err;
    mg_listener *l = NULL;
    assert_int_equal(mg_address_parse("127.0.0.1:0", &a, &err), 0);
    assert_int_equal(
        mg_listener_open(&l, loop, mg_listen_socket(&a, false, &err), on_connection, NULL), 0);
    assert_int_equal(mg_descriptors_open(loop), 2);
    int opened = 0;
    mg_file *f = NULL;
    assert_int_equal(mg_file_open(&f, loop, NULL, "/etc/passwd", &events, &opened), 0);
    assert_int_equal(mg_descriptors_open(loop), 3);
    while (opened == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
    assert_int_equal(opened, 1);
    mg_descriptors_set_limit(loop, 3);
    mg_file *g = NULL;
    assert_int_equal(mg_file_open(&g, loop, NULL, "/etc/passwd", &events, &opened), -EMFILE);
    mg_file_close(f);
    mg_listener_close(l);
    mg_poll_close(poll);
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(without_a_limit_there_is_always_room),
        TEST(what_is_idle_goes_in_the_order_of_the_holders),
        TEST(holders_hear_of_what_is_given_back),
        TEST(sockets_listeners_and_files_count_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
