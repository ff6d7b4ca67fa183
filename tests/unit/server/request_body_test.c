#include "server/request_body.h"

#include "base/mem.h"

#include "asked.h"

#define HEAD           "POST /a HTTP/1.1\r\nHost: h\r\n"
#define WITH_LENGTH(n) HEAD "Content-Length: " n "\r\n\r\n"
#define CHUNKED        HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define EXPECTING(n)   HEAD "Content-Length: " n "\r\nExpect: 100-continue\r\n\r\n"
#define CONTINUE       "HTTP/1.1 100 Continue\r\n\r\n"
#define LAST(length, body)                                                                         \
    "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\nConnection: close\r\n\r\n" body

static void send_many(const char *piece, size_t times) {
    for (size_t i = 0; i < times; i++) {
        peer_send(&r, &p, piece);
    }
}

// --- reading ---

static void a_body_comes_as_it_arrives(void **state) {
    (void)state;
    mg_exchange *x = begin(WITH_LENGTH("6") "ab");
    assert_int_equal(r.bodies, 0);
    assert_text("ab", mg_exchange_content(x));
    mg_exchange_want_body(x, false);
    mg_exchange_take_content(x);
    peer_send(&r, &p, "cd");
    assert_int_equal(r.bodies, 1);
    assert_text("cd", mg_exchange_content(x));
    assert_false(mg_exchange_body_complete(x));
    peer_send(&r, &p, "ef" GET("/b"));
    assert_int_equal(r.bodies, 2);
    assert_text("cdef", mg_exchange_content(x));
    assert_true(mg_exchange_body_complete(x));
    assert_null(rig_take(&r));
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
    assert_text("/b", rig_take(&r)->head.target.path);
}

static void nobody_hears_of_a_body_that_is_not_wanted(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED "2\r\nab\r\n");
    peer_send(&r, &p, "0\r\n\r\n");
    assert_int_equal(r.bodies, 0);
    assert_true(mg_exchange_body_complete(x));
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void the_end_of_an_empty_body_is_told(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED);
    mg_exchange_want_body(x, false);
    peer_send(&r, &p, "0\r\n");
    assert_int_equal(r.bodies, 0);
    peer_send(&r, &p, "\r\n");
    assert_int_equal(r.bodies, 1);
    respond(x, "");
    assert_got(&p, OK("0", ""));
}

