// Which connection is given to whom.
#include "rig.h"

#include "event/descriptors.h"

static void a_connection_serves_one_call_after_another(void **state) {
    (void)state;
    caller c;
    for (int i = 0; i < 3; i++) {
        get(&c, "/x");
        expect_request(0, "/x");
        says(0, OK_HI);
        expect_content(&c, 200, "hi");
    }
    assert_int_equal(accepted, 1);
    assert_int_equal(stats().dialled, 1);
    assert_int_equal(stats().reused, 2);
    assert_int_equal(stats().idle, 1);
}

// Leaves an idle connection.
static void leave_connection(void) {
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
}

static void one_call(const char *answer) {
    caller c;
    int i = accepted;
    get(&c, "/x");
    expect_request(i, "/x");
    says(i, answer);
    UNTIL(is_over(&c));
    assert_int_equal(mg_call_state_of(c.call), MG_CALL_DONE);
    mg_call_close(c.call);
    UNTIL(peers[i].ended);
    assert_int_equal(stats().connections, 0);
    assert_int_equal(stats().origins, 0);
}

static void a_connection_that_the_server_will_close_serves_no_other(void **state) {
    (void)state;
    one_call("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    one_call("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi");
}

// What came behind might be taken for the next call's response.
static void leftovers_behind_a_body_close_the_connection(void **state) {
    (void)state;
    one_call(OK_HI "x");
    one_call("HTTP/1.1 204 No Content\r\n\r\n" OK_HI);
    one_call("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n");
}

// The response ends exactly where a read does, so that nothing seems to be behind it.
static void leftovers_behind_a_full_read_are_not_taken_for_the_next_response(void **state) {
    (void)state;
    static char answer[MG_STREAM_READ_BYTES + sizeof OK_EMPTY];
    int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %5d\r\n\r\n", 0);
    n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %5d\r\n\r\n",
                 MG_STREAM_READ_BYTES - n);
    memset(answer + n, 'a', MG_STREAM_READ_BYTES - (size_t)n);
    snprintf(answer + MG_STREAM_READ_BYTES, sizeof OK_EMPTY, "%s", OK_EMPTY);
    caller a;
    caller b;
    prepare(&b, "GET", "/b");
    prepare(&a, "GET", "/a");
    a.then = &b;
    start_call(&a);
    expect_request(0, "/a");
    says(0, answer);
    UNTIL(is_over(&a));
    mg_call_close(a.call);
    expect_request(1, "/b");
    says(1, OK_HI);
    expect_content(&b, 200, "hi");
}

static void what_an_idle_connection_says_closes_it(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, OK_HI);
    expect_content(&c, 200, "hi");
    says(0, OK_HI);
    UNTIL(peers[0].ended);
    get(&c, "/y");
    expect_request(1, "/y");
    says(1, OK_EMPTY);
    expect_content(&c, 200, "");
}

static void calls_wait_in_order_for_a_limited_number_of_connections(void **state) {
    (void)state;
    static const char *const paths[] = {"/0", "/1", "/2", "/3", "/4"};
    caller c[5];
    for (int i = 0; i < 5; i++) {
        get(&c[i], paths[i]);
    }
    UNTIL(has_got(0, "\r\n\r\n") && has_got(1, "\r\n\r\n"));
    assert_int_equal(stats().connections, 2);
    assert_int_equal(stats().waiting, 3);
    int first = has_got(0, "GET /0 ") ? 0 : 1;
    expect_request(first, "/0");
    expect_request(1 - first, "/1");
    says(1 - first, OK_HI);
    expect_content(&c[1], 200, "hi");
    expect_request(1 - first, "/2");
    says(1 - first, OK_HI);
    expect_content(&c[2], 200, "hi");
    expect_request(1 - first, "/3");
    says(first, OK_EMPTY);
    expect_content(&c[0], 200, "");
    expect_request(first, "/4");
    says(first, OK_EMPTY);
    expect_content(&c[4], 200, "");
    says(1 - first, OK_EMPTY);
    expect_content(&c[3], 200, "");
    assert_int_equal(accepted, 2);
}

