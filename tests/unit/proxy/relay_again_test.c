// Two servers: whichever the relay asks, its connections come to the test in the order in which
// they are opened.
#include "proxy/upstream_inside.h"

#include "relay_rig.h"

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nX-From: it\r\n\r\nbusy"
#define GET  "GET /a/x HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST "POST /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"

static mg_upstream *shop;

static int set_up_two(void **state) {
    rig_servers = 2;
    set_up(state);
    shop = mg_upstreams_find(upstreams, MG_STR("shop"));
    mg_retry_options *o = &shop->options.retries;
    *o = (mg_retry_options){
        .on = true, .count = 1, .budget = 0.2, .on_connect = true, .on_closed = true};
    o->on_status.bits[503 / 64] |= (uint64_t)1 << 503 % 64;
    return 0;
}

#define BOTH(f) cmocka_unit_test_setup_teardown(f, set_up_two, tear_down)

static void client_gets(const char *text) {
    UNTIL(client_has(text));
    mg_buf_clear(&p.got);
}

static void nothing_is_under_way(void) {
    UNTIL(mg_upstream_sum(&shop->pool->hold).in_flight == 0);
    assert_int_equal(mg_upstream_sum(&shop->pool->hold).extra, 0);
    assert_int_equal(mg_upstream_sum(&shop->pool->hold).waiting, 0);
}

// --- retries ---

static void a_wanted_status_is_tried_again(void **state) {
    (void)state;
    asks(GET, 0, "GET /a/x ");
    says(0, BUSY);
    UNTIL(has_got(1, "GET /a/x "));
    says(1, GOOD);
    client_gets("200 OK");
    nothing_is_under_way();
}

static void the_second_failure_is_relayed_as_it_came(void **state) {
    (void)state;
    asks(GET, 0, "GET /a/x ");
    says(0, BUSY);
    UNTIL(has_got(1, "GET /a/x "));
    says(1, BUSY);
    client_gets("X-From: it\r\n");
    assert_int_equal(accepted, 2);
}

static void a_post_is_relayed_as_it_came(void **state) {
    (void)state;
    asks(POST, 0, "\r\n\r\nab");
    says(0, BUSY);
    UNTIL(client_has("X-From: it\r\n"));
    client_gets("busy");
    assert_int_equal(accepted, 1);
}

static void a_closed_connection_is_tried_elsewhere(void **state) {
    (void)state;
    asks("PUT /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", 0, "\r\n\r\nab");
    hangs_up(0);
    UNTIL(has_got(1, "\r\n\r\nab"));
    says(1, GOOD);
    client_gets("200 OK");
}

static void a_body_in_pieces_is_sent_again(void **state) {
    (void)state;
    asks("PUT /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab", 0, "\r\n\r\nab");
    peer_write(&p, "cd", 2);
    UNTIL(has_got(0, "abcd"));
    hangs_up(0);
    UNTIL(has_got(1, "abcd"));
    peer_write(&p, "ef", 2);
    UNTIL(has_got(1, "abcdef"));
    says(1, GOOD);
    client_gets("200 OK");
}

// Without any retries: the server had closed the connection before it saw the request (rule of
// every pool), and what was sent of the body goes again over a fresh one.
static void an_upload_on_a_stale_connection_begins_again(void **state) {
    (void)state;
    shop->options.retries.on = false;
    asks(GET, 0, "GET /a/x ");
    mg_buf_clear(&peers[0].got);
    says(0, GOOD);
    client_gets("200 OK");
    asks("PUT /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab", 0, "\r\n\r\nab");
    hangs_up(0);
    UNTIL(has_got(1, "\r\n\r\nab"));
    peer_write(&p, "cd", 2);
    UNTIL(has_got(1, "abcd"));
    says(1, GOOD);
    client_gets("200 OK");
    nothing_is_under_way();
}

static void a_longer_body_is_not_kept(void **state) {
    (void)state;
    static char piece[70000];
    memset(piece, 'x', sizeof piece);
    asks("PUT /a/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nab", 0, "\r\n\r\nab");
    peer_write(&p, piece, sizeof piece);
    UNTIL(peers[0].got.n > sizeof piece);
    says(0, BUSY);
    client_gets("X-From: it\r\n");
    assert_int_equal(accepted, 1);
}

static void a_post_that_nobody_saw_is_tried_again(void **state) {
    (void)state;
    shop->members[0].server->seen.origin.port = 1; // nobody listens there
    asks(POST, 0, "\r\n\r\nab");
    says(0, GOOD);
    client_gets("200 OK");
}

static void without_a_budget_it_is_relayed_as_it_came(void **state) {
    (void)state;
    shop->options.retries.budget = 0;
    asks(GET, 0, "GET /a/x ");
    says(0, BUSY);
    client_gets("X-From: it\r\n");
    assert_int_equal(accepted, 1);
}

static void a_try_has_a_time_of_its_own(void **state) {
    (void)state;
    shop->options.retries.try_timeout_ms = 500;
    shop->options.retries.on_timeout = true;
    asks(GET, 0, "GET /a/x ");
    pass_ms(500);
    UNTIL(has_got(1, "GET /a/x "));
    UNTIL(peers[0].ended);
    says(1, GOOD);
    client_gets("200 OK");
}

// --- hedges ---

