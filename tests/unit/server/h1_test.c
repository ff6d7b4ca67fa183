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

static void a_request_is_read_however_it_is_split(void **state) {
    (void)state;
    const char *text = "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0\r\n\r\n" GET("/b");
    for (size_t split = 1; split < strlen(text); split++) {
        peer_write(&p, text, split);
        rig_settle(&r);
        peer_send(&r, &p, text + split);
        assert_got(&p, OK("2", "/a") OK("2", "/b"));
    }
}

static void close_is_honoured_and_announced(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n\r\n" GET("/b"));
    assert_got(&p, LAST("2", "/a"));
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.end_status, 0);
}

static void http_1_0_closes_unless_it_asks_to_persist(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n/a");
    assert_int_equal(p.ends, 0);
    peer_send(&r, &p, "GET /b HTTP/1.0\r\n\r\n");
    assert_got(&p, LAST("2", "/b"));
    assert_int_equal(p.ends, 1);
}

static void the_last_request_of_a_connection_is_announced(void **state) {
    (void)state;
    r.server->options.requests_per_connection = 2;
    peer_send(&r, &p, GET("/a") GET("/b") GET("/c"));
    assert_got(&p, OK("2", "/a") LAST("2", "/b"));
    assert_int_equal(p.ends, 1);
}

static void the_app_may_ask_for_the_end_of_the_connection(void **state) {
    (void)state;
    c->close_asked = true;
    peer_send(&r, &p, GET("/a"));
    assert_got(&p, LAST("2", "/a"));
    assert_int_equal(p.ends, 1);
}

static void five_hundred_pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    mg_buf text = {0};
    mg_buf want = {0};
    for (int i = 100; i < 600; i++) {
        int body = i % 3 == 0;
        mg_buf_printf(&text, "%s /%d HTTP/1.1\r\nHost: h\r\n%s", body ? "POST" : "GET", i,
                      !body ? "\r\n"
                      : i % 2 == 0
                          ? "Content-Length: 5\r\n\r\nGET /"
                          : "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n");
        mg_buf_printf(&want, OK("4", "/%d"), i);
    }
    mg_buf_append_char(&want, '\0');
    for (size_t piece = 7; piece < 100000; piece *= 7) {
        for (size_t at = 0; at < text.n; at += piece) {
            peer_write(&p, text.p + at, at + piece < text.n ? piece : text.n - at);
            rig_settle(&r);
        }
        assert_got(&p, want.p);
    }
    assert_null(c->held);
    mg_buf_deinit(&text);
    mg_buf_deinit(&want);
}

static void no_request_is_begun_while_the_peer_takes_no_answers(void **state) {
    (void)state;
    reopen(1);
    r.echo = false;
    mg_stream_read_stop(&p.s);
    char *large = mg_calloc(1, 300000);
    peer_send(&r, &p, GET("/a") GET("/b"));
    mg_exchange_respond(rig_take(&r), &rig_ok, (mg_str){large, 300000});
    rig_settle(&r);
    assert_int_equal(c->state, MG_CONN_IDLE);
    assert_null(rig_take(&r));
    mg_stream_read_start(&p.s);
    peer_send(&r, &p, "");
    assert_non_null(rig_take(&r));
    mg_free(large);
}

static void behind_a_refusal_nothing_is_served(void **state) {
    (void)state;
    peer_send(&r, &p, GET("/a") "GET /b HTTP/1.1\r\n\r\n" GET("/c"));
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 200 OK\r\n")));
    mg_buf_consume(&p.got, (size_t)((char *)memmem(p.got.p, p.got.n, "/aHTTP", 6) - p.got.p) + 2);
    assert_refused(&p, "HTTP/1.1 400 Bad Request\r\n");
    peer_send(&r, &p, GET("/d"));
    assert_got(&p, "");
    assert_int_equal(p.ends, 1);
    assert_log(&r, "GET /a 200 2\nGET /b 400 0\n");
}

static void a_refusal_of_head_has_no_content(void **state) {
    (void)state;
    peer_send(&r, &p, "HEAD /a HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n");
    assert_memory_equal(p.got.p + p.got.n - 4, "\r\n\r\n", 4);
    assert_true(mg_str_starts(mg_buf_str(&p.got), MG_STR("HTTP/1.1 400 Bad Request\r\n")));
}

