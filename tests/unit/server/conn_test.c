#include "server/conn.h"

#include "server/h1.h"

#include "base/mem.h"

#include "peer.h"

#define GET(path)        "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body
#define LAST(length, body)                                                                         \
    "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\nConnection: close\r\n\r\n" body

enum { WINDOW = 1 << 20 };

static rig r;
static peer p;
static mg_conn *c;

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    c = peer_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    return 0;
}

static void reopen(size_t window) {
    peer_close(&r, &p, false);
    c = peer_open(&r, &p, window);
}

// --- moves ---

static void a_connection_goes_from_idle_over_head_and_busy_to_idle(void **state) {
    (void)state;
    r.echo = false;
    assert_int_equal(c->state, MG_CONN_IDLE);
    peer_send(&r, &p, "G");
    assert_int_equal(c->state, MG_CONN_HEAD);
    peer_send(&r, &p, "ET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(c->state, MG_CONN_BUSY);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    assert_int_equal(c->state, MG_CONN_IDLE);
    assert_ptr_equal(c->owner, &mg_h1_idle);
    rig_settle(&r);
    assert_got(&p, OK("1", "a"));
}

static void one_connection_serves_many_requests(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        peer_send(&r, &p, GET("/a"));
        assert_got(&p, OK("2", "/a"));
    }
    assert_int_equal(c->requests, 20);
    assert_int_equal(r.server->h1_exchanges.count, 1);
    assert_log(&r, "GET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\n"
                   "GET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\n"
                   "GET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\n"
                   "GET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\nGET /a 200 2\n");
}

// --- pipelining ---

static void a_batch_of_answers_is_one_write(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, GET("/a") GET("/b"));
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    assert_int_equal(c->bytes_out, 0);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    assert_int_equal(c->bytes_out, 0);
    rig_settle(&r);
    assert_got(&p, OK("1", "a") OK("1", "b"));
}

