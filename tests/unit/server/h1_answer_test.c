#include "server/h1.h"

#include "base/mem.h"

#include "asked.h"
#include "field_list.h"

#include <errno.h>

#define REQUEST(method, minor) method " /a HTTP/1." minor "\r\nHost: h\r\n\r\n"

enum { LARGE = 300000 };

static void an_answer_may_close_the_connection(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_exchange_close(x);
    mg_exchange_respond(x, &rig_ok, MG_STR("x"));
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
    assert_int_equal(r.server->stats.connections, 0);
}

static void a_large_answer_comes_whole_and_in_order(void **state) {
    (void)state;
    char *large = mg_malloc(LARGE);
    memset(large, 'x', LARGE);
    peer_close(&r, &p, false);
    c = peer_open(&r, &p, 10000);
    for (int i = 0; i < 2; i++) {
        mg_exchange_respond(ask(REQUEST("GET", "1")), &rig_ok, MG_STR("a"));
        mg_exchange_respond(ask(REQUEST("GET", "1")), &rig_ok, (mg_str){large, LARGE});
        mg_exchange_respond(ask(REQUEST("GET", "1")), &rig_ok, MG_STR("b"));
    }
    rig_settle(&r);
    mg_buf want = {0};
    for (int i = 0; i < 2; i++) {
        mg_buf_printf(&want,
                      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
                      "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%.*s"
                      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
                      LARGE, LARGE, large);
    }
    mg_buf_append_char(&want, '\0');
    assert_got(&p, want.p);
    assert_int_equal(c->bytes_out, r.server->stats.bytes_out);
    mg_buf_deinit(&want);
    mg_free(large);
}

static void a_stream_of_unknown_length_is_chunked(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_exchange_begin(x, &rig_ok, -1);
    assert_int_equal(mg_exchange_write(x, MG_STR("hello")), MG_OK);
    assert_int_equal(mg_exchange_write(x, MG_STR("")), MG_OK);
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_int_equal(mg_exchange_write(x, MG_STR("0123456789abcdef")), MG_OK);
    mg_fields trailers = FIELD_LIST(&x->arena, "Sum", "1");
    mg_exchange_end(x, &trailers);
    rig_settle(&r);
    assert_got(&p, "10\r\n0123456789abcdef\r\n0\r\nSum: 1\r\n\r\n");
    assert_int_equal(c->state, MG_CONN_IDLE);
    assert_log(&r, "GET /a 200 21\n");
}

static void http_1_0_gets_a_stream_that_ends_with_the_connection(void **state) {
    (void)state;
    mg_exchange *x = ask("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    mg_exchange_begin(x, &rig_ok, -1);
    assert_int_equal(mg_exchange_write(x, MG_STR("abc")), MG_OK);
    mg_fields trailers = FIELD_LIST(&x->arena, "Sum", "1");
    mg_exchange_end(x, &trailers);
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.end_status, 0);
}

// A FIN would make the half of it look whole.
static void http_1_0_learns_by_a_reset_that_a_stream_broke_off(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "0"));
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_write(x, MG_STR("abc"));
    mg_exchange_abort(x);
    rig_settle(&r);
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.end_status, -ECONNRESET);
}

static void a_stream_broken_off_leaves_the_answers_before_it(void **state) {
    (void)state;
    peer_send(&r, &p, REQUEST("GET", "1") REQUEST("GET", "1"));
    mg_exchange_respond(rig_take(&r), &rig_ok, MG_STR("x"));
    mg_exchange *x = rig_take(&r);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_abort(x);
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(p.ends, 1);
    assert_int_equal(p.end_status, 0);
}

static void a_stream_waits_for_a_peer_that_is_slow(void **state) {
    (void)state;
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    peer_close(&r, &p, false);
    c = peer_open(&r, &p, 10);
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_stream_read_stop(&p.s);
    mg_exchange_begin(x, &rig_ok, -1);
    int n = 0;
    int rc;
    while ((rc = mg_exchange_write(x, (mg_str){piece, sizeof piece})) == MG_OK) {
        n++;
    }
    assert_int_equal(rc, MG_EAGAIN);
    assert_in_range((size_t)n * sizeof piece, 50000, 100000);
    rig_settle(&r);
    assert_int_equal(r.writables, 0);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    assert_int_equal(r.writables, 1);
    assert_int_equal(mg_conn_backlog(c), 0);
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_int_equal(r.writables, 1);
    assert_log(&r, "GET /a 200 65536\n");
}

static void large_pieces_are_limited_too(void **state) {
    (void)state;
    peer_close(&r, &p, false);
    c = peer_open(&r, &p, 10);
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_stream_read_stop(&p.s);
    char *large = mg_calloc(1, LARGE);
    mg_exchange_begin(x, &rig_ok, LARGE);
    assert_int_equal(mg_exchange_write(x, (mg_str){large, LARGE}), MG_EAGAIN);
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    assert_int_equal(r.writables, 1);
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_int_equal(p.got.n, c->bytes_out);
    mg_free(large);
}

static void interim_answers_go_to_who_knows_of_them(void **state) {
    (void)state;
    mg_exchange *x = ask(REQUEST("GET", "1"));
    mg_fields link = FIELD_LIST(&x->arena, "Link", "</a.css>");
    mg_exchange_inform(x, 103, &link);
    mg_exchange_respond(x, &rig_ok, MG_STR("x"));
    x = ask(REQUEST("GET", "0"));
    link = FIELD_LIST(&x->arena, "Link", "</a.css>");
    mg_exchange_inform(x, 103, &link);
    mg_exchange_respond(x, &rig_ok, MG_STR("x"));
    rig_settle(&r);
    assert_got(&p, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
                   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_answer_may_close_the_connection),
        TEST(a_large_answer_comes_whole_and_in_order),
        TEST(a_stream_of_unknown_length_is_chunked),
        TEST(http_1_0_gets_a_stream_that_ends_with_the_connection),
        TEST(http_1_0_learns_by_a_reset_that_a_stream_broke_off),
        TEST(a_stream_broken_off_leaves_the_answers_before_it),
        TEST(a_stream_waits_for_a_peer_that_is_slow),
        TEST(large_pieces_are_limited_too),
        TEST(interim_answers_go_to_who_knows_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
