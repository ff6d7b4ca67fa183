#include "server/owed.h"

#include "h2_peer.h"

#include "server/wire.h"

enum { WINDOW = 100 };

static rig r;
static peer a, b;
static mg_conn *ca, *cb;
static char text[25000];

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    r.server->options.answer_rate = 500;
    r.server->options.output_bytes = 30000;
    ca = peer_open(&r, &a, WINDOW);
    cb = peer_open(&r, &b, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &a, false);
    peer_close(&r, &b, false);
    rig_close(&r);
    return 0;
}

// It asks, does not read, and is owed `n` bytes.
static void owe(peer *p, size_t n) {
    mg_stream_read_stop(&p->s);
    peer_send(&r, p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){text, n});
    rig_settle(&r);
}

// It takes what fits into the window.
static void take(peer *p) {
    mg_stream_read_start(&p->s);
    mg_loop_turn(r.loop, false, false, 0);
    mg_stream_read_stop(&p->s);
}

// Was it made to go? It reads on to see.
static bool is_gone(peer *p) {
    mg_stream_read_start(&p->s);
    rig_settle(&r);
    return p->ends > 0;
}

static void within_the_bound_nobody_goes(void **state) {
    (void)state;
    owe(&a, 10000);
    owe(&b, 15000);
    rig_pass(&r, 30000);
    assert_int_equal(r.server->stats.connections, 2);
}

static void who_takes_nothing_goes_before_who_takes(void **state) {
    (void)state;
    owe(&a, 20000);
    rig_pass(&r, 100);
    peer c;
    peer_open(&r, &c, WINDOW);
    owe(&b, 5000);
    rig_pass(&r, 250);
    for (int i = 0; i < 5; i++) {
        take(&a); // who has owed the longest, and the most
    }
    owe(&c, 10000);
    assert_false(is_gone(&a));
    assert_true(is_gone(&b));
    assert_true(r.server->waiting <= 30000);
    peer_close(&r, &c, false);
}

static void of_those_who_came_just_now_who_owes_most_beside_what_it_took_goes(void **state) {
    (void)state;
    owe(&a, 20000);
    for (int i = 0; i < 50; i++) {
        take(&a);
    }
    assert_true(r.server->waiting > 14000);
    owe(&b, 20000);
    assert_false(is_gone(&a));
    assert_true(is_gone(&b));
}

static void who_has_taken_much_may_rest_for_a_moment(void **state) {
    (void)state;
    static char much[310000];
    peer d;
    peer_open(&r, &d, 300000);
    mg_stream_read_stop(&d.s);
    peer_send(&r, &d, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){much, sizeof much});
    rig_settle(&r);
    rig_pass(&r, 1000);
    owe(&b, 25000);
    assert_true(is_gone(&b));
    rig_pass(&r, 1500);
    owe(&a, 25000);
    assert_false(is_gone(&a));
    assert_true(is_gone(&d));
    peer_close(&r, &d, false);
}

static void the_bound_holds_when_all_take(void **state) {
    (void)state;
    owe(&a, 20000);
    peer c;
    peer_open(&r, &c, WINDOW);
    rig_pass(&r, 300);
    for (int i = 0; i < 5; i++) {
        take(&a);
    }
    owe(&b, 20000);
    assert_int_equal(1, is_gone(&a) + is_gone(&b));
    assert_true(r.server->waiting <= 30000);
    peer_close(&r, &c, false);
}

static void the_beginning_of_a_head_hides_nobody(void **state) {
    (void)state;
    owe(&a, 20000);
    peer_send(&r, &a, "GET /b");
    rig_pass(&r, 300);
    take(&b);
    owe(&b, 12000);
    assert_true(is_gone(&a));
    assert_false(is_gone(&b));
}

