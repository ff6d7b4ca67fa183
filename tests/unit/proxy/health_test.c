#include "proxy/health.h"

#include "../client/raw_server.h"
#include "cells.h"

#include "proxy/verdict.h"

enum { WORKERS = 8 };

static cells workers[WORKERS];
static void *room;
static mg_client *client;
static mg_dns *dns;
static mg_random drawn;
static mg_upstream_server server;
static mg_health_options want;
static mg_check *checks[WORKERS];
static char line[600];

static void on_warning(void *arg, const char *text) {
    (void)arg;
    snprintf(line, sizeof line, "%s", text);
}

static int set_up(void **state) {
    (void)state;
    alarm(60);
    const mg_loop_options virtual = {.virtual_clock = true};
    assert_int_equal(mg_loop_new(&loop, &virtual), 0);
    mg_loop_set_now(loop, 1000);
    listen_here();
    const mg_dns_options nowhere = {.nameservers = "127.0.0.1:1"};
    assert_int_equal(mg_dns_new(&dns, loop, &nowhere), MG_OK);
    mg_client_options options = mg_check_client(&(mg_client_options){
        .head = {.first_line_bytes = 1000, .bytes = 4000, .lines = 20}, .dns = dns});
    assert_int_equal(mg_client_new(&client, loop, &options, NULL), MG_OK);
    mg_random_init(&drawn, 1);
    room = room_new();
    for (uint32_t i = 0; i < WORKERS; i++) {
        cells_init(&workers[i], room, i, 1);
    }
    server = (mg_upstream_server){.origin = {.port = port, .host = MG_STR("127.0.0.1")},
                                  .authority = MG_STR("shop:80")};
    want = (mg_health_options){.on = true,
                               .path = "/health?x",
                               .interval_ms = 1000,
                               .timeout_ms = 300,
                               .up = 2,
                               .down = 2};
    want.status.bits[200 / 64] |= (uint64_t)1 << 200 % 64;
    line[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < WORKERS; i++) {
        mg_check_stop(checks[i]);
        checks[i] = NULL;
        cells_deinit(&workers[i]);
    }
    mg_client_free(client);
    client = NULL;
    hang_up_all();
    mg_dns_free(dns);
    room_free(room);
    return mg_loop_free(loop);
}

static void check_by(int worker) {
    checks[worker] = mg_check_start(&(mg_check_setup){
        .loop = loop,
        .client = client,
        .dns = dns,
        .options = &want,
        .server = &server,
        .hold = &workers[worker].servers[0],
        .random = &drawn,
        .changes = {on_warning, on_warning, NULL},
    });
}

static mg_verdict verdict(void) {
    return mg_verdict_of(&workers[0].servers[0]);
}

static mg_health health(void) {
    return mg_health_of(workers[0].servers[0].cell);
}

// One check, the next of the connections.
static void answer(const char *text) {
    int i = accepted;
    pass_ms(1100);
    expect_request(i, want.path);
    says(i, text);
    UNTIL(peers[i].ended);
}

#define GOOD "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

static void asks_and_believes_several_answers_in_a_row(void **state) {
    (void)state;
    check_by(0);
    turns(1);
    UNTIL(has_got(0, "\r\n\r\n"));
    assert_true(has_got(0, "GET /health?x HTTP/1.1\r\nHost: shop:80\r\n"));
    assert_true(has_got(0, "User-Agent: moongate/"));
    says(0, GOOD);
    UNTIL(peers[0].ended);
    assert_int_equal(verdict(), MG_VERDICT_UP);
    assert_string_equal(line, "upstream shop: http://host-0 is up");
    answer(BUSY);
    assert_int_equal(verdict(), MG_VERDICT_UP);
    answer(BUSY);
    assert_int_equal(verdict(), MG_VERDICT_DOWN);
    assert_string_equal(line, "upstream shop: http://host-0 is down: 2 checks failed in a row, "
                              "at last: the status was 503");
    answer(GOOD);
    assert_int_equal(verdict(), MG_VERDICT_DOWN);
    answer(GOOD);
    assert_int_equal(verdict(), MG_VERDICT_UP);
}

