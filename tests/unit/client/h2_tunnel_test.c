// Calls that switch to another protocol over HTTP/2.
#include "h2_server.h"

// --- whoever takes over ---

typedef struct owner {
    mg_tunnel t;
    mg_buf got;
    int fins, drains, closed;
    mg_gone why;
    bool ends_in_read;
} owner;

static void on_tunnel_read(mg_tunnel *t, mg_str data) {
    owner *o = MG_OF(t, owner, t);
    mg_buf_append_str(&o->got, data);
    if (o->ends_in_read) {
        mg_tunnel_close(t);
    }
}

static void on_tunnel_fin(mg_tunnel *t) {
    MG_OF(t, owner, t)->fins++;
}

static void on_tunnel_drained(mg_tunnel *t) {
    MG_OF(t, owner, t)->drains++;
}

static void on_tunnel_stop(mg_tunnel *t) {
    (void)t;
}

static void on_tunnel_closed(mg_tunnel *t, mg_gone why) {
    owner *o = MG_OF(t, owner, t);
    o->closed++;
    o->why = why;
}

static const mg_tunnel_events tunnel_events = {on_tunnel_read, on_tunnel_fin, on_tunnel_drained,
                                               on_tunnel_stop, on_tunnel_closed};

static void ask(caller *c) {
    prepare(c, "GET", "/ws");
    c->options.protocol = MG_STR("websocket");
    c->options.stream = true;
    start_call(c);
}

static void take_over(caller *c, owner *o) {
    UNTIL(c->changes > 0);
    assert_true(mg_call_has_switched(c->call));
    *o = (owner){.t = {.events = &tunnel_events}};
    mg_call_take_over(c->call, &o->t);
    c->call = NULL;
}

// A tunnel over stream 1 of the first connection.
static void open_tunnel(owner *o) {
    caller c;
    ask(&c);
    UNTIL_HEARD(0, "1 CONNECT /ws\n");
    h2_head(0, 1, 200, false);
    take_over(&c, o);
}

#define UNTIL_TALKED(condition) UNTIL((h2_heard(0, ""), condition))

// --- the beginning ---

static void a_call_becomes_a_tunnel(void **state) {
    (void)state;
    owner o;
    caller other;
    open_tunnel(&o);
    assert_int_equal(MG_OK, mg_tunnel_write(&o.t, MG_STR("hello")));
    UNTIL_TALKED(ends[0].data == 5);
    h2_data(0, 1, "he", false);
    h2_data(0, 1, "llo", false);
    UNTIL(o.got.n == 5);
    assert_text("hello", mg_buf_str(&o.got));
    get(&other, "/beside"); // others share the connection
    UNTIL_HEARD(0, "3 GET /beside end\n");
    h2_answer(0, 3, 200, "x");
    expect_content(&other, 200, "x");
    assert_int_equal(1, stats().connections);
    assert_int_equal(0, stats().idle); // the tunnel keeps its place
    mg_tunnel_shutdown(&o.t);
    UNTIL_HEARD(0, "1 end of 5\n");
    h2_frame(0, MG_H2_DATA_FRAME, MG_H2_FLAG_END_STREAM, 1, (mg_str){"", 0});
    UNTIL(o.fins == 1);
    mg_tunnel_close(&o.t);
    assert_int_equal(1, stats().idle);
    assert_int_equal(0, o.closed);
    mg_buf_deinit(&o.got);
}

static void what_came_before_it_was_taken_over_is_given(void **state) {
    (void)state;
    caller c;
    owner o;
    ask(&c);
    UNTIL_HEARD(0, "1 CONNECT /ws\n");
    h2_head(0, 1, 200, false);
    h2_data(0, 1, "early", true);
    UNTIL(c.changes > 0);
    h2_talk();
    take_over(&c, &o);
    assert_text("early", mg_buf_str(&o.got));
    assert_int_equal(1, o.fins);
    mg_tunnel_close(&o.t);
    assert_int_equal(1, stats().idle);
    mg_buf_deinit(&o.got);
}

static void an_answer_that_refuses_is_one_like_others(void **state) {
    (void)state;
    caller c;
    ask(&c);
    UNTIL_HEARD(0, "1 CONNECT /ws\n");
    h2_answer(0, 1, 403, "no");
    UNTIL(is_over(&c));
    assert_int_equal(MG_CALL_DONE, mg_call_state_of(c.call));
    assert_false(mg_call_has_switched(c.call));
    assert_text("no", mg_call_content(c.call));
    mg_call_close(c.call);
    UNTIL_HEARD(0, "reset NO_ERROR\n");
    assert_int_equal(1, stats().idle);
}