static void only_so_much_is_held_while_a_handler_runs(void **state) {
    (void)state;
    r.echo = false;
    r.server->options.pipeline_bytes = 1000;
    char more[400];
    memset(more, 'x', sizeof more);
    peer_send(&r, &p, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /");
    for (int i = 0; i < 10; i++) {
        peer_write(&p, more, sizeof more);
        rig_settle(&r);
    }
    assert_true(c->full);
    assert_int_equal(c->held->bytes.n - c->held->at, 5 + 3 * sizeof more);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    assert_false(c->full);
    peer_send(&r, &p, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(rig_take(&r)->head.target.path.n, 1 + 10 * sizeof more);
    assert_got(&p, OK("1", "a"));
}

static void what_is_held_counts_among_all_that_comes(void **state) {
    (void)state;
    r.echo = false;
    char more[2000];
    memset(more, 'x', sizeof more);
    mg_intakes *all = mg_loop_intakes(r.loop);
    all->most = 3000;
    peer q;
    peer_open(&r, &q, WINDOW);
    peer_send(&r, &p, GET("/a") "GET /");
    peer_send(&r, &q, GET("/b") "GET /");
    peer_write(&q, more, sizeof more);
    rig_settle(&r);
    assert_int_equal(all->held, 10 + sizeof more);
    rig_pass(&r, 1000);
    peer_write(&p, more, sizeof more / 2);
    rig_settle(&r);
    assert_int_equal(q.ends, 1);
    assert_int_equal(p.ends, 0);
    assert_int_equal(all->held, 5 + sizeof more / 2);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    rig_settle(&r);
    assert_int_equal(all->held, 0);
    assert_got(&p, OK("1", "a"));
    peer_close(&r, &q, false);
}

// --- refusals ---

static void after_a_refusal_the_peer_is_waited_for(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /# HTTP/1.1\r\n\r\n");
    assert_refused(&p, "HTTP/1.1 400 Bad Request\r\n");
    assert_int_equal(c->state, MG_CONN_LINGER);
    peer_send(&r, &p, GET("/a"));
    assert_int_equal(r.server->stats.connections, 1);
    peer_fin(&r, &p);
    assert_int_equal(r.server->stats.connections, 0);
    assert_got(&p, "");
}

static void after_a_refusal_the_peer_is_not_waited_for_in_vain(void **state) {
    (void)state;
    peer_send(&r, &p, "\r\r");
    assert_refused(&p, "HTTP/1.1 400 Bad Request\r\n");
    rig_pass(&r, 1999);
    assert_int_equal(r.server->stats.connections, 1);
    rig_pass(&r, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_lingering_peer_may_reset(void **state) {
    (void)state;
    peer_send(&r, &p, "\r\r");
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(r.server->stats.connections, 0);
    assert_int_equal(r.gone, 0);
}

// --- the peer ends ---

static void a_fin_ends_an_idle_connection(void **state) {
    (void)state;
    peer_fin(&r, &p);
    assert_int_equal(p.ends, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_fin_ends_an_unfinished_head(void **state) {
    (void)state;
    reopen(8);
    mg_stream_read_stop(&p.s);
    const char *text = GET("/a") "GET / HT";
    for (size_t i = 0; text[i] != '\0'; i++) {
        peer_write(&p, text + i, 1);
        rig_settle(&r);
    }
    assert_int_equal(c->state, MG_CONN_HEAD);
    peer_fin(&r, &p);
    assert_int_equal(c->state, MG_CONN_LINGER);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    assert_got(&p, OK("2", "/a"));
    assert_int_equal(r.server->stats.connections, 0);
    assert_int_equal(r.gone, 0);
}

static void a_fin_behind_a_request_lets_it_be_answered(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, GET("/a"));
    peer_fin(&r, &p);
    rig_pass(&r, 999);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    rig_settle(&r);
    assert_got(&p, OK("1", "a"));
    assert_int_equal(r.server->stats.connections, 0);
    assert_int_equal(r.gone, 0);
}

static void a_fin_alone_is_taken_for_a_departure_after_a_while(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, GET("/a"));
    peer_fin(&r, &p);
    rig_pass(&r, 999);
    assert_int_equal(r.gone, 0);
    rig_pass(&r, 1);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
    assert_int_equal(r.server->stats.connections, 0);
    assert_log(&r, "GET /a 0 0 aborted\n");
}

static void whoever_takes_is_served_on_after_its_fin(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, GET("/a"));
    peer_fin(&r, &p);
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mg_exchange_write(x, MG_STR("abc")), MG_OK);
        rig_pass(&r, 900);
    }
    assert_int_equal(r.gone, 0);
    rig_pass(&r, 1100); // nothing was taken for half_close_ms
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

// As anybody who is slow to take an answer.
static void what_is_queued_at_a_fin_is_waited_for_like_any_answer(void **state) {
    (void)state;
    reopen(8);
    r.echo = false;
    mg_stream_read_stop(&p.s);
    peer_send(&r, &p, GET("/a"));
    peer_fin(&r, &p);
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, 3);
    mg_exchange_write(x, MG_STR("abc"));
    rig_pass(&r, 59000);
    assert_true(c->stream.queued > 0);
    assert_int_equal(r.gone, 0);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    rig_pass(&r, 900);
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_got(&p, OK("3", "abc"));
    assert_int_equal(r.gone, 0);
}

static void an_answer_on_its_way_outlives_the_fin(void **state) {
    (void)state;
    reopen(8);
    mg_stream_read_stop(&p.s);
    peer_send(&r, &p, GET("/a"));
    rig_settle(&r);
    assert_true(c->stream.queued > 0);
    mg_stream_read_start(&p.s);
    peer_fin(&r, &p);
    assert_got(&p, OK("2", "/a"));
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_reset_is_told_to_the_app_once_and_at_once(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, GET("/a") GET("/b"));
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
    assert_int_equal(r.server->stats.connections, 0);
    assert_log(&r, "GET /a 200 0 aborted\n");
}

static void a_reset_of_an_idle_or_reading_connection_is_nobodys_business(void **state) {
    (void)state;
    const char *texts[] = {"", "GET /", GET("/a")};
    for (size_t i = 0; i < 3; i++) {
        peer_send(&r, &p, texts[i]);
        peer_close(&r, &p, true);
        assert_int_equal(r.server->stats.connections, 0);
        c = peer_open(&r, &p, WINDOW);
    }
    assert_int_equal(r.gone, 0);
}

// An upload that nobody takes: reading has stopped.
static void stop_reading(void) {
    r.echo = false;
    peer_send(&r, &p, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n");
    mg_exchange_want_body(rig_take(&r), false);
    static char piece[1001];
    memset(piece, 'x', 1000);
    for (int i = 0; i < 100; i++) {
        peer_send(&r, &p, piece);
    }
    assert_true(c->paused);
    rig_pass(&r, 60000);
    assert_int_equal(r.gone, 0);
}

static void a_reset_is_noticed_while_reading_is_stopped(void **state) {
    (void)state;
    stop_reading();
    mg_stream_close(&p.s, true);
    rig_settle(&r);
    assert_int_equal(r.gone, 0); // nothing tells
    rig_pass(&r, 250);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_fin_is_noticed_while_reading_is_stopped(void **state) {
    (void)state;
    stop_reading();
    peer_fin(&r, &p);
    rig_pass(&r, 999);
    assert_int_equal(r.gone, 0);
    rig_pass(&r, 251);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

// --- deadlines ---

static void a_connection_that_idles_too_long_is_closed(void **state) {
    (void)state;
    rig_pass(&r, 74999);
    peer_send(&r, &p, GET("/a"));
    rig_pass(&r, 74999);
    assert_int_equal(r.server->stats.connections, 1);
    rig_pass(&r, 1);
    assert_int_equal(r.server->stats.connections, 0);
    assert_got(&p, OK("2", "/a"));
}

static void a_peer_that_takes_nothing_is_closed(void **state) {
    (void)state;
    reopen(8);
    mg_stream_read_stop(&p.s);
    peer_write(&p, GET("/a"), strlen(GET("/a")));
    for (int i = 0; i < 20; i++) {
        mg_loop_turn(r.loop, false, false, 0);
    }
    rig_pass(&r, 59999);
    assert_int_equal(r.server->stats.connections, 1);
    rig_pass(&r, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

// Takes `n` pieces of what the window holds, one every `ms`.
static void take_slowly(int n, uint64_t ms) {
    for (int i = 0; i < n; i++) {
        mg_stream_read_start(&p.s);
        mg_loop_turn(r.loop, false, false, 0);
        mg_stream_read_stop(&p.s);
        rig_pass(&r, ms);
    }
}

static void a_peer_that_takes_it_too_slowly_is_closed(void **state) {
    (void)state;
    static char text[8000];
    reopen(100);
    r.server->options.answer_rate = 10; // so 600 bytes in the time of `send`
    r.echo = false;
    peer_send(&r, &p, GET("/a"));
    mg_stream_read_stop(&p.s);
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){text, sizeof text});
    rig_settle(&r);
    take_slowly(14, 10000); // 100 each
    assert_int_equal(r.server->stats.connections, 1);
    take_slowly(6, 15000);
    assert_int_equal(r.server->stats.connections, 0);
}

static void beyond_the_bound_of_all_output_who_waits_longest_goes(void **state) {
    (void)state;
    static char text[3000];
    peer other;
    reopen(100);
    peer_open(&r, &other, 100);
    r.server->options.output_bytes = 5000;
    r.echo = false;
    mg_stream_read_stop(&p.s);
    peer_send(&r, &p, GET("/a"));
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){text, sizeof text});
    rig_settle(&r);
    assert_true(r.server->waiting > 2500);
    mg_stream_read_stop(&other.s);
    peer_send(&r, &other, GET("/b"));
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){text, sizeof text});
    rig_settle(&r);
    assert_int_equal(r.server->stats.connections, 1);
    mg_stream_read_start(&other.s);
    rig_settle(&r);
    assert_true(other.got.n > sizeof text);
    assert_int_equal(r.server->waiting, 0);
    peer_close(&r, &other, false);
}

