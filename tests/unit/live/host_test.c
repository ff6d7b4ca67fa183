#include "guest_rig.h"

static void takes_guests_over_between_two_messages(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    peer_says(&g->socket.tunnel, 0x81, "b");
    assert_int_equal(next_of(&one).kind, MG_GUEST_MESSAGE);
    one.state = "{}";
    serve(&two, "chat", true, false);
    assert_int_equal(one.packed, 0); // what is under way ends on the old scripts
    expect_none(&two);
    mg_guest_drop_message(g);
    mg_guest_done(g);
    expect_none(&one);
    mg_guest_event e = next_of(&two);
    assert_text("b", e.data);
    assert_int_equal(one.packed, 1);
    assert_text("{}", mg_buf_str(&g->state));
    assert_ptr_equal(g->host, &two.host);
    assert_int_equal(one.host.claims, 0);
    mg_guest_drop_message(g);
    mg_guest_done(g);
}

static void takes_over_what_stood_in_the_queue(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    assert_int_equal(one.host.claims, 1);
    serve(&two, "chat", true, true);
    assert_int_equal(one.host.claims, 0);
    expect_none(&one);
    assert_int_equal(next_of(&two).kind, MG_GUEST_RENEWED); // before all messages
    mg_guest_done(g);
    assert_text("a", next_of(&two).data);
    mg_guest_drop_message(g);
    mg_guest_done(g);
    expect_none(&two);
}

static void open_coroutine(mg_guest *g) {
    mg_guest_hand_over(g);
    mg_socket_opening(&g->socket, 0);
    carrier_open(&c, &g->socket.tunnel);
    mg_socket_opened(&g->socket);
}

static void closes_whose_route_is_gone(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *resting = open_guest(&one, "chat");
    mg_guest_done(resting);
    serve(&two, "", true, false);
    assert_memory_equal(c.sent.p + 2, "\x03\xf4", 2);
    mg_buf_clear(&c.sent);
    assert_int_equal(one.host.claims, 1); // it hears of the end
    peer_says(&resting->socket.tunnel, 0x88, "\x03\xf4");
    assert_int_equal(next_of(&one).kind, MG_GUEST_ENDED);
    mg_guest_done(resting);
    assert_int_equal(one.host.claims, 0);
}

static void closes_a_busy_one_behind_its_message(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    peer_says(&g->socket.tunnel, 0x81, "b");
    assert_text("a", next_of(&one).data);
    serve(&two, "chat", false, false); // as a coroutine's route: not for this one
    mg_guest_drop_message(g);
    mg_guest_done(g);
    expect_sent(&c, "");
    assert_text("b", next_of(&one).data); // what had come is handled
    mg_guest_drop_message(g);
    mg_guest_done(g);
    assert_memory_equal(c.sent.p + 2, "\x03\xf4", 2);
}

static void opens_on_scripts_that_were_replaced_meanwhile(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    serve(&two, "chat", true, true);
    mg_guest_done(g);
    assert_int_equal(next_of(&two).kind, MG_GUEST_RENEWED);
    mg_guest_done(g);
}

static void leaves_a_coroutine_to_the_scripts_that_open_it(void **state) {
    (void)state;
    serve(&one, "echo", false, false);
    mg_guest *g = new_guest(&one, "echo");
    serve(&two, "echo", false, false);
    open_coroutine(g);
    expect_sent(&c, "");
    mg_guest_leave(g); // the drain is over
    assert_memory_equal(c.sent.p + 2, "\x03\xf4", 2);
    peer_says(&g->socket.tunnel, 0x88, "\x03\xf4");
    mg_guest_done(g);
}

static void ends_a_coroutine_that_was_to_leave_before_it_was_opened(void **state) {
    (void)state;
    serve(&one, "echo", false, false);
    mg_guest *g = new_guest(&one, "echo");
    mg_guest_leave(g);
    open_coroutine(g);
    expect_sent(&c, "\\88$\\03\\f4the server's scripts were replaced");
    peer_says(&g->socket.tunnel, 0x88, "\x03\xf4");
    mg_guest_done(g);
}

static void lets_go_of_scripts_whose_coroutine_has_ended(void **state) {
    (void)state;
    serve(&one, "echo", false, false);
    mg_guest *g = new_guest(&one, "echo");
    mg_guest_leave(g);
    open_coroutine(g);
    mg_guest_done(g);
    assert_int_equal(one.host.claims, 0); // though the peer has not answered its Close
    peer_says(&g->socket.tunnel, 0x88, "\x03\xf4");
}

static void parts_with_those_that_rest(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    one.state = "s";
    for (int i = 0; i < 5; i++) {
        mg_guest_done(open_guest(&one, "chat"));
    }
    assert_false(mg_host_part(&one.host, 2)); // they are its own
    serve(&two, "chat", true, false);
    assert_true(mg_host_part(&one.host, 2));
    assert_int_equal(one.packed, 2);
    assert_true(mg_host_part(&one.host, 2));
    assert_false(mg_host_part(&one.host, 2));
    assert_int_equal(one.packed, 5);
    mg_host_leave(&one.host); // and nobody is lost
    assert_int_equal(c.aborts, 0);
}

static void closes_who_cannot_cross(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    one.state = "!";
    serve(&two, "chat", true, false);
    peer_says(&g->socket.tunnel, 0x81, "a");
    expect_none(&two);
    assert_memory_equal(c.sent.p + 2, "\x03\xf4", 2);
    peer_says(&g->socket.tunnel, 0x88, "\x03\xf4");
    assert_int_equal(next_of(&two).kind, MG_GUEST_ENDED);
    mg_guest_done(g);
}

static void tells_the_last_who_served_of_the_end(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    serve(&two, "chat", true, false);
    assert_false(mg_host_part(&one.host, 2));
    assert_null(g->host);
    serve(&one, "", true, false);
    assert_memory_equal(c.sent.p + 2, "\x03\xf4", 2);
    peer_says(&g->socket.tunnel, 0x88, "\x03\xf4");
    assert_int_equal(next_of(&two).kind, MG_GUEST_ENDED);
    mg_guest_done(g);
}

static void ends_whom_nobody_else_has(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    uint64_t handle = g->handle;
    mg_guest_done(g);
    mg_host_leave(&one.host);
    assert_null(mg_guests_get(all, handle));
    assert_int_equal(c.aborts, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(takes_guests_over_between_two_messages),
        TEST(takes_over_what_stood_in_the_queue),
        TEST(closes_whose_route_is_gone),
        TEST(closes_a_busy_one_behind_its_message),
        TEST(opens_on_scripts_that_were_replaced_meanwhile),
        TEST(leaves_a_coroutine_to_the_scripts_that_open_it),
        TEST(ends_a_coroutine_that_was_to_leave_before_it_was_opened),
        TEST(lets_go_of_scripts_whose_coroutine_has_ended),
        TEST(parts_with_those_that_rest),
        TEST(closes_who_cannot_cross),
        TEST(tells_the_last_who_served_of_the_end),
        TEST(ends_whom_nobody_else_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
