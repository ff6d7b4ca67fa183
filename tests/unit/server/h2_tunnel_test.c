#include "h2_peer.h"

#include "server/tunnel.h"

enum { WINDOW = 256 * 1024 };

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

static mg_buf in;
static int fins, drains, stops, ends;

static void on_read(mg_tunnel *t, mg_str data) {
    (void)t;
    mg_buf_append_str(&in, data);
}

static void on_fin(mg_tunnel *t) {
    (void)t;
    fins++;
}

static void on_drained(mg_tunnel *t) {
    (void)t;
    drains++;
}

static void on_stop(mg_tunnel *t) {
    (void)t;
    stops++;
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    (void)t;
    (void)why;
    ends++;
}

static const mg_tunnel_events events = {on_read, on_fin, on_drained, on_stop, on_closed};
static mg_tunnel t;

static int set_up_tunnel(void **state) {
    fins = drains = stops = ends = 0;
    t = (mg_tunnel){.events = &events};
    return set_up(state);
}

static int tear_down_tunnel(void **state) {
    mg_buf_deinit(&in);
    return tear_down(state);
}

static h2_call *open_tunnel(void) {
    h2_call *c = h2_request(
        &r, &p,
        &(h2_ask){.method = "CONNECT", .path = "/chat", .protocol = "websocket", .open = true});
    mg_exchange *x = rig_take(&r);
    assert_null(mg_exchange_may_take_over(x, MG_STR("websocket")));
    mg_exchange_take_over(x, &(mg_answer){.status = 101}, MG_STR("websocket"), &t);
    h2_settle(&r, &p);
    assert_int_equal(c->status, 200);
    return c;
}

static void the_app_sees_an_upgrade(void **state) {
    (void)state;
    h2_request(
        &r, &p,
        &(h2_ask){.method = "CONNECT", .path = "/chat", .protocol = "websocket", .open = true});
    mg_exchange *x = rig_take(&r);
    assert_int_equal(x->head.method, MG_METHOD_GET);
    assert_text("/chat", x->head.target.path);
    assert_text("websocket", mg_fields_find(&x->head.fields, MG_FIELD_UPGRADE)->value);
    assert_true(mg_fields_has_member(&x->head.fields, MG_FIELD_CONNECTION, MG_STR("upgrade")));
    assert_true(mg_exchange_body_complete(x));
    assert_non_null(mg_exchange_may_take_over(x, MG_STR("other")));
    assert_non_null(mg_exchange_may_take_over(x, (mg_str){NULL, 0}));
    mg_exchange_abort(x);
}

