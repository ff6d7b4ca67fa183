// How long a call may take.
#include "rig.h"

static void a_call_that_gets_no_connection_ends_in_time(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    prepare(&a, "GET", "/a");
    a.options.timeouts.first_byte_ms = a.options.timeouts.total_ms = 60000;
    start_call(&a);
    expect_request(0, "/a");
    get(&b, "/b");
    pass_ms(8999);
    assert_int_equal(b.changes, 0);
    pass_ms(1);
    assert_non_null(strstr(mg_call_fault_of(b.call)->text,
                           ": all 1 connections to it (http.connections) were busy for 9 s: "));
    expect_fault(&b, "timeout", true);
    says(0, OK_EMPTY);
    expect_content(&a, 200, "");
}

static void a_silent_server_is_left_in_time(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    pass_ms(4999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    expect_fault(&c, "timeout", false);
    UNTIL(peers[0].ended);
}

static void a_slow_body_is_left_after_the_total_time(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
    UNTIL(mg_call_state_of(c.call) == MG_CALL_BODY);
    pass_ms(8999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    expect_fault(&c, "timeout", false);
}

// A server that answers no handshake.
static void a_connection_is_ready_in_time_or_given_up(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.origin.tls = true;
    c.origin.insecure = true;
    start_call(&c);
    UNTIL(accepted == 1 && peers[0].got.n > 0);
    pass_ms(999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    expect_fault(&c, "timeout", true);
    UNTIL(peers[0].ended);
}

static void ask_handshake(caller *c, uint32_t connect_ms) {
    prepare(c, "GET", "/x");
    c->origin.tls = true;
    c->origin.insecure = true;
    c->options.timeouts.connect_ms = connect_ms;
    start_call(c);
}

static void who_waits_for_the_dial_of_a_call_that_went_has_its_own_time(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    ask_handshake(&a, 1000);
    UNTIL(accepted == 1 && peers[0].got.n > 0);
    pass_ms(900);
    ask_handshake(&b, 2000);
    mg_call_close(a.call);
    pass_ms(1999);
    assert_int_equal(b.changes, 0);
    pass_ms(1);
    expect_fault(&b, "timeout", true);
    UNTIL(peers[0].ended);

    ask_handshake(&a, 60000); // and likewise if it is shorter
    ask_handshake(&b, 500);
    mg_call_close(a.call);
    pass_ms(500);
    expect_fault(&b, "timeout", true);
    assert_int_equal(a.changes, 0);
}

static void a_dial_goes_on_for_those_who_have_more_time(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    ask_handshake(&a, 500);
    ask_handshake(&b, 2000);
    UNTIL(accepted == 1 && peers[0].got.n > 0);
    pass_ms(500);
    expect_fault(&a, "timeout", true);
    pass_ms(1999);
    assert_int_equal(b.changes, 0);
    assert_false(peers[0].ended);
    pass_ms(1);
    expect_fault(&b, "timeout", true);
    assert_int_equal(accepted, 1);
}

static void the_wait_for_a_connection_has_a_time_of_its_own(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client(1, 10, 1);
    get(&a, "/a");
    expect_request(0, "/a");
    prepare(&b, "GET", "/b");
    b.options.timeouts.wait_ms = 700;
    start_call(&b);
    pass_ms(699);
    assert_int_equal(b.changes, 0);
    pass_ms(1);
    assert_non_null(strstr(mg_call_fault_of(b.call)->text,
                           ": waiting for a connection took longer than 0.7 s"));
    expect_fault(&b, "timeout", true);
    says(0, OK_EMPTY);
    expect_content(&a, 200, "");
}

static void a_duplex_upload_that_nobody_takes_is_left_in_time(void **state) {
    (void)state;
    static const char piece[65536];
    caller c;
    prepare(&c, "POST", "/up");
    c.options.upload = c.options.duplex = c.options.stream = true;
    c.options.length = -1;
    c.options.timeouts.total_ms = 0;
    start_call(&c);
    UNTIL(has_got(0, "\r\n\r\n"));
    mg_stream_read_stop(&peers[0].s);
    while (mg_call_send(c.call, piece, sizeof piece) == MG_OK) {
        turns(1);
    }
    turns(5);
    pass_ms(2999);
    assert_int_equal(c.changes, 0);
    pass_ms(1);
    pass_ms(3000); // something had moved since the first look at it
    assert_non_null(strstr(mg_call_fault_of(c.call)->text,
                           ": nothing more of the request's body was taken within 3 s"));
    expect_fault(&c, "timeout", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_call_that_gets_no_connection_ends_in_time),
        EACH(a_silent_server_is_left_in_time),
        EACH(a_slow_body_is_left_after_the_total_time),
        EACH(a_connection_is_ready_in_time_or_given_up),
        EACH(who_waits_for_the_dial_of_a_call_that_went_has_its_own_time),
        EACH(the_wait_for_a_connection_has_a_time_of_its_own),
        EACH(a_duplex_upload_that_nobody_takes_is_left_in_time),
        EACH(a_dial_goes_on_for_those_who_have_more_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