// The queue need not become shorter: the app may fill it as fast.
static void a_peer_that_takes_a_little_is_kept(void **state) {
    (void)state;
    reopen(8);
    r.echo = false;
    peer_send(&r, &p, GET("/a"));
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_stream_read_stop(&p.s);
    for (int i = 0; i < 10; i++) {
        mg_exchange_write(x, MG_STR("0123456789abcdef"));
        rig_settle(&r);
        rig_pass(&r, 40000);
        mg_stream_read_start(&p.s);
        mg_loop_turn(r.loop, false, false, 0);
        mg_stream_read_stop(&p.s);
    }
    assert_int_equal(r.gone, 0);
    rig_pass(&r, 120000);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
}

// An idle connection is this block and nothing else.
static void a_connection_is_small(void **state) {
    (void)state;
    assert_true(sizeof(mg_conn) <= 392);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_small),
        TEST(a_connection_goes_from_idle_over_head_and_busy_to_idle),
        TEST(one_connection_serves_many_requests),
        TEST(a_batch_of_answers_is_one_write),
        TEST(only_so_much_is_held_while_a_handler_runs),
        TEST(after_a_refusal_the_peer_is_waited_for),
        TEST(after_a_refusal_the_peer_is_not_waited_for_in_vain),
        TEST(a_lingering_peer_may_reset),
        TEST(a_fin_ends_an_idle_connection),
        TEST(a_fin_ends_an_unfinished_head),
        TEST(a_fin_behind_a_request_lets_it_be_answered),
        TEST(a_fin_alone_is_taken_for_a_departure_after_a_while),
        TEST(whoever_takes_is_served_on_after_its_fin),
        TEST(what_is_queued_at_a_fin_is_waited_for_like_any_answer),
        TEST(an_answer_on_its_way_outlives_the_fin),
        TEST(a_reset_is_told_to_the_app_once_and_at_once),
        TEST(a_reset_of_an_idle_or_reading_connection_is_nobodys_business),
        TEST(a_reset_is_noticed_while_reading_is_stopped),
        TEST(a_fin_is_noticed_while_reading_is_stopped),
        TEST(a_connection_that_idles_too_long_is_closed),
        TEST(a_peer_that_takes_nothing_is_closed),
        TEST(a_peer_that_takes_it_too_slowly_is_closed),
        TEST(beyond_the_bound_of_all_output_who_waits_longest_goes),
        TEST(a_peer_that_takes_a_little_is_kept),
        TEST(what_is_held_counts_among_all_that_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
