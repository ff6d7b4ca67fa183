#include "server/tunnel.h"

#include "base/mem.h"

#include "field_list.h"
#include "peer.h"

#include <errno.h>

#define UPGRADE                                                                                    \
    "GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: echo, other\r\nConnection: x, Upgrade\r\n\r\n"
#define CONNECT   "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n"
#define SWITCHING "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"

enum { WINDOW = 1 << 20 };

static rig r;
static peer p;
static mg_conn *c;

// The owner: notes what comes.
typedef struct owner {
    mg_tunnel t;
    mg_buf in;
    bool pausing; // after each read
    int fins, drains, stops, closed;
    mg_gone why;
} owner;

static owner o;

static void on_read(mg_tunnel *t, mg_str data) {
    assert_ptr_equal(t, &o.t);
    assert_int_equal(o.fins, 0);
    mg_buf_append_str(&o.in, data);
    if (o.pausing) {
        mg_tunnel_pause(t);
    }
}

static void on_fin(mg_tunnel *t) {
    (void)t;
    o.fins++;
}

static void on_drained(mg_tunnel *t) {
    (void)t;
    o.drains++;
}

static void on_stop(mg_tunnel *t) {
    (void)t;
    o.stops++;
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    (void)t;
    o.closed++;
    o.why = why;
}

static const mg_tunnel_events events = {on_read, on_fin, on_drained, on_stop, on_closed};

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    c = peer_open(&r, &p, WINDOW);
    o = (owner){.t.events = &events};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    mg_buf_deinit(&o.in);
    return 0;
}

static void reopen(size_t window) {
    peer_close(&r, &p, false);
    c = peer_open(&r, &p, window);
}

static void assert_in(const char *want) {
    assert_text(want, mg_buf_str(&o.in));
    mg_buf_clear(&o.in);
}

static void take_over(const char *request) {
    static const mg_answer switching = {.status = 101};
    peer_send(&r, &p, request);
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    assert_null(mg_exchange_may_take_over(x, MG_STR("echo")));
    mg_exchange_take_over(x, &switching, MG_STR("echo"), &o.t);
    rig_settle(&r);
}

static void take_over_and_greet(void) {
    take_over(UPGRADE);
    assert_got(&p, SWITCHING);
}

// --- the beginning ---

static void a_request_becomes_a_tunnel(void **state) {
    (void)state;
    take_over_and_greet();
    assert_int_equal(c->state, MG_CONN_TUNNEL);
    assert_int_equal(r.server->h1_exchanges.count, 1); // nothing of the request is kept
    assert_int_equal(r.gone, 0);
    assert_log(&r, "GET /a 101 0\n");
    peer_send(&r, &p, "GET / HTTP/1.1\r\n\r\n");
    assert_in("GET / HTTP/1.1\r\n\r\n");
    assert_int_equal(mg_tunnel_write(&o.t, MG_STR("hello")), MG_OK);
    rig_settle(&r);
    assert_got(&p, "hello");
    mg_tunnel_close(&o.t);
}

static void what_came_behind_the_head_comes_first(void **state) {
    (void)state;
    char piece[1001] = {0};
    memset(piece, 'x', 1000);
    peer_send(&r, &p, UPGRADE "one ");
    peer_send(&r, &p, "two ");
    for (int i = 0; i < 100; i++) { // more than is held
        peer_send(&r, &p, piece);
    }
    assert_true(c->full);
    take_over("");
    assert_true(mg_str_starts(mg_buf_str(&o.in), MG_STR("one two xxx")));
    assert_int_equal(o.in.n, 8 + 100000);
    assert_false(c->full);
    mg_tunnel_close(&o.t);
}

static void a_connect_is_answered_without_a_length(void **state) {
    (void)state;
    peer_send(&r, &p, CONNECT "hello");
    mg_exchange *x = rig_take(&r);
    mg_answer a = {.status = 200, .fields = FIELD_LIST(&x->arena, "X", "y")};
    assert_string_equal(mg_exchange_may_take_over(x, MG_STR("echo")),
                        "the client did not ask for that protocol");
    assert_null(mg_exchange_may_take_over(x, (mg_str){NULL, 0}));
    mg_exchange_take_over(x, &a, (mg_str){NULL, 0}, &o.t);
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
    assert_in("hello");
    mg_tunnel_close(&o.t);
}

static void a_connection_may_be_one_from_the_start(void **state) {
    (void)state;
    mg_tunnel_open(&o.t, c);
    peer_send(&r, &p, "hello");
    assert_in("hello");
    assert_int_equal(r.server->stats.requests, 0);
    mg_tunnel_write(&o.t, MG_STR("you"));
    rig_settle(&r);
    assert_got(&p, "you");
    mg_tunnel_close(&o.t);
}