// RFC 8441 section 3: the setting says whether it may be asked for.
static void a_server_that_takes_none_is_asked_by_http_1(void **state) {
    (void)state;
    caller c;
    caller second;
    owner o;
    ask(&c);
    UNTIL(accepted == 1);
    turns(4);
    assert_false(has_got(0, "websocket")); // its settings are waited for
    H2_FRAME(0, MG_H2_SETTINGS_FRAME, 0, 0, "");
    UNTIL(has_got(1, "\r\n\r\n"));
    assert_true(has_got(1, "GET /ws HTTP/1.1\r\n"));
    assert_true(has_got(1, "Upgrade: websocket\r\n"));
    says(1, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhi");
    take_over(&c, &o);
    UNTIL(o.got.n == 2);
    ask(&second); // which knows by now
    expect_request(2, "/ws");
    mg_call_close(second.call);
    mg_tunnel_abort(&o.t);
    mg_buf_deinit(&o.got);
}

static void who_leaves_before_that_has_asked_nothing(void **state) {
    (void)state;
    caller c;
    ask(&c);
    UNTIL(accepted == 1);
    turns(4);
    mg_call_close(c.call);
    H2_FRAME(0, MG_H2_SETTINGS_FRAME, 0, 0, "");
    turns(4);
    assert_false(has_got(0, "websocket"));
    assert_int_equal(1, stats().idle);
}

// Whoever is to take it over may have to decide whether.
static void one_that_is_not_taken_over_yet_has_time(void **state) {
    (void)state;
    caller c;
    owner o;
    prepare(&c, "GET", "/ws");
    c.options.protocol = MG_STR("websocket");
    c.options.stream = true;
    c.options.timeouts.idle_ms = 1000;
    start_call(&c);
    UNTIL_HEARD(0, "1 CONNECT /ws\n");
    h2_head(0, 1, 200, false);
    UNTIL(c.changes > 0);
    pass_ms(5000);
    h2_data(0, 1, "early", false);
    turns(4);
    take_over(&c, &o);
    assert_text("early", mg_buf_str(&o.got));
    mg_tunnel_abort(&o.t);
    mg_buf_deinit(&o.got);
}

static void several_protocols_are_asked_for_by_http_1(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/ws");
    c.options.protocol = MG_STR("websocket, other");
    start_call(&c);
    expect_request(0, "/ws");
    mg_call_close(c.call);
}

// --- as fast as the slower side ---

static void what_nobody_takes_waits_at_the_server(void **state) {
    (void)state;
    static char much[100000];
    owner o;
    open_tunnel(&o);
    mg_tunnel_pause(&o.t);
    for (int i = 0; i < 4; i++) {
        size_t room = mg_h2_room(&ends[0].h, h2_of(0, 1));
        mg_h2_send_data(&ends[0].h, h2_of(0, 1), &ends[0].out, (mg_str){much, room}, false);
        h2_flush(0);
        h2_talk();
    }
    int32_t left = h2_of(0, 1)->send_window;
    assert_int_equal(0, o.got.n);
    mg_tunnel_resume(&o.t);
    assert_int_equal(4 * MG_H2_FRAME_MAX, o.got.n);
    for (int i = 0; i < 8; i++) {
        h2_talk();
        size_t room = mg_h2_room(&ends[0].h, h2_of(0, 1));
        mg_h2_send_data(&ends[0].h, h2_of(0, 1), &ends[0].out, (mg_str){much, room}, false);
        h2_flush(0);
    }
    h2_talk();
    assert_true(h2_of(0, 1)->send_window > left - 8 * MG_H2_FRAME_MAX); // windows came
    mg_tunnel_abort(&o.t);
    UNTIL_HEARD(0, "reset CANCEL\n");
    mg_buf_deinit(&o.got);
}

static void what_the_server_does_not_take_waits_here(void **state) {
    (void)state;
    static char much[200000];
    h2_limits.window = 65535;
    ends[0].holds = true;
    owner o;
    open_tunnel(&o);
    assert_int_equal(MG_EAGAIN, mg_tunnel_write(&o.t, (mg_str){much, sizeof much}));
    h2_talk();
    assert_int_equal(65535, ends[0].data);
    assert_int_equal(sizeof much - 65535, mg_tunnel_backlog(&o.t));
    assert_int_equal(0, o.drains);
    mg_tunnel_close(&o.t); // which still lets it leave
    ends[0].holds = false;
    mg_h2_taken(&ends[0].h, h2_of(0, 1), &ends[0].out, 65535);
    h2_flush(0);
    UNTIL_HEARD(0, "1 end of 200000\n");
    assert_int_equal(0, stats().idle);
    h2_frame(0, MG_H2_DATA_FRAME, MG_H2_FLAG_END_STREAM, 1, (mg_str){"", 0});
    UNTIL(stats().idle == 1);
}

static void whoever_waits_for_room_is_told(void **state) {
    (void)state;
    static char much[200000];
    owner o;
    open_tunnel(&o);
    assert_int_equal(MG_EAGAIN, mg_tunnel_write(&o.t, (mg_str){much, sizeof much}));
    UNTIL_TALKED(o.drains == 1);
    assert_int_equal(0, mg_tunnel_backlog(&o.t));
    mg_tunnel_abort(&o.t);
}

// --- the end ---

static void a_reset_ends_it(void **state) {
    (void)state;
    owner o;
    open_tunnel(&o);
    h2_reset(0, 1, MG_H2_CANCEL);
    UNTIL(o.closed == 1);
    assert_int_equal(MG_GONE_CLIENT, o.why);
    assert_int_equal(1, stats().idle);
}

static void the_end_of_the_connection_is_that_of_all_on_it(void **state) {
    (void)state;
    owner a;
    caller c;
    owner b;
    open_tunnel(&a);
    ask(&c);
    UNTIL_HEARD(0, "3 CONNECT /ws\n");
    h2_head(0, 3, 200, false);
    take_over(&c, &b);
    mg_tunnel_pause(&b.t);
    h2_data(0, 3, "last", false);
    h2_talk();
    hangs_up(0);
    UNTIL(a.closed == 1);
    assert_int_equal(0, b.closed);
    mg_tunnel_resume(&b.t); // behind what came
    assert_text("last", mg_buf_str(&b.got));
    assert_int_equal(1, b.closed);
    UNTIL(stats().connections == 0);
    mg_buf_deinit(&b.got);
}

static void one_may_be_ended_by_what_it_reads(void **state) {
    (void)state;
    owner o;
    open_tunnel(&o);
    o.ends_in_read = true;
    h2_data(0, 1, "bye", true);
    UNTIL_HEARD(0, "0 end of 0\n"); // the stream is closed by that
    assert_int_equal(0, o.fins + o.closed);
    assert_int_equal(1, stats().idle);
    mg_buf_deinit(&o.got);
}

static void a_server_that_says_nothing_behind_our_end_is_not_waited_for_long(void **state) {
    (void)state;
    owner o;
    open_tunnel(&o);
    mg_tunnel_close(&o.t);
    UNTIL_HEARD(0, "1 end of 0\n");
    pass_ms(4999);
    assert_int_equal(0, stats().idle);
    pass_ms(1);
    UNTIL_HEARD(0, "reset CANCEL\n");
    assert_int_equal(1, stats().idle);
}

static void a_server_that_leaves_keeps_its_tunnels(void **state) {
    (void)state;
    owner o;
    caller c;
    open_tunnel(&o);
    mg_h2_send_goaway(&ends[0].h, &ends[0].out, true);
    h2_flush(0);
    h2_data(0, 1, "on", false);
    UNTIL(o.got.n == 2);
    get(&c, "/new");
    UNTIL_HEARD(1, "1 GET /new end\n");
    h2_answer(1, 1, 200, "");
    expect_content(&c, 200, "");
    assert_int_equal(2, stats().connections);
    mg_tunnel_abort(&o.t);
    UNTIL(stats().connections == 1);
    mg_buf_deinit(&o.got);
}

static void a_client_that_goes_tells_its_tunnels(void **state) {
    (void)state;
    owner o;
    open_tunnel(&o);
    mg_client_free(client);
    client = NULL;
    assert_int_equal(1, o.closed);
    assert_int_equal(MG_GONE_STOP, o.why);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH_H2(a_call_becomes_a_tunnel),
        EACH_H2(what_came_before_it_was_taken_over_is_given),
        EACH_H2(an_answer_that_refuses_is_one_like_others),
        EACH_H2(a_server_that_takes_none_is_asked_by_http_1),
        EACH_H2(who_leaves_before_that_has_asked_nothing),
        EACH_H2(one_that_is_not_taken_over_yet_has_time),
        EACH_H2(several_protocols_are_asked_for_by_http_1),
        EACH_H2(what_nobody_takes_waits_at_the_server),
        EACH_H2(what_the_server_does_not_take_waits_here),
        EACH_H2(whoever_waits_for_room_is_told),
        EACH_H2(a_reset_ends_it),
        EACH_H2(the_end_of_the_connection_is_that_of_all_on_it),
        EACH_H2(one_may_be_ended_by_what_it_reads),
        EACH_H2(a_server_that_says_nothing_behind_our_end_is_not_waited_for_long),
        EACH_H2(a_server_that_leaves_keeps_its_tunnels),
        EACH_H2(a_client_that_goes_tells_its_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
