#include "guest_rig.h"

static void has_its_messages_handled_one_by_one(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    assert_ptr_equal(mg_guests_get(all, g->handle), g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    expect_none(&one); // its opening is not over
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x82, "b");
    assert_int_equal(one.ready, 1);
    mg_guest_event e = next_of(&one);
    assert_int_equal(e.kind, MG_GUEST_MESSAGE);
    assert_int_equal(e.type, MG_PACKET_TEXT);
    assert_text("a", e.data);
    mg_guest_drop_message(g);
    expect_none(&one);
    assert_int_equal(one.host.claims, 1);
    mg_guest_done(g);
    e = next_of(&one);
    assert_text("b", e.data);
    mg_guest_drop_message(g);
    mg_guest_done(g);
    expect_none(&one);
    assert_int_equal(one.host.claims, 0);
}

static void tells_its_end_behind_its_messages(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    uint64_t handle = g->handle;
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    peer_says(&g->socket.tunnel, 0x88, "\x0f\xa0why");
    assert_int_equal(next_of(&one).kind, MG_GUEST_MESSAGE);
    mg_guest_drop_message(g);
    mg_guest_done(g);
    assert_int_equal(next_of(&one).kind, MG_GUEST_ENDED);
    assert_int_equal(g->code, 4000);
    assert_text("why", mg_buf_str(&g->reason));
    assert_ptr_equal(mg_guests_get(all, handle), g);
    mg_guest_done(g);
    assert_null(mg_guests_get(all, handle));
    assert_int_equal(one.forgotten, 1);
    assert_int_equal(one.host.claims, 0);
}

static void answers_what_came_before_a_close(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    peer_says(&g->socket.tunnel, 0x88, "\x03\xe8");
    expect_sent(&c, "");
    assert_int_equal(next_of(&one).kind, MG_GUEST_MESSAGE);
    mg_guest_drop_message(g);
    assert_int_equal(mg_socket_send(&g->socket, MG_PACKET_TEXT, MG_STR("A")), MG_OK);
    mg_guest_done(g);
    expect_sent(&c, "\\81\\01A\\88\\02\\03\\e8");
    assert_int_equal(next_of(&one).kind, MG_GUEST_ENDED);
    mg_guest_done(g);
}

static void answers_what_came_before_a_fault(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "a");
    peer_says(&g->socket.tunnel, 0x80, "");
    assert_int_equal(next_of(&one).kind, MG_GUEST_MESSAGE);
    mg_guest_drop_message(g);
    assert_int_equal(mg_socket_send(&g->socket, MG_PACKET_TEXT, MG_STR("A")), MG_OK);
    expect_sent(&c, "\\81\\01A");
    mg_guest_done(g);
    expect_sent(&c, "\\88\\1e\\03\\eaa continuation of no message");
    assert_int_equal(next_of(&one).kind, MG_GUEST_ENDED);
    mg_guest_done(g);
}

static mg_guest *open_coroutine(void) {
    serve(&one, "echo", false, false);
    mg_guest *g = new_guest(&one, "echo");
    mg_guest_hand_over(g);
    mg_socket_opening(&g->socket, 0);
    carrier_open(&c, &g->socket.tunnel);
    mg_socket_opened(&g->socket);
    return g;
}

static void ends_at_once_with_a_coroutine_that_never_reads(void **state) {
    (void)state;
    mg_guest *g = open_coroutine();
    peer_says(&g->socket.tunnel, 0x88, "\x03\xe8");
    expect_sent(&c, "\\88\\02\\03\\e8");
    assert_int_equal(g->code, MG_WS_NORMAL);
    mg_guest_done(g);
}

static void waits_for_a_coroutine_that_may_answer_yet(void **state) {
    (void)state;
    mg_guest *g = open_coroutine();
    g->reads = true; // and has taken a message
    peer_says(&g->socket.tunnel, 0x88, "\x03\xe8");
    expect_sent(&c, "");
    mg_socket_conclude(&g->socket); // it wants another one
    expect_sent(&c, "\\88\\02\\03\\e8");
    mg_guest_done(g);
    g = open_coroutine();
    g->reads = true;
    g->socket.tunnel.events->on_fin(&g->socket.tunnel);
    assert_int_equal(g->code, MG_WS_ABNORMAL);
    mg_guest_done(g);
}

static void lets_a_fast_peer_wait(void **state) {
    (void)state;
    static char large[70000];
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    mg_buf frame = {0};
    const uint8_t mask[4] = {0};
    mg_ws_write(&frame, &(mg_ws_frame){.opcode = MG_WS_BINARY, .mask = mask},
                (mg_str){large, sizeof large});
    g->socket.tunnel.events->on_read(&g->socket.tunnel, mg_buf_str(&frame));
    mg_buf_deinit(&frame);
    assert_int_equal(c.pauses, 1);
    assert_int_equal(next_of(&one).data.n, sizeof large);
    assert_int_equal(c.resumes, 0);
    mg_guest_drop_message(g);
    assert_int_equal(c.resumes, 1);
    mg_guest_done(g);
}