static void assert_hindered(const char *request, const char *protocol, const char *why) {
    reopen(WINDOW);
    peer_send(&r, &p, request);
    mg_exchange *x = rig_take(&r);
    assert_string_equal(mg_exchange_may_take_over(x, mg_str_of(protocol)), why);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
    rig_settle(&r);
}

static void only_who_asked_gets_one(void **state) {
    (void)state;
    static const char unasked[] = "the client did not ask for that protocol";
    assert_hindered("GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "echo", unasked);
    assert_hindered("GET /a HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\n\r\n", "echo", unasked);
    assert_hindered(UPGRADE, "third", unasked);
    assert_hindered("GET /a HTTP/1.0\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n", "echo",
                    unasked);
    assert_hindered(UPGRADE, "", "the request is no CONNECT");
    assert_hindered("POST /a HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: upgrade\r\n"
                    "Content-Length: 2\r\n\r\nx",
                    "echo", "the request's body has not come to its end");
}

// --- backpressure ---

static void the_owner_waits_for_a_slow_peer(void **state) {
    (void)state;
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    reopen(1000);
    take_over_and_greet();
    mg_stream_read_stop(&p.s);
    int rc;
    size_t sent = 0;
    while ((rc = mg_tunnel_write(&o.t, (mg_str){piece, sizeof piece})) == MG_OK) {
        sent += sizeof piece;
    }
    assert_int_equal(rc, MG_EAGAIN);
    assert_in_range(sent, 50000, 100000);
    rig_settle(&r);
    assert_true(mg_tunnel_backlog(&o.t) > 0);
    assert_int_equal(o.drains, 0);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    assert_int_equal(o.drains, 1);
    assert_int_equal(mg_tunnel_backlog(&o.t), 0);
    assert_int_equal(p.got.n, sent + sizeof piece);
    mg_tunnel_close(&o.t);
}

static void a_slow_owner_slows_the_peer(void **state) {
    (void)state;
    reopen(1000);
    take_over_and_greet();
    o.pausing = true;
    char *large = mg_calloc(1, 50000);
    peer_write(&p, large, 50000);
    rig_settle(&r);
    assert_in_range(o.in.n, 1, 10000);
    assert_true(p.s.queued > 0);
    peer_fin(&r, &p);
    assert_int_equal(o.fins, 0);
    for (int i = 0; o.in.n < 50000 && i < 100; i++) {
        mg_tunnel_resume(&o.t);
        rig_settle(&r);
    }
    assert_int_equal(o.in.n, 50000);
    mg_tunnel_resume(&o.t);
    rig_settle(&r);
    assert_int_equal(o.fins, 1);
    mg_tunnel_close(&o.t);
    mg_free(large);
}

static void a_paused_owner_gets_what_came_behind_the_head_later(void **state) {
    (void)state;
    peer_send(&r, &p, UPGRADE "one");
    mg_exchange *x = rig_take(&r);
    peer_send(&r, &p, "two");
    peer_fin(&r, &p);
    o.pausing = true;
    mg_exchange_take_over(x, &(mg_answer){.status = 101}, MG_STR("echo"), &o.t);
    assert_in("onetwo");
    assert_int_equal(o.fins, 1);
    mg_tunnel_close(&o.t);
}

// --- the ends ---

static void each_direction_ends_by_itself(void **state) {
    (void)state;
    take_over_and_greet();
    peer_fin(&r, &p);
    assert_int_equal(o.fins, 1);
    rig_pass(&r, 5000); // no request is under way that would be waited for in vain
    assert_int_equal(o.closed, 0);
    assert_int_equal(mg_tunnel_write(&o.t, MG_STR("still here")), MG_OK);
    rig_settle(&r);
    assert_got(&p, "still here");
    mg_tunnel_close(&o.t);
    rig_settle(&r);
    assert_int_equal(p.ends, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

static void the_owner_may_end_its_own(void **state) {
    (void)state;
    take_over_and_greet();
    mg_tunnel_write(&o.t, MG_STR("last"));
    mg_tunnel_shutdown(&o.t);
    assert_int_equal(mg_tunnel_write(&o.t, MG_STR("x")), MG_ECLOSED);
    rig_settle(&r);
    assert_got(&p, "last");
    assert_int_equal(p.ends, 1);
    peer_send(&r, &p, "and mine");
    assert_in("and mine");
    mg_tunnel_close(&o.t);
}

static void what_is_queued_at_a_close_still_leaves(void **state) {
    (void)state;
    char *large = mg_calloc(1, 50000);
    reopen(1000);
    take_over_and_greet();
    mg_tunnel_write(&o.t, (mg_str){large, 50000});
    mg_tunnel_close(&o.t);
    assert_int_equal(c->state, MG_CONN_LINGER);
    rig_settle(&r);
    assert_int_equal(p.got.n, 50000);
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.end_status, 0);
    assert_int_equal(o.closed, 0); // it was its own doing
    mg_free(large);
}

static void an_abort_is_a_failure_to_the_peer(void **state) {
    (void)state;
    take_over_and_greet();
    mg_tunnel_abort(&o.t);
    rig_settle(&r);
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.end_status, -ECONNRESET);
    assert_int_equal(o.closed, 0);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_peer_that_resets_is_told_of_once(void **state) {
    (void)state;
    take_over_and_greet();
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(o.closed, 1);
    assert_int_equal(o.why, MG_GONE_CLIENT);
    assert_int_equal(r.server->stats.connections, 0);
}

// --- limits ---

static void a_tunnel_on_which_nothing_moves_is_closed(void **state) {
    (void)state;
    take_over_and_greet();
    rig_pass(&r, 70000);
    peer_send(&r, &p, "x");
    rig_pass(&r, 70000);
    mg_tunnel_write(&o.t, MG_STR("y"));
    rig_pass(&r, 70000);
    assert_int_equal(o.closed, 0);
    rig_pass(&r, 6000);
    assert_int_equal(o.closed, 1);
}

static void a_peer_that_takes_nothing_is_closed_though_it_sends(void **state) {
    (void)state;
    char *large = mg_calloc(1, 50000);
    reopen(1000);
    take_over_and_greet();
    mg_stream_read_stop(&p.s);
    mg_tunnel_write(&o.t, (mg_str){large, 50000});
    rig_settle(&r);
    for (int i = 0; i < 2; i++) {
        rig_pass(&r, 40000);
        if (o.closed == 0) {
            peer_send(&r, &p, "x");
        }
    }
    assert_int_equal(o.closed, 1);
    mg_free(large);
}

static void a_drain_is_told_and_waits(void **state) {
    (void)state;
    take_over_and_greet();
    mg_server_drain(r.server, 100, NULL, NULL);
    assert_int_equal(o.stops, 1);
    rig_pass(&r, 10000);
    assert_int_equal(o.closed, 0);
    mg_server_close(r.server);
    assert_int_equal(o.closed, 1);
    assert_int_equal(o.why, MG_GONE_STOP);
}

static void who_comes_during_a_drain_is_told_too(void **state) {
    (void)state;
    peer_send(&r, &p, UPGRADE);
    mg_exchange *x = rig_take(&r);
    mg_server_drain(r.server, 100, NULL, NULL);
    assert_int_equal(o.stops, 0);
    mg_exchange_take_over(x, &(mg_answer){.status = 101}, MG_STR("echo"), &o.t);
    assert_int_equal(o.stops, 1);
    mg_tunnel_close(&o.t);
}

static void its_bytes_are_counted(void **state) {
    (void)state;
    take_over_and_greet();
    uint64_t in = r.server->stats.bytes_in;
    uint64_t out = r.server->stats.bytes_out;
    peer_send(&r, &p, "12345");
    mg_tunnel_write(&o.t, MG_STR("123"));
    rig_settle(&r);
    assert_int_equal(r.server->stats.bytes_in, in + 5);
    assert_int_equal(r.server->stats.bytes_out, out + 3);
    mg_tunnel_close(&o.t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_becomes_a_tunnel),
        TEST(what_came_behind_the_head_comes_first),
        TEST(a_connect_is_answered_without_a_length),
        TEST(a_connection_may_be_one_from_the_start),
        TEST(only_who_asked_gets_one),
        TEST(the_owner_waits_for_a_slow_peer),
        TEST(a_slow_owner_slows_the_peer),
        TEST(a_paused_owner_gets_what_came_behind_the_head_later),
        TEST(each_direction_ends_by_itself),
        TEST(the_owner_may_end_its_own),
        TEST(what_is_queued_at_a_close_still_leaves),
        TEST(an_abort_is_a_failure_to_the_peer),
        TEST(a_peer_that_resets_is_told_of_once),
        TEST(a_tunnel_on_which_nothing_moves_is_closed),
        TEST(a_peer_that_takes_nothing_is_closed_though_it_sends),
        TEST(a_drain_is_told_and_waits),
        TEST(who_comes_during_a_drain_is_told_too),
        TEST(its_bytes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