static void a_fin_behind_a_pipeline_lets_all_of_it_be_answered(void **state) {
    (void)state;
    peer_write(&p, GET("/a") GET("/b") "\r\n", 2 * strlen(GET("/a")) + 2);
    peer_fin(&r, &p);
    assert_got(&p, OK("2", "/a") OK("2", "/b"));
    assert_int_equal(p.ends, 1);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_fin_within_a_body_is_a_departure(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc");
    peer_fin(&r, &p);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.why, MG_GONE_CLIENT);
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_fin_within_a_body_that_is_discarded_leaves_the_answer(void **state) {
    (void)state;
    reopen(8);
    mg_stream_read_stop(&p.s);
    peer_send(&r, &p, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc");
    peer_fin(&r, &p);
    assert_int_equal(c->state, MG_CONN_LINGER);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    assert_got(&p, OK("2", "/a"));
    assert_int_equal(r.server->stats.connections, 0);
}

static void the_head_has_a_total_deadline(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /a HTTP/1.1\r\n");
    for (int i = 0; i < 9; i++) {
        rig_pass(&r, 1000);
        peer_send(&r, &p, "A: b\r\n");
    }
    rig_pass(&r, 999);
    assert_int_equal(p.got.n, 0);
    rig_pass(&r, 1);
    assert_refused(&p, "HTTP/1.1 408 Request Timeout\r\n");
    assert_int_equal(p.ends, 1);
    assert_log(&r, "GET /a 408 0\n");
}

static void the_deadline_of_a_head_ends_with_it(void **state) {
    (void)state;
    peer_send(&r, &p, "GET /a HTTP/1.1\r\n");
    rig_pass(&r, 9999);
    peer_send(&r, &p, "Host: h\r\n\r\n");
    assert_got(&p, OK("2", "/a"));
    rig_pass(&r, 10000);
    peer_send(&r, &p, "GET /b HTTP/1.1\r\n");
    rig_pass(&r, 9999);
    peer_send(&r, &p, "Host: h\r\n\r\n");
    assert_got(&p, OK("2", "/b"));
}

static void empty_lines_alone_are_an_idle_connection(void **state) {
    (void)state;
    peer_send(&r, &p, GET("/a") "\r\n");
    rig_pass(&r, 10000);
    assert_got(&p, OK("2", "/a"));
    assert_int_equal(r.server->stats.connections, 0);
}

static void empty_lines_do_not_cut_an_answer_off(void **state) {
    (void)state;
    reopen(8);
    mg_stream_read_stop(&p.s);
    peer_write(&p, GET("/a") "\r\n", strlen(GET("/a")) + 2);
    for (int i = 0; i < 10; i++) {
        mg_loop_turn(r.loop, false, false, 0);
        mg_stream_read_start(&p.s);
        mg_loop_turn(r.loop, false, false, 0);
        mg_stream_read_stop(&p.s);
    }
    rig_pass(&r, 10000);
    mg_stream_read_start(&p.s);
    peer_send(&r, &p, "");
    assert_got(&p, OK("2", "/a"));
    rig_pass(&r, 10000); // a head has its time once nothing is owed any more
    assert_int_equal(r.server->stats.connections, 0);
}

static void between_two_requests_nothing_is_kept(void **state) {
    (void)state;
    assert_ptr_equal(c->owner, &mg_h1_idle);
    peer_send(&r, &p, GET("/a"));
    assert_ptr_equal(c->owner, &mg_h1_idle);
    assert_null(c->held);
    assert_null(c->out);
}

static void note_protocol(void *arg, const mg_access_record *a) {
    mg_buf_printf(arg, "%.*s ", (int)a->protocol.n, a->protocol.p);
}

static void the_log_knows_the_version(void **state) {
    (void)state;
    mg_buf names = {0};
    r.server->on_access = note_protocol;
    r.server->log_arg = &names;
    peer_send(&r, &p, GET("/a") "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_send(&r, &p, "GET /a HTTP/3.0\r\n\r\n");
    assert_text("HTTP/1.1 HTTP/1.0  ", mg_buf_str(&names));
    mg_buf_deinit(&names);
}

static void an_exchange_knows_its_connection(void **state) {
    (void)state;
    r.echo = false;
    peer_send(&r, &p, GET("/a"));
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("a"));
    peer_send(&r, &p, GET("/b"));
    mg_exchange *x = rig_take(&r);
    mg_peer known;
    mg_exchange_peer(x, &known);
    assert_int_equal(known.connection, c->id);
    assert_int_equal(known.requests, 2);
    assert_int_equal(known.bytes_in, 2 * strlen(GET("/a")));
    assert_int_equal(known.bytes_out, p.got.n);
    mg_exchange_respond(x, &rig_ok, MG_STR(""));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_read_however_it_is_split),
        TEST(close_is_honoured_and_announced),
        TEST(http_1_0_closes_unless_it_asks_to_persist),
        TEST(the_last_request_of_a_connection_is_announced),
        TEST(the_app_may_ask_for_the_end_of_the_connection),
        TEST(five_hundred_pipelined_requests_are_answered_in_order),
        TEST(no_request_is_begun_while_the_peer_takes_no_answers),
        TEST(behind_a_refusal_nothing_is_served),
        TEST(a_refusal_of_head_has_no_content),
        TEST(a_fin_behind_a_pipeline_lets_all_of_it_be_answered),
        TEST(a_fin_within_a_body_is_a_departure),
        TEST(a_fin_within_a_body_that_is_discarded_leaves_the_answer),
        TEST(the_head_has_a_total_deadline),
        TEST(the_deadline_of_a_head_ends_with_it),
        TEST(empty_lines_alone_are_an_idle_connection),
        TEST(empty_lines_do_not_cut_an_answer_off),
        TEST(between_two_requests_nothing_is_kept),
        TEST(the_log_knows_the_version),
        TEST(an_exchange_knows_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