static void content_that_nobody_takes_stops_the_reading(void **state) {
    (void)state;
    char piece[1001] = {0};
    memset(piece, 'x', 1000);
    mg_exchange *x = begin(WITH_LENGTH("200000"));
    mg_exchange_want_body(x, false);
    send_many(piece, 200);
    assert_true(c->paused);
    assert_in_range(mg_exchange_content(x).n, 65536, 66000);
    size_t taken = 0;
    while (!mg_exchange_body_complete(x)) {
        taken += mg_exchange_content(x).n;
        mg_exchange_take_content(x);
        assert_false(c->paused);
        rig_settle(&r);
    }
    assert_int_equal(taken + mg_exchange_content(x).n, 200000);
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void a_body_that_is_collected_is_read_to_its_end(void **state) {
    (void)state;
    char piece[1001] = {0};
    memset(piece, 'x', 1000);
    mg_exchange *x = begin(WITH_LENGTH("200000"));
    send_many(piece, 100);
    assert_true(c->paused);
    mg_exchange_want_body(x, true);
    assert_false(c->paused);
    send_many(piece, 100);
    assert_true(mg_exchange_body_complete(x));
    assert_int_equal(mg_exchange_content(x).n, 200000);
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void trailers_lie_beside_the_body(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED "0\r\nA: b\r\n\r\n");
    assert_int_equal(x->trailers.count, 1);
    assert_text("b", x->trailers.at[0].value);
    respond(x, "");
}

// --- limits ---

static void of_all_that_is_held_the_most_is_refused(void **state) {
    (void)state;
    char piece[1001] = {0};
    memset(piece, 'x', 1000);
    mg_loop_intakes(r.loop)->most = 15000;
    peer q;
    peer_open(&r, &q, WINDOW);
    mg_exchange *x = begin(WITH_LENGTH("20000"));
    mg_exchange_want_body(x, true);
    send_many(piece, 10);
    rig_pass(&r, 10000); // nothing more comes
    peer_send(&r, &q, WITH_LENGTH("7000"));
    mg_exchange *y = rig_take(&r);
    mg_exchange_want_body(y, true);
    for (int i = 0; i < 5; i++) {
        peer_send(&r, &q, piece);
    }
    assert_int_equal(x->body_refusal.status, 0);
    assert_int_equal(mg_loop_intakes(r.loop)->held, 15000);
    int told = r.bodies;
    peer_send(&r, &q, piece);
    assert_int_equal(x->body_refusal.status, 503);
    assert_int_equal(x->body_refusal.retry_after, 1);
    assert_int_equal(r.bodies, told + 2); // of that, and of the other's piece
    assert_int_equal(mg_loop_intakes(r.loop)->held, 6000);
    peer_send(&r, &q, piece);
    assert_int_equal(mg_exchange_content(y).n, 7000);
    mg_exchange_take_content(y);
    assert_int_equal(mg_loop_intakes(r.loop)->held, 0);
    mg_exchange_keep_aside(y, 500); // as for who has the rest come first
    assert_int_equal(mg_loop_intakes(r.loop)->held, 500);
    respond(y, "y");
    mg_exchange_refuse(x, x->body_refusal);
    rig_settle(&r);
    assert_refused(&p, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_int_equal(mg_loop_intakes(r.loop)->held, 0);
    peer_close(&r, &q, false);
}

static void what_was_refused_before_is_given_up_once(void **state) {
    (void)state;
    mg_intakes *all = mg_loop_intakes(r.loop);
    mg_exchange *x = begin(WITH_LENGTH("20000") "some of it");
    mg_exchange_want_body(x, true);
    mg_exchange_keep_aside(x, 1000);
    mg_exchange_refuse_body(x, (mg_refusal){408, "too slow", 0});
    assert_int_equal(all->held, 0);
    mg_exchange_keep_aside(x, 2000); // whoever keeps it has not heard yet
    mg_intake other;
    mg_intake_init(&other, NULL);
    mg_intake_hold(all, &other, 10, true);
    all->most = 100;
    all->over = true;
    mg_intakes_bound(all);
    assert_int_equal(all->held, 10);
    assert_int_equal(x->body_refusal.status, 408);
    mg_intake_hold(all, &other, 0, false);
    all->most = 0;
    mg_exchange_refuse(x, x->body_refusal);
    rig_settle(&r);
    assert_refused(&p, "HTTP/1.1 408 ");
}

static void a_length_beyond_the_limit_is_known_at_once(void **state) {
    (void)state;
    mg_exchange *x = begin(WITH_LENGTH("100"));
    assert_int_equal(mg_exchange_limit_body(x, 99), MG_ELIMIT);
    assert_int_equal(mg_exchange_limit_body(x, 100), MG_OK);
    assert_int_equal(mg_exchange_limit_body(x, 99), MG_ELIMIT);
    mg_exchange_refuse(x, (mg_refusal){413, "too large", 0});
    rig_settle(&r);
    assert_refused(&p, "HTTP/1.1 413 Content Too Large\r\n");
    assert_int_equal(r.gone, 0); // the app knows
    assert_int_equal(p.ends, 1);
}

// What the app answers ends the connection, with nothing behind it being served.
static void answer_refused(mg_exchange *x, int status) {
    assert_int_equal(r.gone, 0);
    assert_int_equal(x->body_refusal.status, status);
    assert_false(mg_exchange_reads_body(x));
    mg_answer answer = {.status = x->body_refusal.status};
    mg_exchange_respond(x, &answer, MG_STR(""));
    rig_settle(&r);
    assert_int_equal(p.ends, 1);
    assert_null(rig_take(&r));
}

static void chunks_beyond_the_limit_are_refused_as_they_come(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED "5\r\nhello\r\n");
    assert_int_equal(mg_exchange_limit_body(x, 4), MG_ELIMIT);
    assert_int_equal(mg_exchange_limit_body(x, 9), MG_OK);
    mg_exchange_want_body(x, false);
    mg_exchange_take_content(x);
    peer_send(&r, &p, "4\r\nhell\r\n");
    assert_int_equal(x->body_refusal.status, 0);
    int bodies = r.bodies;
    peer_send(&r, &p, "1\r\no\r\n0\r\n\r\n" GET("/b"));
    assert_int_equal(r.bodies, bodies + 1);
    answer_refused(x, 413);
    assert_got(&p,
               "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void a_chunk_is_refused_when_it_is_announced(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED);
    assert_int_equal(mg_exchange_limit_body(x, 0xff), MG_OK);
    mg_exchange_want_body(x, true);
    peer_send(&r, &p, "00f0\r\n");
    assert_int_equal(x->body_refusal.status, 0);
    char piece[0xf0 + 1] = {0};
    memset(piece, 'x', 0xf0);
    peer_send(&r, &p, piece);
    peer_send(&r, &p, "\r\nf\r\n");
    assert_int_equal(x->body_refusal.status, 0);
    peer_send(&r, &p, "xxxxxxxxxxxxxxx\r\n");
    peer_send(&r, &p, "1");
    answer_refused(x, 413);
}

// The limit of the route is not known before the app has looked.
static void what_comes_with_the_head_is_not_judged_before_the_app(void **state) {
    (void)state;
    r.server->options.body_bytes = 3;
    peer_send(&r, &p, CHUNKED "5\r\nhello\r\n");
    mg_exchange *x = rig_take(&r);
    assert_int_equal(mg_exchange_limit_body(x, x->body_limit), MG_ELIMIT);
    assert_int_equal(mg_exchange_limit_body(x, 10), MG_OK);
    peer_send(&r, &p, "0\r\n\r\n");
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void a_malformed_body_is_refused_and_told(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED);
    mg_exchange_want_body(x, false);
    peer_send(&r, &p, "x\r\n" GET("/b"));
    assert_int_equal(r.bodies, 1);
    answer_refused(x, 400);
    assert_log(&r, "POST /a 400 0\n");
}

static void a_refused_body_outlives_the_end_of_the_peer(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED);
    mg_exchange_want_body(x, false);
    peer_send(&r, &p, "x\r\n");
    peer_fin(&r, &p);
    answer_refused(x, 400);
}

static void a_malformed_body_ends_the_connection_behind_an_answer_under_way(void **state) {
    (void)state;
    mg_exchange *x = begin(CHUNKED);
    mg_exchange_begin(x, &rig_ok, -1);
    mg_exchange_write(x, MG_STR("abc"));
    rig_settle(&r);
    peer_send(&r, &p, "x\r\n" GET("/b"));
    assert_int_equal(r.gone, 0);
    mg_exchange_end(x, NULL);
    rig_settle(&r);
    assert_int_equal(p.ends, 1);
    assert_null(rig_take(&r));
    assert_got(&p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_log(&r, "POST /a 200 3\n");
}

static void a_malformed_body_behind_the_answer_ends_the_connection(void **state) {
    (void)state;
    respond(begin(CHUNKED), "x");
    peer_send(&r, &p, "x\r\n" GET("/b"));
    assert_got(&p, OK("1", "x"));
    assert_int_equal(p.ends, 1);
    assert_int_equal(c->state, MG_CONN_LINGER);
    assert_null(rig_take(&r));
    assert_log(&r, "POST /a 200 1\n");
}

// --- Expect ---

static void continue_is_sent_once_and_only_when_the_body_is_wanted(void **state) {
    (void)state;
    mg_exchange *x = begin(EXPECTING("3"));
    assert_got(&p, "");
    mg_exchange_want_body(x, false);
    mg_exchange_want_body(x, true);
    rig_settle(&r);
    assert_got(&p, CONTINUE);
    peer_send(&r, &p, "abc");
    assert_text("abc", mg_exchange_content(x));
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
    assert_int_equal(p.ends, 0);
}

static void continue_is_not_sent_to_a_peer_that_has_gone_on(void **state) {
    (void)state;
    mg_exchange *x = begin(EXPECTING("3") "a");
    mg_exchange_want_body(x, false);
    rig_settle(&r);
    assert_got(&p, "");
    peer_send(&r, &p, "bc");
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void continue_is_not_sent_where_there_is_no_body_or_no_expectation(void **state) {
    (void)state;
    const char *texts[] = {
        "GET /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
        WITH_LENGTH("0"),
        HEAD "Content-Length: 0\r\nExpect: 100-Continue\r\n\r\n",
        "POST /a HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n",
    };
    for (size_t i = 0; i < 4; i++) {
        mg_exchange *x = begin(texts[i]);
        mg_exchange_want_body(x, true);
        rig_settle(&r);
        assert_got(&p, "");
        respond(x, "");
        assert_int_equal(p.ends, 0);
        mg_buf_clear(&p.got);
    }
}

// Whether the peer sends its body now is anybody's guess.
static void an_answer_without_continue_closes(void **state) {
    (void)state;
    respond(begin(EXPECTING("3")), "x");
    assert_got(&p, LAST("1", "x"));
    assert_int_equal(p.ends, 1);
    peer_send(&r, &p, GET("/b"));
    assert_null(rig_take(&r));
}

static void an_answer_without_continue_to_a_peer_that_has_gone_on_persists(void **state) {
    (void)state;
    respond(begin(EXPECTING("3") "a"), "x");
    peer_send(&r, &p, "bc" GET("/b"));
    assert_got(&p, OK("1", "x"));
    respond(rig_take(&r), "y");
    assert_got(&p, OK("1", "y"));
}

// --- what nobody read ---

static void an_unread_body_is_discarded(void **state) {
    (void)state;
    respond(begin(WITH_LENGTH("10") "abc"), "x");
    assert_got(&p, OK("1", "x"));
    peer_send(&r, &p, "defg");
    assert_int_equal(c->state, MG_CONN_BUSY);
    peer_send(&r, &p, "hij" GET("/b"));
    assert_text("/b", rig_take(&r)->head.target.path);
}

static void a_long_unread_body_closes_announced(void **state) {
    (void)state;
    respond(begin(WITH_LENGTH("1001")), "x");
    assert_got(&p, LAST("1", "x"));
    assert_int_equal(p.ends, 1);
}

static void a_body_of_unknown_length_is_discarded_only_so_far(void **state) {
    (void)state;
    char piece[601] = {0};
    memset(piece, 'x', 600);
    respond(begin(CHUNKED), "x");
    peer_send(&r, &p, "1000\r\n");
    peer_send(&r, &p, piece);
    assert_int_equal(p.ends, 0);
    peer_send(&r, &p, piece);
    assert_int_equal(p.ends, 1);
    assert_int_equal(c->state, MG_CONN_LINGER);
    assert_got(&p, OK("1", "x"));
}

static void only_what_was_not_read_counts_as_discarded(void **state) {
    (void)state;
    char piece[2001] = {0};
    memset(piece, 'x', 2000);
    mg_exchange *x = begin(WITH_LENGTH("2900"));
    mg_exchange_want_body(x, false);
    peer_send(&r, &p, piece);
    mg_exchange_take_content(x);
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
    piece[900] = '\0';
    peer_send(&r, &p, piece);
    peer_send(&r, &p, GET("/b"));
    assert_text("/b", rig_take(&r)->head.target.path);
}

static void a_paused_body_is_read_away_after_the_answer(void **state) {
    (void)state;
    char piece[1001] = {0};
    memset(piece, 'x', 1000);
    r.server->options.discard_bytes = 50000;
    mg_exchange *x = begin(WITH_LENGTH("100000"));
    send_many(piece, 100);
    assert_true(c->paused);
    respond(x, "x");
    peer_send(&r, &p, GET("/b"));
    assert_text("/b", rig_take(&r)->head.target.path);
    assert_got(&p, OK("1", "x"));
}

// --- time ---

static void a_body_that_comes_too_slowly_is_refused(void **state) {
    (void)state;
    mg_exchange *x = begin(WITH_LENGTH("100000"));
    mg_exchange_want_body(x, false);
    char piece[5001] = {0};
    memset(piece, 'x', 5000);
    rig_pass(&r, 15000);
    peer_send(&r, &p, piece); // worth 10 seconds more than the grace of 20
    rig_pass(&r, 14999);
    assert_int_equal(x->body_refusal.status, 0);
    rig_pass(&r, 1);
    answer_refused(x, 408);
}

static void a_body_that_comes_fast_enough_is_waited_for(void **state) {
    (void)state;
    mg_exchange *x = begin(WITH_LENGTH("100000"));
    mg_exchange_set_deadline(x, 0);
    mg_exchange_want_body(x, true);
    char piece[501] = {0};
    memset(piece, 'x', 500);
    for (int i = 0; i < 200; i++) {
        rig_pass(&r, 1000);
        peer_send(&r, &p, piece);
    }
    assert_int_equal(r.gone, 0);
    assert_true(mg_exchange_body_complete(x));
    rig_pass(&r, 100000);
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void a_slow_handler_is_not_the_peers_fault(void **state) {
    (void)state;
    char piece[1001] = {0};
    memset(piece, 'x', 1000);
    mg_exchange *x = begin(WITH_LENGTH("100000"));
    mg_exchange_set_deadline(x, 0);
    mg_exchange_want_body(x, false);
    send_many(piece, 100);
    assert_true(c->paused);
    rig_pass(&r, 1000000);
    assert_int_equal(r.gone, 0);
    mg_exchange_take_content(x);
    rig_settle(&r);
    assert_true(mg_exchange_body_complete(x));
    respond(x, "x");
    assert_got(&p, OK("1", "x"));
}

static void a_body_that_is_discarded_must_come_in_time_too(void **state) {
    (void)state;
    respond(begin(WITH_LENGTH("10")), "x");
    rig_pass(&r, 19999);
    assert_int_equal(p.ends, 0);
    rig_pass(&r, 1);
    assert_int_equal(p.ends, 1);
    assert_got(&p, OK("1", "x"));
}
int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_body_comes_as_it_arrives),
        TEST(nobody_hears_of_a_body_that_is_not_wanted),
        TEST(the_end_of_an_empty_body_is_told),
        TEST(content_that_nobody_takes_stops_the_reading),
        TEST(a_body_that_is_collected_is_read_to_its_end),
        TEST(trailers_lie_beside_the_body),
        TEST(of_all_that_is_held_the_most_is_refused),
        TEST(what_was_refused_before_is_given_up_once),
        TEST(a_length_beyond_the_limit_is_known_at_once),
        TEST(chunks_beyond_the_limit_are_refused_as_they_come),
        TEST(a_chunk_is_refused_when_it_is_announced),
        TEST(what_comes_with_the_head_is_not_judged_before_the_app),
        TEST(a_malformed_body_is_refused_and_told),
        TEST(a_refused_body_outlives_the_end_of_the_peer),
        TEST(a_malformed_body_ends_the_connection_behind_an_answer_under_way),
        TEST(a_malformed_body_behind_the_answer_ends_the_connection),
        TEST(continue_is_sent_once_and_only_when_the_body_is_wanted),
        TEST(continue_is_not_sent_to_a_peer_that_has_gone_on),
        TEST(continue_is_not_sent_where_there_is_no_body_or_no_expectation),
        TEST(an_answer_without_continue_closes),
        TEST(an_answer_without_continue_to_a_peer_that_has_gone_on_persists),
        TEST(an_unread_body_is_discarded),
        TEST(a_long_unread_body_closes_announced),
        TEST(a_body_of_unknown_length_is_discarded_only_so_far),
        TEST(only_what_was_not_read_counts_as_discarded),
        TEST(a_paused_body_is_read_away_after_the_answer),
        TEST(a_body_that_comes_too_slowly_is_refused),
        TEST(a_body_that_comes_fast_enough_is_waited_for),
        TEST(a_slow_handler_is_not_the_peers_fault),
        TEST(a_body_that_is_discarded_must_come_in_time_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
