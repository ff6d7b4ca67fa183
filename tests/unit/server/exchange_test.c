#include "server/exchange.h"

#include "event/tls_challenge.h"

#include "asked.h"

// --- time ---

static void a_handler_that_takes_too_long_is_told(void **state) {
    (void)state;
    mg_exchange *x = begin(GET("/a"));
    rig_pass(&r, 29999);
    assert_int_equal(r.deadlines, 0);
    rig_pass(&r, 1);
    assert_int_equal(r.deadlines, 1);
    mg_exchange_refuse(x, (mg_refusal){504, "late", 0});
    rig_pass(&r, 60000);
    assert_refused(&p, "HTTP/1.1 504 Gateway Timeout\r\n");
    assert_int_equal(r.deadlines, 1);
    assert_int_equal(r.gone, 0);
}

static void a_handler_may_have_its_own_time_or_all_of_it(void **state) {
    (void)state;
    mg_exchange *x = begin(GET("/a"));
    mg_exchange_set_deadline(x, 500);
    rig_pass(&r, 499);
    assert_int_equal(r.deadlines, 0);
    rig_pass(&r, 1);
    assert_int_equal(r.deadlines, 1);
    mg_exchange_set_deadline(x, 500);
    mg_exchange_set_deadline(x, 0);
    rig_pass(&r, 100000);
    assert_int_equal(r.deadlines, 1);
    respond(x, "x");
}

static void the_handlers_time_ends_with_the_head(void **state) {
    (void)state;
    mg_exchange *x = begin(GET("/a"));
    assert_false(mg_exchange_committed(x));
    mg_exchange_begin(x, &rig_ok, -1);
    assert_true(mg_exchange_committed(x));
    rig_pass(&r, 100000);
    assert_int_equal(r.deadlines, 0);
    mg_exchange_set_deadline(x, 1000); // a stream's longest time
    rig_pass(&r, 1000);
    assert_int_equal(r.deadlines, 1);
    mg_exchange_end(x, NULL);
    rig_pass(&r, 60000);
    assert_int_equal(r.deadlines, 1);
}

// --- a directory that looks whose a name is ---

static void a_challenge_is_answered_before_the_app(void **state) {
    (void)state;
    r.server->challenge = mg_challenge_read(MG_STR("http-01\na.test\ntoken.print"));
    assert_non_null(r.server->challenge);
#define PLACE "/.well-known/acme-challenge/"
    peer_send(&r, &p, GET(PLACE "token"));
    assert_got(&p, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                   "Content-Length: 11\r\n\r\ntoken.print");
    assert_null(rig_take(&r));
    respond(begin(GET(PLACE "other")), "app"); // anything else is the app's
    assert_got(&p, OK("3", "app"));
    respond(begin("DELETE " PLACE "token HTTP/1.1\r\nHost: h\r\n\r\n"), "app");
    assert_got(&p, OK("3", "app"));
    mg_challenge_free(r.server->challenge);
    r.server->challenge = NULL;
    respond(begin(GET(PLACE "token")), "app");
    assert_got(&p, OK("3", "app"));
}
int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_handler_that_takes_too_long_is_told),
        TEST(a_handler_may_have_its_own_time_or_all_of_it),
        TEST(the_handlers_time_ends_with_the_head),
        TEST(a_challenge_is_answered_before_the_app),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
