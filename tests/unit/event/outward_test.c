#include "event/outward.h"

#include "wire.h"

#include <errno.h>

enum { WINDOW = 128 * 1024 };

static mg_loop *loop;
static wire peer;

// Owns the stream: passes on what it tells.
static struct {
    mg_stream s;
    mg_outward o;
    int releases, closes;
    bool reset;
} ours;

// Owns the tunnel.
static struct {
    mg_tunnel t;
    mg_buf in;
    int fins, drains, closed;
    mg_gone why;
} owner;

static void on_stream_read(mg_stream *s, const char *data, size_t n) {
    (void)s;
    mg_outward_read(&ours.o, data, n);
}

static void on_stream_end(mg_stream *s, int status) {
    (void)s;
    mg_outward_ended(&ours.o, status);
}

static void on_stream_drain(mg_stream *s, int status) {
    (void)s;
    mg_outward_drained(&ours.o, status);
}

static void on_stream_closed(mg_stream *s) {
    (void)s;
    ours.closes++;
}

static const mg_stream_events stream_events = {on_stream_read, on_stream_end, on_stream_drain,
                                               on_stream_closed};

static void release(mg_outward *o, bool reset) {
    assert_ptr_equal(o, &ours.o);
    ours.releases++;
    ours.reset = reset;
    mg_stream_close(&ours.s, reset);
}

static void on_read(mg_tunnel *t, mg_str data) {
    assert_ptr_equal(t, &owner.t);
    mg_buf_append_str(&owner.in, data);
}

static void on_fin(mg_tunnel *t) {
    (void)t;
    owner.fins++;
}

static void on_drained(mg_tunnel *t) {
    (void)t;
    owner.drains++;
}

static void on_stop(mg_tunnel *t) {
    (void)t;
    fail_msg("nobody stops what we opened");
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    (void)t;
    owner.closed++;
    owner.why = why;
}

static const mg_tunnel_events events = {on_read, on_fin, on_drained, on_stop, on_closed};

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(true);
    memset(&ours, 0, sizeof ours);
    memset(&owner, 0, sizeof owner);
    peer = (wire){.ends = 0};
    ours.o.release = release;
    owner.t.events = &events;
    assert_int_equal(mg_stream_pair(loop, &ours.s, &peer.s, &stream_events, &wire_events, WINDOW),
                     0);
    mg_outward_open(&ours.o, &ours.s, &owner.t);
    mg_stream_read_start(&peer.s);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (ours.releases == 0) {
        mg_outward_drop(&ours.o);
        mg_stream_close(&ours.s, false);
    }
    mg_stream_close(&peer.s, false);
    int leaked = mg_loop_free(loop);
    assert_int_equal(ours.closes, 1);
    mg_buf_deinit(&owner.in);
    mg_buf_deinit(&peer.got);
    return leaked;
}

static void turn(void) {
    for (int i = 0; i < 8; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
}

static void bytes_go_both_ways_and_each_end_ends_alone(void **state) {
    (void)state;
    assert_int_equal(mg_tunnel_write(&owner.t, MG_STR("ping")), MG_OK);
    assert_int_equal(wire_send(&peer, "pong", 4), 0);
    turn();
    assert_memory_equal(peer.got.p, "ping", 4);
    assert_memory_equal(owner.in.p, "pong", 4);
    mg_stream_shutdown(&peer.s);
    turn();
    assert_int_equal(owner.fins, 1);
    assert_true(owner.t.fin);
    assert_int_equal(mg_tunnel_write(&owner.t, MG_STR("still")), MG_OK);
    mg_tunnel_shutdown(&owner.t);
    assert_int_equal(mg_tunnel_write(&owner.t, MG_STR("no more")), MG_ECLOSED);
    turn();
    assert_int_equal(peer.got.n, 9);
    assert_int_equal(peer.ends, 1);
    assert_int_equal(owner.closed, 0);
}

static void whoever_sends_more_than_the_peer_takes_is_told_to_wait(void **state) {
    (void)state;
    char *much = calloc(1, 3 * WINDOW);
    mg_stream_read_stop(&peer.s);
    assert_int_equal(mg_tunnel_write(&owner.t, (mg_str){much, 3 * WINDOW}), MG_EAGAIN);
    assert_true(mg_tunnel_backlog(&owner.t) > 0);
    turn();
    assert_int_equal(owner.drains, 0);
    mg_stream_read_start(&peer.s);
    turn();
    assert_int_equal(owner.drains, 1);
    assert_int_equal(mg_tunnel_backlog(&owner.t), 0);
    assert_int_equal(peer.got.n, 3 * WINDOW);
    free(much);
}

static void nothing_comes_while_it_is_paused(void **state) {
    (void)state;
    mg_tunnel_pause(&owner.t);
    wire_send(&peer, "x", 1);
    turn();
    assert_int_equal(owner.in.n, 0);
    mg_tunnel_resume(&owner.t);
    turn();
    assert_int_equal(owner.in.n, 1);
}

static void what_is_queued_leaves_behind_a_close_and_the_peers_end_is_waited_for(void **state) {
    (void)state;
    char *much = calloc(1, 2 * WINDOW);
    mg_stream_read_stop(&peer.s);
    mg_tunnel_write(&owner.t, (mg_str){much, 2 * WINDOW});
    mg_tunnel_close(&owner.t);
    wire_send(&peer, "nobody reads this", 17);
    turn();
    assert_int_equal(ours.releases, 0);
    mg_stream_read_start(&peer.s);
    turn();
    assert_int_equal(peer.got.n, 2 * WINDOW);
    assert_int_equal(peer.ends, 1);
    assert_int_equal(ours.releases, 0);
    mg_stream_shutdown(&peer.s);
    turn();
    assert_int_equal(ours.releases, 1);
    assert_int_equal(owner.in.n, 0);
    assert_int_equal(owner.closed, 0);
    free(much);
}

static void a_peer_that_says_nothing_more_is_not_waited_for_for_ever(void **state) {
    (void)state;
    mg_tunnel_close(&owner.t);
    turn();
    assert_int_equal(ours.releases, 0);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + 5000);
    turn();
    assert_int_equal(ours.releases, 1);
}

static void a_peer_that_resets_ends_it(void **state) {
    (void)state;
    mg_stream_close(&peer.s, true);
    turn();
    assert_int_equal(owner.closed, 1);
    assert_int_equal(owner.why, MG_GONE_CLIENT);
    assert_int_equal(ours.releases, 1);
}

static void breaking_it_off_is_a_reset(void **state) {
    (void)state;
    mg_tunnel_abort(&owner.t);
    assert_int_equal(ours.releases, 1);
    assert_true(ours.reset);
    turn();
    assert_int_equal(owner.closed, 0);
}

static void whoever_has_the_stream_may_take_it_away(void **state) {
    (void)state;
    mg_outward_drop(&ours.o);
    assert_int_equal(owner.closed, 1);
    assert_int_equal(owner.why, MG_GONE_STOP);
    assert_int_equal(ours.releases, 0);
    ours.releases = 1; // see tear_down
    mg_stream_close(&ours.s, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways_and_each_end_ends_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(whoever_sends_more_than_the_peer_takes_is_told_to_wait,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_comes_while_it_is_paused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_queued_leaves_behind_a_close_and_the_peers_end_is_waited_for, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_says_nothing_more_is_not_waited_for_for_ever,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_resets_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(breaking_it_off_is_a_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_has_the_stream_may_take_it_away, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
