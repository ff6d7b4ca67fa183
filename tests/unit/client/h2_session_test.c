// Connections that speak HTTP/2.
#include "h2_server.h"

// --- how many calls ---

static void more_calls_than_the_server_allows_open_another_connection(void **state) {
    (void)state;
    h2_limits.streams = 2;
    caller c[5];
    get(&c[0], "/0");
    UNTIL_HEARD(0, "1 GET /0 end\n");
    h2_talk(); // its settings are known
    for (int i = 1; i < 5; i++) {
        get(&c[i], "/x");
    }
    UNTIL_HEARD(0, "3 GET /x end\n");
    UNTIL_HEARD(1, "3 GET /x end\n");
    h2_talk();
    assert_int_equal(accepted, 2);
    assert_int_equal(stats().waiting, 1); // no more connections: it waits for a place
    h2_answer(1, 3, 200, "");
    UNTIL_HEARD(1, "5 GET /x end\n");
    h2_answer(0, 1, 200, "");
    h2_answer(0, 3, 200, "");
    h2_answer(1, 1, 200, "");
    h2_answer(1, 5, 200, "");
    for (int i = 0; i < 5; i++) {
        expect_content(&c[i], 200, "");
    }
    assert_int_equal(stats().idle, 2);
}

static void who_waits_gets_a_place_that_the_server_adds(void **state) {
    (void)state;
    new_h2_client(1);
    h2_limits.streams = 1;
    caller a;
    caller b;
    get(&a, "/a");
    UNTIL_HEARD(0, "1 GET /a end\n");
    h2_talk();
    get(&b, "/b");
    h2_talk();
    assert_int_equal(stats().waiting, 1);
    h2_limits.streams = 2;          // the codec's end has borrowed it
    ends[0].h.acknowledged = false; // and knows nothing of what is said by hand
    H2_FRAME(0, MG_H2_SETTINGS_FRAME, 0, 0, "\0\3\0\0\0\2");
    UNTIL_HEARD(0, "3 GET /b end\n");
    h2_answer(0, 3, 200, "");
    h2_answer(0, 1, 200, "");
    expect_content(&a, 200, "");
    expect_content(&b, 200, "");
}

static void a_dial_that_fails_fails_all_who_wait_for_it(void **state) {
    (void)state;
    caller c[3];
    mg_listener_close(listener);
    for (int i = 0; i < 3; i++) {
        get(&c[i], "/x");
    }
    for (int i = 0; i < 3; i++) {
        expect_fault(&c[i], "connect", true);
    }
    assert_int_equal(stats().dialled, 1);
    listen_here();
}

// --- its end ---

static void what_the_server_did_not_look_at_goes_elsewhere(void **state) {
    (void)state;
    caller a;
    caller b;
    get(&a, "/a");
    prepare(&b, "POST", "/b");
    b.options.has_body = true;
    start_call(&b);
    UNTIL_HEARD(0, "3 POST /b");
    H2_FRAME(0, MG_H2_GOAWAY_FRAME, 0, 0, "\0\0\0\1\0\0\0\0"); // the first was accepted
    UNTIL_HEARD(1, "1 POST /b");
    h2_answer(1, 1, 200, "b");
    expect_content(&b, 200, "b");
    assert_false(is_over(&a));
    h2_answer(0, 1, 200, "a");
    expect_content(&a, 200, "a");
    UNTIL(h2_heard(0, "") || peers[0].ended);
    assert_int_equal(stats().connections, 1);
}

static void leaving_in_two_steps_loses_nothing(void **state) {
    (void)state;
    caller a;
    caller b;
    get(&a, "/a");
    UNTIL_HEARD(0, "1 GET /a end\n");
    mg_h2_send_goaway(&ends[0].h, &ends[0].out, false);
    h2_flush(0);
    h2_talk();
    get(&b, "/b"); // which does not go there any more
    UNTIL_HEARD(1, "1 GET /b end\n");
    mg_h2_send_goaway(&ends[0].h, &ends[0].out, true);
    h2_flush(0);
    h2_answer(0, 1, 200, "a");
    h2_answer(1, 1, 200, "b");
    expect_content(&a, 200, "a");
    expect_content(&b, 200, "b");
}

static void an_idle_connection_that_is_left_closes(void **state) {
    (void)state;
    caller a;
    get(&a, "/a");
    UNTIL_HEARD(0, "1 GET /a end\n");
    h2_answer(0, 1, 200, "");
    expect_content(&a, 200, "");
    mg_h2_send_goaway(&ends[0].h, &ends[0].out, true);
    h2_flush(0);
    UNTIL(peers[0].ended);
    assert_int_equal(stats().connections, 0);
}

static void an_idle_connection_says_that_it_goes(void **state) {
    (void)state;
    caller a;
    get(&a, "/a");
    UNTIL_HEARD(0, "1 GET /a end\n");
    h2_answer(0, 1, 200, "");
    expect_content(&a, 200, "");
    mg_client_drain(client, &a.origin);
    UNTIL_HEARD(0, "goaway NO_ERROR\n");
    UNTIL(peers[0].ended);
}

static void calls_of_a_dead_connection_go_again_if_they_may(void **state) {
    (void)state;
    caller first;
    caller again;
    caller never;
    get(&first, "/first");
    UNTIL_HEARD(0, "1 GET /first end\n");
    h2_answer(0, 1, 200, "");
    expect_content(&first, 200, "");
    get(&again, "/again");
    prepare(&never, "POST", "/never");
    start_call(&never);
    UNTIL_HEARD(0, "5 POST /never");
    hangs_up(0);
    expect_fault(&never, "closed", false);
    UNTIL_HEARD(1, "1 GET /again end\n");
    h2_answer(1, 1, 200, "x");
    expect_content(&again, 200, "x");
}

