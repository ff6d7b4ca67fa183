#include "h2_peer.h"

#include "server/h2_inside.h"
#include "server/wire.h"

enum { WINDOW = 256 * 1024, LARGE = 300000 };

static rig r;
static h2_peer p;

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    r.echo = false;
    h2_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    h2_close(&r, &p);
    rig_close(&r);
    return 0;
}

static char large[LARGE];

static mg_exchange *begin(h2_call **call, bool slow) {
    *call = h2_request(&r, &p, &(h2_ask){.path = "/a", .slow = slow});
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    return x;
}

static void take_all(h2_call *c) {
    c->slow = false;
    mg_h2_taken(&p.h2, &c->stream, &p.out, c->body.n);
    h2_settle(&r, &p);
}

static void large_answers_arrive_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof large; i++) {
        large[i] = (char)(i * 7 / 5);
    }
    h2_call *a = h2_get(&r, &p, "/a");
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){large, sizeof large});
    h2_settle(&r, &p);
    assert_true(a->ended);
    assert_int_equal(a->body.n, sizeof large);
    assert_memory_equal(a->body.p, large, sizeof large);
    assert_int_equal(r.server->waiting, 0);
}

static void who_sends_waits_for_the_windows(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, true);
    assert_int_equal(mg_exchange_write(x, (mg_str){large, 65535}), MG_OK);
    assert_int_equal(mg_exchange_backlog(x), 0);
    assert_int_equal(mg_exchange_write(x, (mg_str){large, 60000}), MG_OK);
    assert_int_equal(mg_exchange_backlog(x), 60000);
    assert_int_equal(mg_exchange_write(x, (mg_str){large, 60000}), MG_EAGAIN);
    assert_int_equal(r.server->waiting, 120000);
    h2_settle(&r, &p);
    assert_int_equal(r.writables, 0);
    assert_int_equal(a->body.n, 65535);
    take_all(a);
    assert_int_equal(r.writables, 1);
    assert_int_equal(a->body.n, 65535 + 120000);
    assert_int_equal(r.server->waiting, 0);
    mg_exchange_end(x, NULL);
    h2_settle(&r, &p);
    assert_true(a->ended);
}

static void what_waits_ends_with_its_end(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, true);
    mg_fields trailers;
    mg_fields_init(&trailers, &x->arena);
    mg_fields_add(&trailers, MG_STR("a"), MG_STR("b"));
    mg_exchange_write(x, (mg_str){large, 65536});
    mg_exchange_end(x, &trailers);
    h2_settle(&r, &p);
    assert_false(a->ended);
    take_all(a);
    assert_true(a->ended);
    assert_int_equal(a->body.n, 65536);
    assert_int_equal(a->trailers.count, 1);
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

static void what_has_been_sent_is_not_kept_while_more_waits(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, true);
    mg_exchange_write(x, (mg_str){large, 65535 + 5000});
    for (int i = 0; i < 100; i++) {
        assert_int_equal(mg_exchange_write(x, (mg_str){large, 10000}), MG_OK);
        mg_h2_taken(&p.h2, &a->stream, &p.out, 10000);
        h2_settle(&r, &p);
        assert_true(mg_exchange_backlog(x) > 0);
    }
    assert_true(mg_h2_exchange_of(x)->waiting.cap <= 128 * 1024);
    mg_exchange_abort(x);
}

static void a_slow_reader_holds_up_nobody_else(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, true);
    mg_exchange_write(x, (mg_str){large, 100000});
    h2_call *b = h2_get(&r, &p, "/b");
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_answer(b, 200, "b");
    mg_exchange_abort(x);
}

static void a_peer_that_gives_no_window_is_a_slow_reader(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, true);
    mg_exchange_write(x, (mg_str){large, 100000});
    h2_settle(&r, &p);
    rig_pass(&r, 59000);
    assert_int_equal(r.gone, 0);
    rig_pass(&r, 1001);
    h2_settle(&r, &p);
    assert_int_equal(r.gone, 1);
    assert_true(a->reset);
    assert_int_equal(a->code, MG_H2_CANCEL);
    assert_int_equal(p.goaways, 0);
}

static void whole_answers_are_timed_too(void **state) {
    (void)state;
    h2_call *a = h2_request(&r, &p, &(h2_ask){.path = "/a", .slow = true});
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){large, 100000});
    h2_settle(&r, &p);
    rig_pass(&r, 60001);
    h2_settle(&r, &p);
    assert_true(a->reset);
    assert_int_equal(r.server->waiting, 0);
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

static void who_reads_slowly_but_reads_is_let(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, true);
    mg_exchange_write(x, (mg_str){large, 200000});
    h2_settle(&r, &p);
    for (int i = 0; i < 3; i++) {
        rig_pass(&r, 50000);
        mg_h2_taken(&p.h2, &a->stream, &p.out, 33000);
        h2_settle(&r, &p);
    }
    assert_false(a->reset);
    assert_true(mg_exchange_backlog(x) > 0);
    mg_exchange_abort(x);
}

static void what_all_wait_for_has_a_bound(void **state) {
    (void)state;
    r.server->options.output_bytes = 150000;
    h2_call *a, *b;
    mg_exchange *x = begin(&a, true);
    mg_exchange *y = begin(&b, true);
    mg_exchange_write(x, (mg_str){large, 165535});
    assert_int_equal(r.gone, 0);
    mg_exchange_write(y, (mg_str){large, 165535});
    h2_settle(&r, &p);
    assert_int_equal(r.gone, 1); // who has owed the longest
    assert_true(a->reset);
    assert_false(b->reset);
    assert_int_equal(r.server->waiting, 100000);
    mg_exchange_abort(y);
}

static void a_connection_that_does_not_read_makes_streams_wait(void **state) {
    (void)state;
    h2_call *a;
    mg_exchange *x = begin(&a, false);
    mg_stream_read_stop(&p.p.s);
    int rc = MG_OK;
    for (int i = 0; i < 20 && rc == MG_OK; i++) {
        rc = mg_exchange_write(x, (mg_str){large, 30000});
        rig_settle(&r);
    }
    assert_int_equal(rc, MG_EAGAIN);
    mg_stream_read_start(&p.p.s);
    h2_settle(&r, &p);
    assert_int_equal(mg_exchange_backlog(x), 0);
    mg_exchange_end(x, NULL);
    h2_settle(&r, &p);
    assert_true(a->ended);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(large_answers_arrive_whole),
        TEST(who_sends_waits_for_the_windows),
        TEST(what_waits_ends_with_its_end),
        TEST(what_has_been_sent_is_not_kept_while_more_waits),
        TEST(a_slow_reader_holds_up_nobody_else),
        TEST(a_peer_that_gives_no_window_is_a_slow_reader),
        TEST(whole_answers_are_timed_too),
        TEST(who_reads_slowly_but_reads_is_let),
        TEST(what_all_wait_for_has_a_bound),
        TEST(a_connection_that_does_not_read_makes_streams_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