static void belongs_to_a_coroutine_until_that_ends(void **state) {
    (void)state;
    mg_guest_event e;
    mg_guest *g = open_coroutine();
    uint64_t handle = g->handle;
    peer_says(&g->socket.tunnel, 0x81, "a");
    assert_int_equal(one.news, 1);
    expect_none(&one);
    assert_true(mg_guest_look(g, &e));
    assert_text("a", e.data);
    mg_guest_drop_message(g);
    assert_false(mg_guest_look(g, &e));
    serve(&two, "echo", false, false); // which is not its business
    assert_int_equal(one.host.claims, 1);
    mg_socket_close(&g->socket, MG_WS_NORMAL, MG_STR(""));
    mg_guest_done(g);
    assert_ptr_equal(mg_guests_get(all, handle), g); // the peer's close is to come
    peer_says(&g->socket.tunnel, 0x88, "\x03\xe8");
    assert_null(mg_guests_get(all, handle));
    assert_int_equal(one.host.claims, 0);
}

static void may_be_refused_before_it_opens(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g;
    assert_int_equal(mg_guest_new(&g, &one.host, MG_STR("other")), MG_ECLOSED);
    g = new_guest(&one, "chat");
    uint64_t handle = g->handle;
    assert_int_equal(mg_topics_subscribe(&g->subscriber, MG_STR("t"), NULL), MG_OK);
    mg_guest_drop(g);
    assert_null(mg_guests_get(all, handle));
    assert_int_equal(mg_topics_count_here(topics, MG_STR("t")), 0);
}

static void is_one_of_so_many_of_its_route(void **state) {
    (void)state;
    mg_guest *third;
    mg_guest_terms terms = terms_of("chat", true, false);
    terms.most = 2;
    mg_host_serve(&one.host, &terms, 1);
    mg_guest *first = new_guest(&one, "chat");
    mg_guest_hand_over(first); // of either form
    (void)new_guest(&one, "chat");
    assert_int_equal(mg_guest_new(&third, &one.host, MG_STR("chat")), MG_ELIMIT);
    mg_guest_drop(first);
    (void)new_guest(&one, "chat");
    assert_int_equal(mg_guest_new(&third, &one.host, MG_STR("chat")), MG_ELIMIT);
    terms.most = 3;
    mg_host_serve(&one.host, &terms, 1);
    assert_int_equal(mg_guest_new(&third, &one.host, MG_STR("chat")), MG_OK);
}

static void gets_what_is_published(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = new_guest(&one, "chat");
    assert_int_equal(mg_topics_subscribe(&g->subscriber, MG_STR("t"), NULL), MG_OK);
    mg_publication m = {.payload = MG_STR("1")};
    assert_int_equal(mg_topics_publish(topics, MG_STR("t"), &m, NULL, NULL), MG_OK);
    mg_socket_opening(&g->socket, 0);
    carrier_open(&c, &g->socket.tunnel);
    mg_socket_opened(&g->socket);
    mg_guest_done(g);
    m.payload = MG_STR("2");
    assert_int_equal(mg_topics_publish(topics, MG_STR("t"), &m, &g->subscriber, NULL), MG_OK);
    m.payload = MG_STR("3");
    assert_int_equal(mg_topics_publish(topics, MG_STR("t"), &m, NULL, NULL), MG_OK);
    expect_sent(&c, "\\81\\011\\81\\013");
}

static void leaves_when_the_server_stops(void **state) {
    (void)state;
    serve(&one, "chat", true, false);
    mg_guest *g = open_guest(&one, "chat");
    mg_guest_done(g);
    peer_says(&g->socket.tunnel, 0x81, "last");
    assert_int_equal(next_of(&one).kind, MG_GUEST_MESSAGE);
    g->socket.tunnel.events->on_stop(&g->socket.tunnel);
    expect_sent(&c, "");
    mg_guest_drop_message(g);
    mg_guest_done(g);
    assert_int_equal((unsigned char)c.sent.p[0], 0x88);
    assert_memory_equal(c.sent.p + 2, "\x03\xf4", 2); // 1012
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(has_its_messages_handled_one_by_one),
        TEST(tells_its_end_behind_its_messages),
        TEST(answers_what_came_before_a_close),
        TEST(lets_a_fast_peer_wait),
        TEST(answers_what_came_before_a_fault),
        TEST(ends_at_once_with_a_coroutine_that_never_reads),
        TEST(waits_for_a_coroutine_that_may_answer_yet),
        TEST(belongs_to_a_coroutine_until_that_ends),
        TEST(may_be_refused_before_it_opens),
        TEST(is_one_of_so_many_of_its_route),
        TEST(gets_what_is_published),
        TEST(leaves_when_the_server_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