static void who_is_closed_while_waiting_is_passed_over(void **state) {
    (void)state;
    caller c[3];
    new_client(1, 10, 1);
    get(&c[0], "/0");
    get(&c[1], "/1");
    get(&c[2], "/2");
    expect_request(0, "/0");
    mg_call_close(c[1].call);
    assert_int_equal(stats().waiting, 1);
    says(0, OK_EMPTY);
    expect_content(&c[0], 200, "");
    expect_request(0, "/2");
    says(0, OK_EMPTY);
    expect_content(&c[2], 200, "");
    assert_int_equal(c[1].changes, 0);
}

static void too_many_waiting_are_refused(void **state) {
    (void)state;
    caller c[3];
    new_client(1, 1, 1);
    get(&c[0], "/0");
    expect_request(0, "/0");
    get(&c[1], "/1");
    get(&c[2], "/2");
    expect_fault(&c[2], "limit", true);
    says(0, OK_EMPTY);
    expect_content(&c[0], 200, "");
    expect_request(0, "/1");
    says(0, OK_EMPTY);
    expect_content(&c[1], 200, "");
    assert_int_equal(stats().waiting, 0);
}

static void few_idle_connections_are_kept(void **state) {
    (void)state;
    caller c[3];
    new_client(3, 10, 1);
    for (int i = 0; i < 3; i++) {
        get(&c[i], "/x");
    }
    for (int i = 0; i < 3; i++) {
        expect_request(i, "/x");
    }
    for (int i = 0; i < 3; i++) {
        says(i, OK_EMPTY);
        UNTIL(i == 0 ? stats().idle == 1 : peers[i - 1].ended); // the longest idle one goes
    }
    for (int i = 0; i < 3; i++) {
        expect_content(&c[i], 200, "");
    }
    assert_int_equal(stats().idle, 1);
    assert_int_equal(stats().connections, 1);
}