static void a_refused_upgrade_is_an_answer(void **state) {
    (void)state;
    h2_call *c = h2_request(
        &r, &p,
        &(h2_ask){.method = "CONNECT", .path = "/chat", .protocol = "websocket", .open = true});
    mg_exchange_respond(rig_take(&r), &(mg_answer){.status = 403}, MG_STR("no"));
    h2_settle(&r, &p);
    assert_int_equal(c->status, 403);
    assert_text("no", mg_buf_str(&c->body));
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

// It would say that the protocol is spoken from here on.
static void no_answer_to_an_upgrade_is_a_success(void **state) {
    (void)state;
    const h2_ask ask = {
        .method = "CONNECT", .path = "/chat", .protocol = "websocket", .open = true};
    h2_call *c = h2_request(&r, &p, &ask);
    mg_exchange_respond(rig_take(&r), &(mg_answer){.status = 200}, MG_STR("hello"));
    h2_settle(&r, &p);
    assert_int_equal(c->status, 501);
    assert_text("hello", mg_buf_str(&c->body));
    c = h2_request(&r, &p, &ask);
    mg_exchange_respond(rig_take(&r), &(mg_answer){.status = 204}, MG_STR(""));
    h2_settle(&r, &p);
    assert_int_equal(c->status, 501);
}

static void bytes_go_both_ways(void **state) {
    (void)state;
    h2_call *c = open_tunnel();
    h2_send(&r, &p, c, MG_STR("ping"), false);
    assert_text("ping", mg_buf_str(&in));
    assert_int_equal(mg_tunnel_write(&t, MG_STR("pong")), MG_OK);
    h2_settle(&r, &p);
    assert_text("pong", mg_buf_str(&c->body));
    h2_send(&r, &p, c, MG_STR("!"), true);
    assert_int_equal(fins, 1);
    assert_int_equal(mg_tunnel_write(&t, MG_STR("?")), MG_OK);
    mg_tunnel_close(&t);
    h2_settle(&r, &p);
    assert_text("pong?", mg_buf_str(&c->body));
    assert_true(c->ended);
    assert_int_equal(ends, 0);
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

static void plain_connect_is_one_too(void **state) {
    (void)state;
    h2_call *c = h2_request(
        &r, &p, &(h2_ask){.method = "CONNECT", .path = "", .host = "h:443", .open = true});
    mg_exchange *x = rig_take(&r);
    assert_null(mg_exchange_may_take_over(x, (mg_str){NULL, 0}));
    mg_exchange_take_over(x, &rig_ok, (mg_str){NULL, 0}, &t);
    h2_send(&r, &p, c, MG_STR("a"), false);
    assert_text("a", mg_buf_str(&in));
    mg_tunnel_abort(&t);
    h2_settle(&r, &p);
    assert_true(c->reset);
    assert_int_equal(c->code, MG_H2_CONNECT_ERROR);
}

static void a_pause_closes_the_window(void **state) {
    (void)state;
    static char block[70000];
    h2_call *c = open_tunnel();
    mg_tunnel_pause(&t);
    size_t sent = 0;
    for (size_t n; (n = mg_h2_room(&p.h2, &c->stream)) > 0; sent += n) {
        h2_send(&r, &p, c, (mg_str){block, n}, false);
    }
    assert_int_equal(sent, 65536);
    assert_int_equal(in.n, 0);
    mg_tunnel_resume(&t);
    assert_int_equal(in.n, 65536);
    h2_settle(&r, &p);
    h2_send(&r, &p, c, MG_STR("x"), true);
    assert_int_equal(in.n, 65537);
    assert_int_equal(fins, 1);
    mg_tunnel_close(&t);
}

static void what_waits_is_told_when_it_has_left(void **state) {
    (void)state;
    static char block[140000];
    h2_call *c = open_tunnel();
    c->slow = true;
    assert_int_equal(mg_tunnel_write(&t, (mg_str){block, sizeof block}), MG_EAGAIN);
    assert_int_equal(mg_tunnel_backlog(&t), sizeof block - 65535);
    h2_settle(&r, &p);
    assert_int_equal(drains, 0);
    c->slow = false;
    mg_h2_taken(&p.h2, &c->stream, &p.out, c->body.n);
    h2_settle(&r, &p);
    assert_int_equal(drains, 1);
    mg_tunnel_shutdown(&t);
    assert_int_equal(mg_tunnel_write(&t, MG_STR("x")), MG_ECLOSED);
    h2_settle(&r, &p);
    assert_true(c->ended);
    assert_int_equal(c->body.n, sizeof block);
    mg_tunnel_close(&t);
}

static void a_reset_ends_it(void **state) {
    (void)state;
    h2_call *c = open_tunnel();
    h2_cancel(&r, &p, c);
    assert_int_equal(ends, 1);
    assert_int_equal(p.conn->state, MG_CONN_IDLE);
}

static void one_on_which_nothing_moves_ends(void **state) {
    (void)state;
    h2_call *c = open_tunnel();
    rig_pass(&r, 70000);
    h2_send(&r, &p, c, MG_STR("x"), false);
    rig_pass(&r, 70000);
    assert_int_equal(ends, 0);
    rig_pass(&r, 5001);
    assert_int_equal(ends, 1);
    h2_settle(&r, &p);
    assert_true(c->reset);
}

static void a_stop_is_told(void **state) {
    (void)state;
    open_tunnel();
    mg_server_drain(r.server, 100000, NULL, NULL);
    assert_int_equal(stops, 1);
    mg_tunnel_close(&t);
    h2_settle(&r, &p);
    assert_int_equal(p.conn->state, MG_CONN_LINGER);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_tunnel, tear_down_tunnel)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_app_sees_an_upgrade),
        TEST(a_refused_upgrade_is_an_answer),
        TEST(no_answer_to_an_upgrade_is_a_success),
        TEST(bytes_go_both_ways),
        TEST(plain_connect_is_one_too),
        TEST(a_pause_closes_the_window),
        TEST(what_waits_is_told_when_it_has_left),
        TEST(a_reset_ends_it),
        TEST(one_on_which_nothing_moves_ends),
        TEST(a_stop_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