static void many_workers_make_one_check_an_interval(void **state) {
    (void)state;
    for (int i = 0; i < WORKERS; i++) {
        check_by(i);
    }
    for (int i = 0; i < 4; i++) {
        UNTIL(has_got(i, "\r\n\r\n"));
        says(i, GOOD);
        UNTIL(peers[i].ended);
        turns(5);
        assert_int_equal(accepted, i + 1);
        pass_ms(990);
        turns(5);
        assert_int_equal(accepted, i + 1); // never earlier
        pass_ms(110);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(mg_verdict_of(&workers[i].servers[0]), MG_VERDICT_UP);
    }
}

static void another_worker_goes_on_when_one_is_gone(void **state) {
    (void)state;
    check_by(0);
    turns(1);
    check_by(1);
    UNTIL(has_got(0, "\r\n\r\n"));
    mg_check_stop(checks[0]); // it dies in the middle of its check
    checks[0] = NULL;
    answer(GOOD);
    assert_int_equal(verdict(), MG_VERDICT_UP);
}

static void silence_is_a_failure(void **state) {
    (void)state;
    check_by(0);
    turns(1);
    UNTIL(has_got(0, "\r\n\r\n"));
    pass_ms(299);
    assert_int_equal(health().against, 0);
    pass_ms(1);
    UNTIL(peers[0].ended);
    assert_int_equal(health().against, 1);
    assert_int_equal(health().last, MG_FOUND_TIMEOUT);
}

static void so_are_an_end_and_nonsense(void **state) {
    (void)state;
    check_by(0);
    turns(1);
    UNTIL(has_got(0, "\r\n\r\n"));
    hangs_up(0);
    UNTIL(health().against == 1);
    assert_int_equal(health().last, MG_FOUND_CLOSED);
    answer("SSH-2.0\r\n");
    assert_int_equal(verdict(), MG_VERDICT_DOWN);
    assert_int_equal(health().last, MG_FOUND_BROKEN);
}

static void an_endless_answer_is_judged_by_its_status(void **state) {
    (void)state;
    check_by(0);
    turns(1);
    UNTIL(has_got(0, "\r\n\r\n"));
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    UNTIL(verdict() == MG_VERDICT_UP);
    static char piece[1 << 15];
    memset(piece, 'x', sizeof piece - 1);
    for (int i = 0; i < 3; i++) {
        assert_false(peers[0].ended);
        says(0, piece);
        turns(10);
    }
    UNTIL(peers[0].ended);
}

static void without_a_path_a_connection_is_enough(void **state) {
    (void)state;
    want.path = NULL;
    check_by(0);
    turns(1);
    UNTIL(verdict() == MG_VERDICT_UP);
    UNTIL(accepted == 1 && peers[0].ended);
    assert_int_equal(peers[0].got.n, 0);
    server.origin.port = 1; // nobody listens there
    for (int i = 0; i < 2; i++) {
        pass_ms(1100);
        UNTIL(health().against == 1 || verdict() == MG_VERDICT_DOWN);
    }
    UNTIL(verdict() == MG_VERDICT_DOWN);
    assert_string_equal(line, "upstream shop: http://host-0 is down: 2 connections failed in a "
                              "row, at last: no connection");
}

static void a_strange_time_in_the_cell_does_not_stop_it(void **state) {
    (void)state;
    atomic_store(&workers[0].servers[0].cell->check_ms, UINT64_MAX / 2);
    check_by(0);
    turns(1);
    UNTIL(has_got(0, "\r\n\r\n"));
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(asks_and_believes_several_answers_in_a_row),
        EACH(many_workers_make_one_check_an_interval),
        EACH(another_worker_goes_on_when_one_is_gone),
        EACH(silence_is_a_failure),
        EACH(so_are_an_end_and_nonsense),
        EACH(an_endless_answer_is_judged_by_its_status),
        EACH(without_a_path_a_connection_is_enough),
        EACH(a_strange_time_in_the_cell_does_not_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
