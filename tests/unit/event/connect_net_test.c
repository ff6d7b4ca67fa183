// Connections of a loop that has another network: specs stand at their other end.
#include "event/connect.h"

#include "wire.h"

#include "event/descriptors.h"

static mg_loop *loop;
static wire ours;
static wire theirs;

static mg_connect *asked; // the last one that the network was given
static char asked_host[64];
static uint16_t asked_port;
static int gone;

static int done;
static char code[16];

static void on_connect(void *arg, mg_connect *c, const mg_connect_options *wanted) {
    assert_ptr_equal(arg, &asked);
    asked = c;
    asked_port = wanted->port;
    snprintf(asked_host, sizeof asked_host, "%s", wanted->host);
}

static void on_gone(void *arg, mg_connect *c) {
    assert_ptr_equal(arg, &asked);
    assert_ptr_equal(c, asked);
    gone++;
}

static const mg_connect_net net = {.on_connect = on_connect, .on_gone = on_gone, .arg = &asked};

static void on_done(void *arg, const mg_connect_fault *fault) {
    (void)arg;
    done++;
    snprintf(code, sizeof code, "%s", fault != NULL ? fault->code : "");
}

static mg_connect *start(uint32_t timeout_ms) {
    mg_connect *c = mg_connect_start(&(mg_connect_options){.loop = loop,
                                                           .host = "users.test",
                                                           .port = 9001,
                                                           .timeout_ms = timeout_ms,
                                                           .on_done = on_done,
                                                           .stream = &ours.s,
                                                           .events = &wire_events});
    assert_int_equal(done, 0);
    assert_ptr_equal(asked, c);
    return c;
}

static int set_up(void **state) {
    (void)state;
    loop = new_loop(true);
    assert_false(mg_connect_has_net(loop));
    mg_connect_use(loop, &net);
    assert_true(mg_connect_has_net(loop));
    ours = theirs = (wire){0};
    asked = NULL;
    gone = done = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    assert_int_equal(mg_descriptors_open(loop), 0);
    mg_loop_free(loop);
    return 0;
}

static void it_is_told_whom_to_reach(void **state) {
    (void)state;
    mg_connect *c = start(0);
    assert_string_equal(asked_host, "users.test");
    assert_int_equal(asked_port, 9001);
    mg_connect_cancel(c);
    assert_int_equal(gone, 1);
    assert_int_equal(done, 0);
}

static void what_it_accepts_is_open_both_ways(void **state) {
    (void)state;
    mg_connect_accept(start(0), &theirs.s, &wire_events, 100);
    assert_int_equal(done, 1);
    assert_string_equal(code, "");
    assert_int_equal(gone, 0);
    theirs.echo = true;
    mg_stream_read_start(&theirs.s);
    mg_stream_read_start(&ours.s);
    assert_int_equal(wire_send(&ours, "hello", 5), 0);
    turn_until_bytes(loop, &ours, 5);
    wire_close(loop, &ours);
    wire_close(loop, &theirs);
}

static void what_it_refuses_is_a_fault_of_the_dial(void **state) {
    (void)state;
    mg_connect_refuse(start(0), &(mg_connect_fault){"dns", "no such name"});
    assert_int_equal(done, 1);
    assert_string_equal(code, "dns");
    assert_int_equal(gone, 1);
}

static void what_it_never_answers_is_too_late(void **state) {
    (void)state;
    start(2000);
    turn_until(loop, &done, 1);
    assert_string_equal(code, "timeout");
    assert_int_equal(mg_loop_now_ms(loop), 2000);
    assert_int_equal(gone, 1);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(it_is_told_whom_to_reach),
        EACH(what_it_accepts_is_open_both_ways),
        EACH(what_it_refuses_is_a_fault_of_the_dial),
        EACH(what_it_never_answers_is_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