// Both are asked.
static void begin_hedge(void) {
    shop->options.hedge_after_ms = 300;
    asks(GET, 0, "GET /a/x ");
    pass_ms(300);
    UNTIL(has_got(1, "GET /a/x "));
}

static void a_slow_server_is_hedged_and_the_loser_cancelled(void **state) {
    (void)state;
    shop->options.hedge_after_ms = 300;
    asks(GET, 0, "GET /a/x ");
    pass_ms(299);
    turns(5);
    assert_int_equal(accepted, 1);
    pass_ms(1);
    UNTIL(has_got(1, "GET /a/x "));
    assert_int_equal(mg_upstream_sum(&shop->pool->hold).extra, 1);
    says(1, GOOD);
    UNTIL(client_has("200 OK"));
    client_gets("hi");
    UNTIL(peers[0].ended);
    nothing_is_under_way();
}

static void the_first_may_still_win(void **state) {
    (void)state;
    begin_hedge();
    says(0, GOOD);
    client_gets("200 OK");
    UNTIL(peers[1].ended);
    assert_false(peers[0].ended);
}

static void one_that_fails_leaves_it_to_the_other(void **state) {
    (void)state;
    begin_hedge();
    says(0, BUSY);
    UNTIL(peers[0].ended);
    assert_false(client_has("HTTP"));
    hangs_up(1); // now both have failed, and there is no third server
    client_gets("502 ");
    nothing_is_under_way();
}

static void a_post_is_not_hedged(void **state) {
    (void)state;
    shop->options.hedge_after_ms = 300;
    asks(POST, 0, "\r\n\r\nab");
    pass_ms(1000);
    turns(5);
    assert_int_equal(accepted, 1);
    says(0, GOOD);
    client_gets("200 OK");
}

static void a_client_that_leaves_ends_both(void **state) {
    (void)state;
    begin_hedge();
    mg_stream_close(&p.s, true);
    UNTIL(peers[0].ended && peers[1].ended);
    nothing_is_under_way();
}

// --- a full upstream ---

static void a_request_waits_for_its_turn(void **state) {
    (void)state;
    peer second;
    shop->options.circuit = (mg_circuit_options){.on = true, .in_flight = 1, .waiting = 1};
    asks(GET, 0, "GET /a/x ");
    peer_open(&r, &second, CLIENT_WINDOW);
    peer_write(&second, GET, strlen(GET));
    UNTIL(mg_upstream_sum(&shop->pool->hold).waiting == 1);
    mg_buf_clear(&peers[0].got);
    says(0, GOOD);
    client_gets("200 OK");
    UNTIL(has_got(0, "GET /a/x ") || has_got(1, "GET /a/x "));
    says(accepted - 1, GOOD);
    UNTIL(second.got.n > 0);
    assert_memory_equal(second.got.p, "HTTP/1.1 200 OK", 15);
    nothing_is_under_way();
    mg_stream_close(&second.s, false);
    UNTIL(second.closed);
    mg_buf_deinit(&second.got);
}

static void too_many_or_too_long_is_a_503(void **state) {
    (void)state;
    peer second, third;
    shop->options.circuit = (mg_circuit_options){.on = true, .in_flight = 1, .waiting = 1};
    asks(GET, 0, "GET /a/x ");
    peer_open(&r, &second, CLIENT_WINDOW);
    peer_write(&second, GET, strlen(GET));
    UNTIL(mg_upstream_sum(&shop->pool->hold).waiting == 1);
    peer_open(&r, &third, CLIENT_WINDOW);
    peer_write(&third, GET, strlen(GET));
    UNTIL(third.got.n > 0);
    assert_memory_equal(third.got.p, "HTTP/1.1 503 ", 13);
    assert_non_null(memmem(third.got.p, third.got.n, "Retry-After: 1\r\n", 16));
    assert_int_equal(second.got.n, 0);
    pass_ms(2000);
    UNTIL(second.got.n > 0);
    assert_memory_equal(second.got.p, "HTTP/1.1 503 ", 13);
    says(0, GOOD);
    client_gets("200 OK");
    nothing_is_under_way();
    mg_stream_close(&second.s, false);
    mg_stream_close(&third.s, false);
    UNTIL(second.closed && third.closed);
    mg_buf_deinit(&second.got);
    mg_buf_deinit(&third.got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(a_wanted_status_is_tried_again),
        BOTH(the_second_failure_is_relayed_as_it_came),
        BOTH(a_post_is_relayed_as_it_came),
        BOTH(a_closed_connection_is_tried_elsewhere),
        BOTH(a_body_in_pieces_is_sent_again),
        BOTH(an_upload_on_a_stale_connection_begins_again),
        BOTH(a_longer_body_is_not_kept),
        BOTH(a_post_that_nobody_saw_is_tried_again),
        BOTH(without_a_budget_it_is_relayed_as_it_came),
        BOTH(a_try_has_a_time_of_its_own),
        BOTH(a_slow_server_is_hedged_and_the_loser_cancelled),
        BOTH(the_first_may_still_win),
        BOTH(one_that_fails_leaves_it_to_the_other),
        BOTH(a_post_is_not_hedged),
        BOTH(a_client_that_leaves_ends_both),
        BOTH(a_request_waits_for_its_turn),
        BOTH(too_many_or_too_long_is_a_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