// The server's own words go before ours.
static void a_connection_is_given_up_before_the_server_closes_it(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\nKeep-Alive: max=5, Timeout=4\r\nContent-Length: 0\r\n\r\n");
    expect_content(&c, 200, "");
    pass_ms(2990);
    assert_int_equal(stats().idle, 1);
    get(&c, "/y");
    expect_request(0, "/y");
    pass_ms(1000); // busy
    says(0, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3600\r\nContent-Length: 0\r\n\r\n");
    expect_content(&c, 200, "");
    pass_ms(9000);
    assert_int_equal(stats().idle, 1);
    get(&c, "/z");
    expect_request(0, "/z");
    says(0, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n");
    expect_content(&c, 200, "");
    pass_ms(500);
    assert_int_equal(stats().idle, 0);
    UNTIL(peers[0].ended);
}

// Behind one exchange, whose connection is idle.
static void get_once(void) {
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect_content(&c, 200, "");
}

static void an_end_that_nobody_has_told_yet_is_seen_before_a_call_goes_out(void **state) {
    (void)state;
    caller c;
    get_once();
    hangs_up(0);
    get(&c, "/y");
    assert_int_equal(stats().idle, 1); // by now the loop has not looked
    expect_request(1, "/y");
    says(1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect_content(&c, 200, "");
    assert_int_equal(stats().reused, 0);
}

static void calls_go_out_in_the_turn_that_they_begin_in(void **state) {
    (void)state;
    caller c;
    get_once();
    get(&c, "/y");
    turns(1);
    assert_int_equal(stats().waiting, 0);
    expect_request(0, "/y");
    says(0, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    expect_content(&c, 200, "");
    assert_int_equal(stats().reused, 1);
}

static void one_that_waits_for_the_turn_s_end_may_be_closed(void **state) {
    (void)state;
    caller c;
    get_once();
    get(&c, "/y");
    mg_call_close(c.call);
    turns(2);
    assert_int_equal(stats().waiting, 0);
    assert_int_equal(stats().idle, 1);
}

static int warnings;

static void on_warning(void *arg, const char *text) {
    (void)arg;
    assert_non_null(strstr(text, "INSECURE"));
    warnings++;
}

static void an_insecure_origin_is_told_once(void **state) {
    (void)state;
    caller c;
    warnings = 0;
    new_client_of(&(mg_client_options){.on_warning = on_warning});
    for (int i = 0; i < 3; i++) {
        prepare(&c, "GET", "/x");
        c.origin.insecure = true;
        start_call(&c);
        expect_request(i, "/x");
        says(i, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        expect_content(&c, 200, "");
        assert_int_equal(stats().origins, 0);
    }
    assert_int_equal(warnings, 1);
}

// --- few connections in all ---

// Another origin, at the same server.
static void get_elsewhere(caller *c, const char *server_name, const char *path) {
    prepare(c, "GET", path);
    c->origin.server_name = mg_str_of(server_name);
    start_call(c);
}

static void an_idle_connection_makes_room_for_another_origin(void **state) {
    (void)state;
    caller a;
    caller b;
    new_client_of(&(mg_client_options){.all_connections = 1});
    leave_connection();
    get_elsewhere(&b, "b", "/b");
    expect_request(1, "/b");
    get(&a, "/a"); // waits until b's connection is idle
    turns(3);
    assert_int_equal(accepted, 2);
    says(1, OK_HI);
    expect_content(&b, 200, "hi");
    expect_request(2, "/a");
    says(2, OK_EMPTY);
    expect_content(&a, 200, "");
    assert_int_equal(stats().connections, 1);
}

static void origins_that_wait_for_room_get_it_in_turn(void **state) {
    (void)state;
    caller c[5];
    static const char *const names[] = {"0", "1", "2", "3", "4"};
    static const char *const paths[] = {"/0", "/1", "/2", "/3", "/4"};
    new_client_of(&(mg_client_options){.all_connections = 2});
    for (int i = 0; i < 5; i++) {
        get_elsewhere(&c[i], names[i], paths[i]);
    }
    UNTIL(has_got(0, "\r\n\r\n") && has_got(1, "\r\n\r\n"));
    int first = has_got(0, "GET /0 ") ? 0 : 1;
    expect_request(first, "/0");
    expect_request(1 - first, "/1");
    mg_call_close(c[0].call); // its connection goes
    expect_request(2, "/2");
    says(1 - first, OK_EMPTY); // it becomes idle, and goes
    expect_request(3, "/3");
    says(2, OK_EMPTY);
    expect_request(4, "/4");
    says(3, OK_EMPTY);
    says(4, OK_EMPTY);
    for (int i = 1; i < 5; i++) {
        expect_content(&c[i], 200, "");
    }
    assert_int_equal(stats().waiting, 0);
}

static void no_more_is_opened_than_the_process_may_have(void **state) {
    (void)state;
    caller a;
    caller b;
    leave_connection();
    mg_descriptors_set_limit(loop, mg_descriptors_open(loop) + 1); // of the server's end
    get_elsewhere(&b, "b", "/b");                                  // makes the idle one go
    expect_request(1, "/b");
    get(&a, "/a");
    turns(3);
    assert_int_equal(accepted, 2);
    says(1, OK_HI);
    expect_content(&b, 200, "hi");
    hangs_up(0);
    expect_request(2, "/a");
    says(2, OK_EMPTY);
    expect_content(&a, 200, "");
}

static void idle_connections_are_closed_in_time(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    pass_ms(9990);
    assert_int_equal(stats().idle, 1);
    pass_ms(2000);
    UNTIL(peers[0].ended);
    assert_int_equal(stats().origins, 0);
}

// --- dead connections ---

// Sends a request on an idle connection that the server closes at the same time.
static void get_on_dying_connection(caller *c, const char *path) {
    leave_connection();
    get(c, path);
    hangs_up(0);
}

static void a_get_on_a_dying_connection_is_sent_again(void **state) {
    (void)state;
    caller c;
    get_on_dying_connection(&c, "/y");
    expect_request(1, "/y");
    says(1, OK_HI);
    expect_content(&c, 200, "hi");
    assert_int_equal(stats().dialled, 2);
}

// What is remembered of an origin is not believed once one has gone, this or another.
static void an_origin_that_is_asked_again_is_found_by_its_hint(void **state) {
    (void)state;
    mg_origin_hint hint = {0};
    caller c;
    for (int i = 0; i < 3; i++) {
        prepare(&c, "GET", "/x");
        c.origin.hint = &hint;
        start_call(&c);
        expect_request(i / 2, "/x");
        says(i / 2, OK_HI);
        expect_content(&c, 200, "hi");
        if (i == 1) {
            pass_ms(11000); // its connection has been idle for too long: the origin goes
            UNTIL(stats().origins == 0);
        }
    }
    assert_int_equal(stats().dialled, 2);
    assert_int_equal(stats().reused, 1);
}

static void it_is_sent_again_once(void **state) {
    (void)state;
    caller c;
    get_on_dying_connection(&c, "/y");
    expect_request(1, "/y");
    hangs_up(1);
    expect_fault(&c, "closed", false);
    assert_int_equal(accepted, 2);
}

// A connection that has served others is free in time; it may die too, and is for those behind.
static void it_is_sent_again_on_a_fresh_connection(void **state) {
    (void)state;
    caller a;
    caller b;
    caller x;
    caller y;
    get(&a, "/a");
    expect_request(0, "/a");
    get(&b, "/b");
    expect_request(1, "/b");
    says(0, OK_EMPTY);
    expect_content(&a, 200, "");
    get(&x, "/x");
    turns(1); // it goes out
    hangs_up(0);
    UNTIL(stats().waiting == 1); // found dead
    get(&y, "/y");
    says(1, OK_HI);
    expect_content(&b, 200, "hi");
    expect_request(1, "/y");
    expect_request(2, "/x");
    says(1, OK_EMPTY);
    says(2, OK_HI);
    expect_content(&x, 200, "hi");
    expect_content(&y, 200, "");
}

static void a_used_connection_makes_room_for_a_fresh_one(void **state) {
    (void)state;
    caller a;
    caller x;
    new_client(1, 10, 1);
    get(&a, "/a");
    expect_request(0, "/a");
    prepare(&x, "GET", "/x");
    x.options.fresh = true;
    start_call(&x);
    says(0, OK_EMPTY);
    expect_content(&a, 200, "");
    expect_request(1, "/x");
    says(1, OK_HI);
    expect_content(&x, 200, "hi");
    assert_int_equal(stats().reused, 0);
}

static void what_is_sent_again_goes_before_those_who_wait(void **state) {
    (void)state;
    caller x;
    caller y;
    new_client(1, 10, 1);
    get_on_dying_connection(&x, "/x");
    get(&y, "/y");
    expect_request(1, "/x");
    says(1, OK_EMPTY);
    expect_content(&x, 200, "");
    expect_request(1, "/y");
    says(1, OK_EMPTY);
    expect_content(&y, 200, "");
}

static void a_post_on_a_dying_connection_is_not_sent_again(void **state) {
    (void)state;
    caller c;
    leave_connection();
    prepare(&c, "POST", "/y");
    c.options.body = MG_STR("z");
    c.options.has_body = true;
    start_call(&c);
    hangs_up(0);
    expect_fault(&c, "closed", false);
    turns(5);
    assert_int_equal(accepted, 1);
}

static void a_connection_known_to_be_dead_is_not_used(void **state) {
    (void)state;
    caller c;
    leave_connection();
    hangs_up(0);
    turns(0);
    prepare(&c, "POST", "/y");
    c.options.has_body = true;
    start_call(&c);
    expect_request(1, "/y");
    says(1, OK_HI);
    expect_content(&c, 200, "hi");
}

static void a_call_on_a_fresh_connection_is_not_sent_again(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    hangs_up(0);
    expect_fault(&c, "closed", false);
    turns(5);
    assert_int_equal(accepted, 1);
}

static void a_call_is_not_sent_again_behind_a_piece_of_a_response(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    expect_request(0, "/x");
    says(0, OK_EMPTY);
    expect_content(&c, 200, "");
    get(&c, "/y");
    expect_request(0, "/y");
    says(0, "HTTP/1.1 2");
    hangs_up(0);
    expect_fault(&c, "closed", false);
    turns(5);
    assert_int_equal(accepted, 1);
}

static void a_refused_connection_fails_the_call_unsent(void **state) {
    (void)state;
    caller c;
    mg_listener_close(listener);
    listener = NULL;
    turns(2);
    get(&c, "/x");
    expect_fault(&c, "connect", true);
    assert_int_equal(stats().failed, 1);
    assert_int_equal(stats().origins, 0);
}

// --- life ---

static void a_call_may_be_closed_and_another_started_inside_its_event(void **state) {
    (void)state;
    caller a;
    caller b;
    prepare(&a, "GET", "/a");
    prepare(&b, "GET", "/b");
    a.close_in_change = true;
    a.then = &b;
    start_call(&a);
    expect_request(0, "/a");
    says(0, OK_EMPTY);
    expect_request(0, "/b");
    says(0, OK_HI);
    expect_content(&b, 200, "hi");
    assert_int_equal(a.changes, 1);
}

static void a_client_goes_with_calls_under_way(void **state) {
    (void)state;
    caller c[5];
    new_client(2, 10, 2);
    get(&c[0], "/0");
    prepare(&c[1], "GET", "/1");
    c[1].options.stream = true;
    start_call(&c[1]);
    get(&c[2], "/2"); // waits
    UNTIL(has_got(0, "\r\n\r\n") && has_got(1, "\r\n\r\n"));
    int streamed = has_got(0, "GET /1 ") ? 0 : 1;
    says(streamed, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
    UNTIL(c[1].changes > 0);
    prepare(&c[3], "GET", "/3");
    c[3].origin.host = MG_STR("localhost"); // looks a name up
    start_call(&c[3]);
    prepare(&c[4], "GET", "/4");
    c[4].origin.host = MG_STR("127.0.0.2"); // dials
    start_call(&c[4]);
    turns(1);
    int before = c[1].changes;
    mg_client_free(client);
    client = NULL;
    UNTIL(peers[0].ended && peers[1].ended);
    turns(5);
    assert_int_equal(c[0].changes + c[2].changes + c[3].changes + c[4].changes, 0);
    assert_int_equal(c[1].changes, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_connection_serves_one_call_after_another),
        EACH(a_connection_that_the_server_will_close_serves_no_other),
        EACH(leftovers_behind_a_body_close_the_connection),
        EACH(leftovers_behind_a_full_read_are_not_taken_for_the_next_response),
        EACH(what_an_idle_connection_says_closes_it),
        EACH(calls_wait_in_order_for_a_limited_number_of_connections),
        EACH(who_is_closed_while_waiting_is_passed_over),
        EACH(too_many_waiting_are_refused),
        EACH(few_idle_connections_are_kept),
        EACH(a_connection_is_given_up_before_the_server_closes_it),
        EACH(an_end_that_nobody_has_told_yet_is_seen_before_a_call_goes_out),
        EACH(calls_go_out_in_the_turn_that_they_begin_in),
        EACH(one_that_waits_for_the_turn_s_end_may_be_closed),
        EACH(an_insecure_origin_is_told_once),
        EACH(an_idle_connection_makes_room_for_another_origin),
        EACH(origins_that_wait_for_room_get_it_in_turn),
        EACH(no_more_is_opened_than_the_process_may_have),
        EACH(idle_connections_are_closed_in_time),
        EACH(a_get_on_a_dying_connection_is_sent_again),
        EACH(an_origin_that_is_asked_again_is_found_by_its_hint),
        EACH(it_is_sent_again_once),
        EACH(it_is_sent_again_on_a_fresh_connection),
        EACH(a_used_connection_makes_room_for_a_fresh_one),
        EACH(what_is_sent_again_goes_before_those_who_wait),
        EACH(a_post_on_a_dying_connection_is_not_sent_again),
        EACH(a_connection_known_to_be_dead_is_not_used),
        EACH(a_call_on_a_fresh_connection_is_not_sent_again),
        EACH(a_call_is_not_sent_again_behind_a_piece_of_a_response),
        EACH(a_refused_connection_fails_the_call_unsent),
        EACH(a_call_may_be_closed_and_another_started_inside_its_event),
        EACH(a_client_goes_with_calls_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