static void a_head_that_is_held_behind_an_answer_hides_nobody(void **state) {
    (void)state;
    mg_stream_read_stop(&a.s);
    peer_send(&r, &a, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b");
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_write(x, (mg_str){text, 20000});
    rig_settle(&r);
    mg_exchange_end(x, NULL); // the rest is still queued
    rig_settle(&r);
    assert_int_equal(ca->state, MG_CONN_HEAD);
    rig_pass(&r, 60000);
    assert_int_equal(r.server->stats.connections, 1); // it took nothing for timeouts.send
    assert_true(is_gone(&a));
}

static void without_a_bound_any_more_nobody_goes(void **state) {
    (void)state;
    owe(&a, 20000);
    r.server->owing = true;
    r.server->options.output_bytes = 0; // as by a reload
    mg_owed_bound(r.server);
    assert_false(r.server->owing);
    assert_false(is_gone(&a));
}

static void a_head_has_its_time_once_nothing_is_owed(void **state) {
    (void)state;
    owe(&a, 1000);
    peer_send(&r, &a, "GET /b");
    rig_pass(&r, 30000);
    assert_false(is_gone(&a));
    mg_stream_read_start(&a.s);
    rig_settle(&r);
    mg_buf_clear(&a.got);
    rig_pass(&r, 9000);
    assert_int_equal(0, a.got.n);
    rig_pass(&r, 1100);
    assert_refused(&a, "HTTP/1.1 408 ");
}

static h2_call *ask_much(h2_peer *p, size_t n) {
    static char much[400000];
    h2_call *call = h2_request(&r, p, &(h2_ask){.path = "/a", .slow = true});
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){much, n});
    h2_settle(&r, p);
    return call;
}

static void streams_without_a_window_go_before_connections_that_take(void **state) {
    (void)state;
    h2_peer p;
    h2_open(&r, &p, 1 << 20);
    owe(&a, 15000);
    for (int i = 0; i < 80; i++) {
        take(&a);
    }
    h2_call *call = ask_much(&p, 400000); // of which 65,535 fit into the window
    assert_true(call->reset);
    assert_true(r.server->waiting <= 15000);
    assert_false(is_gone(&a));
    h2_close(&r, &p);
}

static void all_streams_of_a_connection_count_together(void **state) {
    (void)state;
    h2_peer p;
    h2_open(&r, &p, 1 << 20);
    r.server->options.output_bytes = 6000000;
    owe(&a, 15000);
    for (int i = 0; i < 140; i++) {
        take(&a);
    }
    bool reset = false;
    for (int i = 0; i < 20; i++) { // each of them waits for less than `a` beside all that was taken
        ask_much(&p, 400000);
    }
    for (size_t i = 0; i < p.count; i++) {
        reset |= p.calls[i]->reset;
    }
    assert_true(reset);
    assert_true(r.server->waiting <= 6000000);
    assert_false(is_gone(&a));
    h2_close(&r, &p);
}

static void the_turn_learns_that_it_makes_too_much(void **state) {
    (void)state;
    uint32_t counted = 0;
    mg_owed_count(r.server, &counted, 30000);
    assert_false(r.server->owing);
    mg_owed_count(r.server, &counted, 30001);
    assert_true(r.server->owing);
    mg_owed_count(r.server, &counted, 0);
    assert_int_equal(0, r.server->waiting);
    assert_true(r.server->owing);
    mg_owed_bound(r.server);
    assert_false(r.server->owing);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(within_the_bound_nobody_goes),
        TEST(who_takes_nothing_goes_before_who_takes),
        TEST(of_those_who_came_just_now_who_owes_most_beside_what_it_took_goes),
        TEST(who_has_taken_much_may_rest_for_a_moment),
        TEST(the_bound_holds_when_all_take),
        TEST(the_beginning_of_a_head_hides_nobody),
        TEST(a_head_that_is_held_behind_an_answer_hides_nobody),
        TEST(without_a_bound_any_more_nobody_goes),
        TEST(a_head_has_its_time_once_nothing_is_owed),
        TEST(streams_without_a_window_go_before_connections_that_take),
        TEST(all_streams_of_a_connection_count_together),
        TEST(the_turn_learns_that_it_makes_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
