#include "server/foreign.h"

#include "peer.h"

#include "server/tunnel.h"

#define ADDRESS "0.0.0.0:7000"

static rig r;
static peer p;

// The app: has one stream.
static struct {
    mg_tunnel t;
    mg_buf in;
    int taken, closed;
    char ip[MG_PEER_TEXT];
} app;

static void on_read(mg_tunnel *t, mg_str data) {
    (void)t;
    mg_buf_append_str(&app.in, data);
}

static void on_nothing(mg_tunnel *t) {
    (void)t;
}

static void on_closed(mg_tunnel *t, mg_gone why) {
    (void)t;
    (void)why;
    app.closed++;
}

static const mg_tunnel_events events = {on_read, on_nothing, on_nothing, on_nothing, on_closed};

static void on_stream(mg_app *own, mg_conn *c) {
    assert_ptr_equal(own, &r.app);
    assert_string_equal(mg_foreign_address(c), ADDRESS);
    mg_foreign_client_ip(c, app.ip);
    app.taken++;
    app.t.events = &events;
    mg_tunnel_open(&app.t, c);
}

static mg_conn *connect_one(void) {
    p = (peer){0};
    mg_conn *c = mg_server_connect_stream(r.server, ADDRESS, &p.s, &peer_events, 4096);
    mg_stream_read_start(&p.s);
    return c;
}

static int set_up(void **state) {
    (void)state;
    memset(&app, 0, sizeof app);
    rig_open(&r);
    r.app.on_stream = on_stream;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    rig_close(&r);
    mg_buf_deinit(&app.in);
    return 0;
}

static void its_bytes_are_the_apps_and_its_end_is_logged(void **state) {
    (void)state;
    connect_one();
    assert_int_equal(app.taken, 1);
    assert_string_equal(app.ip, "unix");
    peer_send(&r, &p, "GET / HTTP/1.1\r\n\r\n"); // nobody takes it for that
    assert_int_equal(app.in.n, 18);
    mg_tunnel_write(&app.t, MG_STR("hello"));
    rig_settle(&r);
    assert_int_equal(p.got.n, 5);
    mg_tunnel_close(&app.t);
    mg_stream_close(&p.s, false);
    rig_settle(&r);
    assert_text("STREAM " ADDRESS " 200 5\n", mg_buf_str(&r.log));
}

static void one_that_is_cut_off_is_logged_so(void **state) {
    (void)state;
    connect_one();
    mg_tunnel_abort(&app.t);
    rig_settle(&r);
    assert_text("STREAM " ADDRESS " 0 0 aborted\n", mg_buf_str(&r.log));
}

static void without_anybody_who_takes_it_it_is_closed(void **state) {
    (void)state;
    r.app.on_stream = NULL;
    connect_one();
    rig_settle(&r);
    assert_int_equal(p.ends, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_bytes_are_the_apps_and_its_end_is_logged, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_cut_off_is_logged_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_anybody_who_takes_it_it_is_closed, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