static void what_came_before_the_end_is_given_first(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.stream = true;
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /x end\n");
    mg_call_pause(c.call);
    h2_head(0, 1, 200, false);
    h2_data(0, 1, "hello", false);
    h2_talk();
    hangs_up(0);
    turns(20);
    assert_false(is_over(&c));
    mg_call_resume(c.call);
    UNTIL(is_over(&c));
    assert_text("hello", mg_call_content(c.call));
    expect_fault(&c, "closed", false);
    assert_int_equal(stats().connections, 0);
}

// --- who breaks the protocol ---

static void expect_end(const char *bytes, size_t n, const char *why) {
    caller c;
    get(&c, "/x");
    UNTIL_HEARD(0, "1 GET /x end\n");
    const struct iovec v = {(void *)(uintptr_t)bytes, n};
    assert_int_equal(mg_stream_write(&peers[0].s, &v, 1), 0);
    UNTIL(is_over(&c));
    if (strstr(mg_call_fault_of(c.call)->text, why) == NULL) {
        fail_msg("%s", mg_call_fault_of(c.call)->text);
    }
    expect_fault(&c, "protocol", false);
    UNTIL(h2_heard(0, "goaway") && peers[0].ended);
}

#define EXPECT_END(text, why) expect_end(text, sizeof(text) - 1, why)

static void nothing_is_pushed(void **state) {
    (void)state;
    EXPECT_END("\0\0\5\5\4\0\0\0\1\0\0\0\2\x82", "PUSH_PROMISE");
}

static void streams_are_the_clients_to_open(void **state) {
    (void)state;
    EXPECT_END("\0\0\1\1\5\0\0\0\5\x88", "never opened");
}

static void what_cannot_be_decoded_ends_all(void **state) {
    (void)state;
    EXPECT_END("\0\0\1\1\5\0\0\0\1\xff", "cannot be decoded");
}

static void a_flood_ends_all(void **state) {
    (void)state;
    enum { FRAMES = 3000, FRAME = 17 };
    static char flood[FRAMES * FRAME]; // answers to PINGs that nobody sent
    for (size_t i = 0; i < FRAMES; i++) {
        memcpy(flood + FRAME * i, "\0\0\10\6\1\0\0\0\0", 9);
    }
    expect_end(flood, sizeof flood, "PING");
}

static void a_server_of_http_1_is_told_apart(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    UNTIL(accepted > 0 && peers[0].got.n > 0);
    says(0, "HTTP/1.1 400 Bad Request\r\n\r\n");
    UNTIL(is_over(&c));
    assert_non_null(strstr(mg_call_fault_of(c.call)->text, "it speaks HTTP/1.1, not HTTP/2"));
    expect_fault(&c, "protocol", false);
}

// --- signs of life ---

static bool was_pinged(int i) {
    static const char ping[] = "\0\0\10\6\0\0\0\0\0";
    const mg_buf *got = &peers[i].got;
    return got->n > 0 && memmem(got->p, got->n, ping, 9) != NULL;
}

static void who_is_silent_is_asked_and_lives(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.timeouts = (mg_call_timeouts){0};
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /x end\n");
    h2_talk();
    pass_ms(9999);
    assert_false(was_pinged(0));
    pass_ms(1);
    UNTIL(was_pinged(0));
    h2_talk(); // it answers
    pass_ms(39999);
    assert_false(was_pinged(0)); // it is merely quiet
    pass_ms(20);
    UNTIL(was_pinged(0));
    h2_talk();
    h2_answer(0, 1, 200, "x");
    expect_content(&c, 200, "x");
}

static void who_does_not_answer_a_ping_is_dead(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.timeouts = (mg_call_timeouts){0};
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /x end\n");
    h2_talk();
    pass_ms(10000);
    UNTIL(was_pinged(0));
    pass_ms(10000);
    expect_fault(&c, "closed", false);
    assert_int_equal(stats().connections, 0);
}

// A setting beyond what quiet servers are given in the end.
static void patience_never_shrinks_by_an_answer(void **state) {
    (void)state;
    new_client_of(&(mg_client_options){.http2 = MG_HTTP2_ALWAYS, .ping_ms = 400000});
    caller c;
    prepare(&c, "GET", "/x");
    c.options.timeouts = (mg_call_timeouts){0};
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /x end\n");
    h2_talk();
    pass_ms(400000);
    UNTIL(was_pinged(0));
    h2_talk();
    mg_buf_clear(&ends[0].log);
    pass_ms(399000);
    turns(4);
    assert_false(was_pinged(0));
    pass_ms(2000);
    UNTIL(was_pinged(0));
    h2_talk();
    mg_call_close(c.call);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH_H2(more_calls_than_the_server_allows_open_another_connection),
        EACH_H2(who_waits_gets_a_place_that_the_server_adds),
        EACH_H2(a_dial_that_fails_fails_all_who_wait_for_it),
        EACH_H2(what_the_server_did_not_look_at_goes_elsewhere),
        EACH_H2(leaving_in_two_steps_loses_nothing),
        EACH_H2(an_idle_connection_that_is_left_closes),
        EACH_H2(an_idle_connection_says_that_it_goes),
        EACH_H2(calls_of_a_dead_connection_go_again_if_they_may),
        EACH_H2(what_came_before_the_end_is_given_first),
        EACH_H2(nothing_is_pushed),
        EACH_H2(streams_are_the_clients_to_open),
        EACH_H2(what_cannot_be_decoded_ends_all),
        EACH_H2(a_flood_ends_all),
        EACH_H2(a_server_of_http_1_is_told_apart),
        EACH_H2(who_is_silent_is_asked_and_lives),
        EACH_H2(who_does_not_answer_a_ping_is_dead),
        EACH_H2(patience_never_shrinks_by_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
