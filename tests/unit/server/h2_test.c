#include "server/h2.h"

#include "h2_peer.h"

#include "server/h2_inside.h"
#include "server/requester.h"
#include "server/wire.h"

enum { WINDOW = 256 * 1024 };

static rig r;
static h2_peer p;

static int set_up(void **state) {
    (void)state;
    rig_open(&r);
    h2_open(&r, &p, WINDOW);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    h2_close(&r, &p);
    rig_close(&r);
    return 0;
}

static void requests_are_answered(void **state) {
    (void)state;
    h2_call *a = h2_get(&r, &p, "/a");
    h2_call *b = h2_get(&r, &p, "/b");
    assert_answer(a, 200, "/a");
    assert_answer(b, 200, "/b");
    assert_log(&r, "GET /a 200 2\nGET /b 200 2\n");
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
    assert_int_equal(p.conn->requests, 2);
}

static void many_are_under_way_and_end_in_any_order(void **state) {
    (void)state;
    r.echo = false;
    h2_call *a = h2_get(&r, &p, "/a");
    h2_call *b = h2_get(&r, &p, "/b");
    mg_exchange *x = rig_take(&r);
    mg_exchange *y = rig_take(&r);
    assert_int_equal(p.conn->state, MG_CONN_BUSY);
    mg_exchange_respond(y, &rig_ok, MG_STR("2"));
    h2_settle(&r, &p);
    assert_answer(b, 200, "2");
    assert_false(a->ended);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    h2_settle(&r, &p);
    assert_answer(a, 200, "1");
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

static void the_app_sees_a_request(void **state) {
    (void)state;
    r.echo = false;
    h2_request(&r, &p, &(h2_ask){.path = "/a?b=1", .name = "X-One", .value = "1"});
    mg_exchange *x = rig_take(&r);
    assert_text("HTTP/2.0", x->protocol);
    assert_int_equal(x->head.method, MG_METHOD_GET);
    assert_text("/a", x->head.target.path);
    assert_text("h", x->head.host);
    assert_text("1", mg_fields_find_name(&x->head.fields, MG_STR("x-one"))->value);
    assert_true(mg_exchange_body_complete(x));
    assert_text("http", mg_exchange_requester(x)->scheme);
    mg_peer told;
    mg_exchange_peer(x, &told);
    assert_int_equal(told.requests, 1);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

static void a_cancelled_request_is_told_at_once(void **state) {
    (void)state;
    r.echo = false;
    h2_call *a = h2_get(&r, &p, "/a");
    h2_get(&r, &p, "/b");
    rig_take(&r);
    h2_cancel(&r, &p, a);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
    assert_log(&r, "GET /a 0 0 aborted\n");
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("b"));
    h2_settle(&r, &p);
    assert_log(&r, "GET /b 200 1\n");
}

static void a_client_that_leaves_takes_all_with_it(void **state) {
    (void)state;
    r.echo = false;
    h2_get(&r, &p, "/a");
    h2_get(&r, &p, "/b");
    rig_take(&r);
    rig_take(&r);
    mg_stream_close(&p.p.s, true);
    rig_settle(&r);
    assert_int_equal(r.gone, 2);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_fin_gives_what_is_under_way_a_while(void **state) {
    (void)state;
    r.echo = false;
    h2_call *a = h2_get(&r, &p, "/a");
    mg_exchange *x = rig_take(&r);
    peer_fin(&r, &p.p);
    rig_pass(&r, 900);
    assert_int_equal(r.gone, 0);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    h2_settle(&r, &p);
    assert_answer(a, 200, "1");
    rig_pass(&r, 3000);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_fin_ends_what_was_still_to_come(void **state) {
    (void)state;
    r.echo = false;
    h2_request(&r, &p, &(h2_ask){.method = "POST", .path = "/a", .open = true});
    h2_get(&r, &p, "/b");
    rig_take(&r);
    mg_exchange *x = rig_take(&r);
    peer_fin(&r, &p.p);
    assert_int_equal(r.gone, 1);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    rig_settle(&r);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_malformed_request_is_answered_without_the_app(void **state) {
    (void)state;
    r.echo = false;
    h2_call *a = h2_get(&r, &p, "/%zz");
    assert_int_equal(a->status, 400);
    assert_true(a->ended);
    assert_null(rig_take(&r));
    assert_log(&r, "GET /%zz 400 0\n");
}

static void an_idle_connection_ends_with_a_goodbye(void **state) {
    (void)state;
    assert_answer(h2_get(&r, &p, "/a"), 200, "/a");
    rig_pass(&r, 75001);
    h2_settle(&r, &p);
    assert_int_equal(p.goaways, 1);
    assert_int_equal(p.goaway, MG_H2_NO_ERROR);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_stop_goes_in_two_steps(void **state) {
    (void)state;
    r.echo = false;
    h2_call *a = h2_get(&r, &p, "/a");
    mg_server_drain(r.server, 100000, NULL, NULL);
    h2_settle(&r, &p);
    assert_int_equal(p.goaways, 2); // the second one when the ping has come back
    assert_int_equal(r.server->stats.connections, 1);
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("1"));
    h2_settle(&r, &p);
    assert_answer(a, 200, "1");
    peer_fin(&r, &p.p);
    assert_int_equal(r.server->stats.connections, 0);
}

static void after_so_many_requests_it_leaves(void **state) {
    (void)state;
    r.server->options.requests_per_connection = 2;
    assert_answer(h2_get(&r, &p, "/a"), 200, "/a");
    assert_int_equal(p.goaways, 0);
    assert_answer(h2_get(&r, &p, "/b"), 200, "/b");
    assert_int_equal(p.goaways, 2);
    assert_int_equal(p.conn->state, MG_CONN_LINGER);
}

static void who_reads_no_answer_is_not_heard_until_it_does(void **state) {
    (void)state;
    enum { ASKS = 20 };
    static char value[30000];
    memset(value, 'v', sizeof value);
    mg_arena arena = {0};
    mg_answer wide = {.status = 200};
    h2_call *calls[ASKS];
    mg_exchange *x;
    int heard = 0;
    r.echo = false;
    mg_fields_init(&wide.fields, &arena);
    mg_fields_add(&wide.fields, MG_STR("x"), (mg_str){value, sizeof value});
    mg_stream_read_stop(&p.p.s);
    for (int i = 0; i < ASKS; i++) {
        calls[i] = h2_get(&r, &p, "/a");
        while ((x = rig_take(&r)) != NULL) {
            mg_exchange_respond(x, &wide, MG_STR(""));
            heard++;
        }
        rig_settle(&r);
    }
    assert_true(heard > 2 && heard < ASKS);
    mg_stream_read_start(&p.p.s);
    h2_settle(&r, &p);
    while ((x = rig_take(&r)) != NULL) {
        mg_exchange_respond(x, &wide, MG_STR(""));
        h2_settle(&r, &p);
    }
    for (int i = 0; i < ASKS; i++) {
        assert_answer(calls[i], 200, "");
    }
    mg_arena_deinit(&arena);
}

static void the_app_may_end_the_connection(void **state) {
    (void)state;
    r.echo = false;
    h2_call *a = h2_get(&r, &p, "/a");
    mg_exchange *x = rig_take(&r);
    mg_exchange_close(x);
    mg_exchange_respond(x, &rig_ok, MG_STR("1"));
    h2_settle(&r, &p);
    assert_answer(a, 200, "1");
    assert_int_equal(p.goaways, 2);
}

static void other_limits_are_those_of_later_connections(void **state) {
    (void)state;
    mg_server_options options = rig_options();
    mg_h2_policy *policy = r.server->h2_policy;
    mg_server_set_options(r.server, &options);
    assert_ptr_equal(r.server->h2_policy, policy);
    options.h2.streams = 7;
    mg_server_set_options(r.server, &options);
    assert_ptr_not_equal(r.server->h2_policy, policy);
    assert_int_equal(policy->refs, 1); // the connection's
    assert_answer(h2_get(&r, &p, "/a"), 200, "/a");
    h2_peer late;
    h2_open(&r, &late, WINDOW);
    assert_int_equal(late.h2.peer.streams, 7);
    h2_close(&r, &late);
}

// --- how it begins ---

static peer plain;

static mg_conn *begin(const char *text) {
    mg_conn *c = peer_open(&r, &plain, WINDOW);
    mg_conn_idle(c, &mg_h2_or_h1);
    peer_send(&r, &plain, text);
    return c;
}

static void both_protocols_are_known_by_how_they_begin(void **state) {
    (void)state;
    begin("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_got(&plain, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n/a");
    peer_close(&r, &plain, false);
    mg_conn *c = begin("PR");
    assert_int_equal(plain.got.n, 0);
    peer_send(&r, &plain, "OPFIND /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_true(mg_str_starts(mg_buf_str(&plain.got), MG_STR("HTTP/1.1 ")));
    mg_buf_clear(&plain.got);
    peer_close(&r, &plain, false);
    c = begin("PRI");
    peer_send(&r, &plain, " * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_true(plain.got.n > 9);
    assert_int_equal(plain.got.p[3], 4); // SETTINGS
    assert_int_equal(c->state, MG_CONN_IDLE);
    peer_close(&r, &plain, false);
}

static void a_beginning_has_its_deadline(void **state) {
    (void)state;
    begin("PR");
    rig_pass(&r, 10001);
    assert_int_equal(plain.ends, 1);
    peer_close(&r, &plain, false);
    begin("PRI * HT");
    rig_pass(&r, 10001);
    assert_int_equal(plain.ends, 1);
    peer_close(&r, &plain, false);
}

static void a_head_has_its_deadline(void **state) {
    (void)state;
    static const char half[] = "\0\0\1\1\0\0\0\0\1\x82"; // HEADERS without END_HEADERS
    h2_flush(&r, &p);
    peer_write(&p.p, half, 10);
    rig_settle(&r);
    rig_pass(&r, 9000);
    assert_int_equal(p.p.ends, 0);
    rig_pass(&r, 1001);
    assert_int_equal(p.p.ends, 1);
    h2_settle(&r, &p);
    assert_int_equal(p.goaways, 1);
}

// To make an encoder takes more than a small answer does.
static void what_can_be_made_again_goes_after_a_second_of_rest(void **state) {
    (void)state;
    const mg_h2_conn *h = MG_OF(p.conn->owner, mg_h2_conn, owner);
    h2_get(&r, &p, "/a");
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
    rig_pass(&r, 900);
    assert_non_null(h->h2.encoder);
    rig_pass(&r, 101);
    assert_null(h->h2.encoder);
    h2_call *b = h2_get(&r, &p, "/b");
    assert_answer(b, 200, "/b");
    r.echo = false;
    h2_call *c = h2_get(&r, &p, "/c");
    mg_exchange *x = rig_take(&r);
    rig_pass(&r, 1001);
    assert_non_null(h->h2.encoder); // it is not idle
    mg_exchange_respond(x, &rig_ok, MG_STR("c"));
    h2_settle(&r, &p);
    assert_answer(c, 200, "c");
    rig_pass(&r, 1001);
    assert_null(h->h2.encoder);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests_are_answered),
        TEST(many_are_under_way_and_end_in_any_order),
        TEST(the_app_sees_a_request),
        TEST(a_cancelled_request_is_told_at_once),
        TEST(a_client_that_leaves_takes_all_with_it),
        TEST(a_fin_gives_what_is_under_way_a_while),
        TEST(a_fin_ends_what_was_still_to_come),
        TEST(a_malformed_request_is_answered_without_the_app),
        TEST(an_idle_connection_ends_with_a_goodbye),
        TEST(a_stop_goes_in_two_steps),
        TEST(after_so_many_requests_it_leaves),
        TEST(who_reads_no_answer_is_not_heard_until_it_does),
        TEST(the_app_may_end_the_connection),
        TEST(other_limits_are_those_of_later_connections),
        TEST(both_protocols_are_known_by_how_they_begin),
        TEST(a_beginning_has_its_deadline),
        TEST(a_head_has_its_deadline),
        TEST(what_can_be_made_again_goes_after_a_second_of_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
