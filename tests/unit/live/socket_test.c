#include "live/socket.h"

#include "event/intake.h"
#include "http/ws_deflate.h"

#include "carrier.h"

static mg_loop *loop;
static mg_ws_deflate *deflate;
static carrier c;

static struct {
    mg_socket socket;
    mg_buf heard;
    int drains, stops, pongs;
    uint16_t code;
    char reason[128];
    bool pausing; // at each message
    bool behind;  // what has come is not handled yet
} o;

static void on_message(mg_socket *s, mg_packet_kind kind, mg_str data) {
    mg_buf_printf(&o.heard, "%s%.*s;", kind == MG_PACKET_BINARY ? "#" : "", (int)data.n, data.p);
    if (o.pausing) {
        mg_socket_pause(s);
    }
}

static void on_pong(mg_socket *s, mg_str data) {
    (void)s;
    (void)data;
    o.pongs++;
}

static void on_drained(mg_socket *s) {
    (void)s;
    o.drains++;
}

static void on_stop(mg_socket *s) {
    (void)s;
    o.stops++;
}

static bool on_ending(mg_socket *s) {
    (void)s;
    return o.behind;
}

static void on_closed(mg_socket *s, uint16_t code, mg_str reason) {
    assert_ptr_equal(s, &o.socket);
    assert_int_equal(o.code, 0); // once
    o.code = code;
    snprintf(o.reason, sizeof o.reason, "%.*s", (int)reason.n, reason.n > 0 ? reason.p : "");
}

static const mg_socket_events events = {
    .on_message = on_message,
    .on_pong = on_pong,
    .on_drained = on_drained,
    .on_stop = on_stop,
    .on_ending = on_ending,
    .on_closed = on_closed,
};

static void begin(const mg_socket_limits *limits, bool client) {
    mg_socket_kind *k = mg_socket_kind_new(loop, limits, deflate);
    memset(&o, 0, sizeof o);
    memset(&c, 0, sizeof c);
    mg_socket_init(&o.socket, &events, k, client);
    mg_socket_kind_unref(k);
}

static void open_socket(bool compressed) {
    mg_socket_opening(&o.socket, compressed ? 15 : 0);
    carrier_open(&c, &o.socket.tunnel);
    mg_socket_opened(&o.socket);
}

static const mg_socket_limits limits = {
    .message_bytes = 1000, .close_ms = 5000, .outbox_bytes = 100};

static void expect_heard(const char *want) {
    assert_text(want, mg_buf_str(&o.heard));
    mg_buf_clear(&o.heard);
}

static void end(void) {
    mg_socket_deinit(&o.socket);
    mg_buf_deinit(&o.heard);
    mg_buf_deinit(&c.sent);
}

static void pass(uint64_t ms) {
    uint64_t until = mg_loop_now_ms(loop) + ms;
    while (mg_loop_turn(loop, true, true, until) != MG_LOOP_IDLE) {
    }
    mg_loop_set_now(loop, until);
}

static void says_and_hears(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    peer_says(&o.socket.tunnel, 0x81, "hello");
    peer_says(&o.socket.tunnel, 0x82, "bytes");
    peer_says(&o.socket.tunnel, 0x89, "ping");
    peer_says(&o.socket.tunnel, 0x8a, "");
    expect_heard("hello;#bytes;");
    expect_sent(&c, "\\8a\\04ping");
    assert_int_equal(o.pongs, 1);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("yes")), MG_OK);
    assert_int_equal(mg_socket_ping(&o.socket, MG_STR("?")), MG_OK);
    expect_sent(&c, "\\81\\03yes\\89\\01?");
    o.socket.tunnel.events->on_stop(&o.socket.tunnel);
    assert_int_equal(o.stops, 1);
    end();
    assert_int_equal(c.aborts, 1); // nobody had closed it
}

static void sends_what_was_said_before_it_opened(void **state) {
    (void)state;
    begin(&limits, false);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_BINARY, MG_STR("a")), MG_OK);
    mg_packet *p = mg_packet_new(&(mg_publication){.payload = MG_STR("b")});
    mg_socket_send_packet(&o.socket, p);
    mg_packet_unref(p);
    mg_socket_close(&o.socket, 4000, MG_STR("why"));
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("c")), MG_ECLOSED);
    open_socket(false);
    expect_sent(&c, "\\82\\01a\\81\\01b\\88\\05\\0f\\a0why");
    end();
}

static void hears_nothing_more_once_it_is_to_close_when_opened(void **state) {
    (void)state;
    begin(&limits, false);
    mg_socket_close(&o.socket, 4000, MG_STR("why"));
    mg_socket_opening(&o.socket, 0);
    carrier_open(&c, &o.socket.tunnel);
    peer_says(&o.socket.tunnel, 0x81, "early");
    expect_heard("");
    peer_says(&o.socket.tunnel, 0x88, "\x03\xe8");
    expect_sent(&c, "\\88\\02\\03\\e8");
    mg_socket_opened(&o.socket);
    expect_sent(&c, "");
    assert_int_equal(o.code, MG_WS_NORMAL);
    assert_string_equal(o.reason, "");
    end();
}

static void keeps_what_a_slow_peer_has_no_room_for(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    c.backlog = 10;
    mg_packet *p = mg_packet_new(&(mg_publication){.payload = MG_STR("0123456789")});
    mg_socket_send_packet(&o.socket, p);
    assert_int_equal(p->refs, 2);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("own")), MG_OK);
    expect_sent(&c, "");
    assert_true(mg_socket_backlog(&o.socket) >= 23);
    c.backlog = 0;
    o.socket.tunnel.events->on_drained(&o.socket.tunnel);
    expect_sent(&c, "\\81\\0a0123456789\\81\\03own");
    assert_int_equal(o.drains, 1);
    c.backlog = 90;
    mg_socket_send_packet(&o.socket, p); // as much as may wait
    assert_int_equal(p->refs, 2);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("own")), MG_EAGAIN);
    mg_socket_send_packet(&o.socket, p); // and one more
    assert_int_equal(p->refs, 1);
    expect_sent(&c, "\\88$\\03\\f5messages are not taken fast enough");
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("own")), MG_ECLOSED);
    mg_packet_unref(p);
    end();
}

static void closes_when_it_is_opened_what_was_too_slow_to_open(void **state) {
    (void)state;
    begin(&limits, false);
    mg_packet *p = mg_packet_new(&(mg_publication){.payload = MG_STR("0123456789")});
    for (int i = 0; i < 11; i++) {
        mg_socket_send_packet(&o.socket, p);
    }
    assert_int_equal(p->refs, 1);
    open_socket(false);
    expect_sent(&c, "\\88$\\03\\f5messages are not taken fast enough");
    mg_packet_unref(p);
    end();
}

static void skips_if_it_is_to(void **state) {
    (void)state;
    mg_socket_limits skipping = limits;
    skipping.skip = true;
    begin(&skipping, false);
    open_socket(false);
    c.backlog = 99;
    mg_packet *p = mg_packet_new(&(mg_publication){.payload = MG_STR("0123456789")});
    mg_socket_send_packet(&o.socket, p);
    assert_int_equal(p->refs, 1);
    assert_int_equal(o.socket.state, MG_SOCKET_OPEN);
    mg_packet_unref(p);
    end();
}

static void answers_a_close(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    peer_says(&o.socket.tunnel, 0x88,
              "\x0f\xa0"
              "bye");
    expect_sent(&c, "\\88\\02\\0f\\a0");
    assert_int_equal(o.code, 4000);
    assert_string_equal(o.reason, "bye");
    assert_int_equal(c.closes, 1);
    end();
    assert_int_equal(c.aborts, 0);
}

static void waits_for_the_peers_close_but_not_for_ever(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    mg_socket_close(&o.socket, MG_WS_NORMAL, MG_STR("done"));
    expect_sent(&c, "\\88\\06\\03\\e8done");
    peer_says(&o.socket.tunnel, 0x81, "late");
    expect_heard("");
    assert_int_equal(o.code, 0);
    peer_says(&o.socket.tunnel, 0x88, "\x03\xe8");
    assert_int_equal(o.code, MG_WS_NORMAL);
    end();
    begin(&limits, false);
    open_socket(false);
    mg_socket_close(&o.socket, MG_WS_RESTART, MG_STR(""));
    pass(4999);
    assert_int_equal(o.code, 0);
    pass(2);
    assert_int_equal(o.code, MG_WS_RESTART);
    assert_int_equal(c.closes, 1);
    end();
}

static void tells_an_abnormal_end(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    o.socket.tunnel.events->on_fin(&o.socket.tunnel);
    assert_int_equal(o.code, MG_WS_ABNORMAL);
    end();
    begin(&limits, false);
    open_socket(false);
    o.socket.tunnel.events->on_closed(&o.socket.tunnel, MG_GONE_CLIENT);
    assert_int_equal(o.code, MG_WS_ABNORMAL);
    end();
    begin(&limits, false);
    open_socket(false);
    mg_socket_abort(&o.socket);
    assert_int_equal(o.code, MG_WS_ABNORMAL);
    assert_int_equal(c.aborts, 1);
    end();
}

static void refuses_what_breaks_rules_and_limits(void **state) {
    (void)state;
    mg_socket_limits strict = {.message_bytes = 4, .rate = 2, .close_ms = 1000};
    begin(&strict, false);
    open_socket(false);
    peer_says(&o.socket.tunnel, 0x81, "large");
    assert_int_equal(o.code, MG_WS_TOO_LARGE);
    end();
    begin(&strict, false);
    open_socket(false);
    peer_says(&o.socket.tunnel, 0xf1, "");
    assert_int_equal(o.code, MG_WS_PROTOCOL_ERROR);
    assert_int_equal(c.closes, 1);
    end();
    begin(&strict, false);
    open_socket(false);
    peer_says(&o.socket.tunnel, 0x81, "a");
    peer_says(&o.socket.tunnel, 0x81, "b");
    assert_int_equal(o.code, 0);
    peer_says(&o.socket.tunnel, 0x81, "c");
    assert_int_equal(o.code, MG_WS_POLICY);
    end();
    begin(&strict, false);
    open_socket(false);
    for (int i = 0; i < 4; i++) {
        peer_says(&o.socket.tunnel, 0x81, "a");
        pass(500);
    }
    assert_int_equal(o.code, 0);
    end();
}

// Begins one that has a message in hand.
static void begin_behind(void) {
    begin(&limits, false);
    open_socket(false);
    peer_says(&o.socket.tunnel, 0x81, "a");
    o.behind = true;
}

static void answers_what_came_before_its_end(void **state) {
    (void)state;
    begin_behind();
    peer_says(&o.socket.tunnel, 0x83, "");
    peer_says(&o.socket.tunnel, 0x81, "late");
    expect_sent(&c, "");
    assert_int_equal(o.code, 0);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("A")), MG_OK);
    mg_socket_conclude(&o.socket);
    expect_sent(&c, "\\81\\01A\\88\\13\\03\\eaan unknown opcode");
    assert_int_equal(o.code, MG_WS_PROTOCOL_ERROR);
    expect_heard("a;");
    end();
    begin_behind();
    o.socket.tunnel.events->on_fin(&o.socket.tunnel); // it may still hear
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("A")), MG_OK);
    mg_socket_conclude(&o.socket);
    expect_sent(&c, "\\81\\01A");
    assert_int_equal(o.code, MG_WS_ABNORMAL);
    assert_int_equal(c.closes, 1);
    end();
}

static void waits_for_that_no_longer_than_for_a_close(void **state) {
    (void)state;
    begin_behind();
    peer_says(&o.socket.tunnel, 0x88, "\x03\xe9");
    pass(4999);
    peer_says(&o.socket.tunnel, 0x89, "");
    assert_int_equal(o.code, 0);
    pass(2);
    expect_sent(&c, "\\88\\02\\03\\e9");
    assert_int_equal(o.code, MG_WS_GOING_AWAY);
    end();
}

static void pings_and_ends_who_is_silent(void **state) {
    (void)state;
    begin(&(mg_socket_limits){.message_bytes = 10, .idle_ms = 100, .ping_ms = 40, .close_ms = 50},
          false);
    open_socket(false);
    pass(30);
    peer_says(&o.socket.tunnel, 0x8a, "");
    pass(39);
    expect_sent(&c, "");
    pass(2);
    expect_sent(&c, "\\89\\00");
    pass(60);
    expect_sent(&c, "\\89\\00\\88\\1f\\03\\e9nothing has come for too long");
    pass(51);
    assert_int_equal(o.code, MG_WS_GOING_AWAY);
    end();
}

static void calls_nobody_idle_whom_it_does_not_hear(void **state) {
    (void)state;
    begin(&(mg_socket_limits){.message_bytes = 10, .idle_ms = 100, .close_ms = 50}, false);
    open_socket(false);
    mg_socket_pause(&o.socket);
    pass(150);
    expect_sent(&c, "");
    mg_socket_resume(&o.socket);
    pass(101);
    expect_sent(&c, "\\88\\1f\\03\\e9nothing has come for too long");
    end();
}

static void holds_what_comes_while_it_is_paused(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    o.pausing = true;
    mg_str both = MG_STR("\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b");
    o.socket.tunnel.events->on_read(&o.socket.tunnel, both);
    expect_heard("a;");
    assert_int_equal(c.pauses, 1);
    peer_says(&o.socket.tunnel, 0x81, "c");
    o.socket.tunnel.events->on_fin(&o.socket.tunnel);
    mg_socket_resume(&o.socket);
    expect_heard("b;");
    assert_int_equal(c.resumes, 0);
    assert_int_equal(o.code, 0);
    o.pausing = false;
    mg_socket_resume(&o.socket);
    expect_heard("c;");
    assert_int_equal(o.code, MG_WS_ABNORMAL); // the end behind what was held
    end();
}

static void obeys_other_limits_from_now_on(void **state) {
    (void)state;
    begin(&limits, false);
    open_socket(false);
    mg_socket_kind *k = mg_socket_kind_new(
        loop, &(mg_socket_limits){.message_bytes = 2, .idle_ms = 100, .close_ms = 10}, deflate);
    mg_socket_set_kind(&o.socket, k);
    mg_socket_kind_unref(k);
    pass(120);
    assert_int_equal(o.code, MG_WS_GOING_AWAY);
    end();
}

static void masks_as_a_client(void **state) {
    (void)state;
    begin(&limits, true);
    open_socket(false);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, MG_STR("abc")), MG_OK);
    assert_int_equal(c.sent.n, 2 + 4 + 3);
    assert_int_equal((unsigned char)c.sent.p[1], 0x83);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c.sent.p[6 + i] ^ c.sent.p[2 + i], "abc"[i]);
    }
    mg_str frame = MG_STR("\x81\x02hi");
    o.socket.tunnel.events->on_read(&o.socket.tunnel, frame);
    expect_heard("hi;");
    end();
}

static void compresses_where_it_was_agreed_on(void **state) {
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text);
    mg_str data = {text, sizeof text};
    begin(&limits, false);
    open_socket(true);
    mg_packet *p = mg_packet_new(&(mg_publication){.payload = data});
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, data), MG_OK);
    size_t n = c.sent.n;
    assert_true(n < 100);
    assert_int_equal((unsigned char)c.sent.p[0], 0xc1);
    mg_socket_send_packet(&o.socket, p);
    assert_int_equal(c.sent.n, 2 * n);
    assert_memory_equal(c.sent.p, c.sent.p + n, n);
    end();
    // What needs no larger window than the peer has: the same, or what is not compressed at all.
    begin(&limits, false);
    mg_socket_opening(&o.socket, 11);
    carrier_open(&c, &o.socket.tunnel);
    mg_socket_opened(&o.socket);
    mg_socket_send_packet(&o.socket, p);
    assert_int_equal(c.sent.n, n);
    o.socket.window_bits = 10;
    mg_socket_send_packet(&o.socket, p);
    assert_int_equal((unsigned char)c.sent.p[n], 0x81);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_TEXT, data), MG_OK);
    assert_int_equal(c.sent.n, n + 2 * (4 + sizeof text));
    mg_packet_unref(p);
    end();
}

static void sends_a_large_message_uncopied(void **state) {
    (void)state;
    static char text[20000];
    begin(&limits, false);
    open_socket(false);
    assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_BINARY, (mg_str){text, sizeof text}),
                     MG_OK);
    assert_int_equal(c.sent.n, 4 + sizeof text);
    assert_int_equal(o.socket.bytes_out, 4 + sizeof text);
    assert_memory_equal(c.sent.p, "\x82\x7e\x4e\x20", 4);
    end();
}

static void sends_heads_of_all_lengths(void **state) {
    (void)state;
    static char text[70000];
    static const size_t lengths[] = {0, 125, 126, 1024, 1025, 65535, 65536};
    static const size_t heads[] = {2, 2, 4, 4, 4, 4, 10};
    begin(&limits, false);
    open_socket(false);
    size_t sent = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        mg_str content = {text, lengths[i]};
        assert_int_equal(mg_socket_send(&o.socket, MG_PACKET_BINARY, content), MG_OK);
        sent += heads[i] + lengths[i];
        assert_int_equal(c.sent.n, sent);
    }
    end();
}

static void a_message_that_is_not_whole_counts_among_all_that_comes(void **state) {
    (void)state;
    mg_intakes *all = mg_loop_intakes(loop);
    mg_intake other;
    mg_intake_init(&other, NULL); // holds less: is not asked
    begin(&limits, false);
    open_socket(false);
    all->most = 100;
    peer_says(&o.socket.tunnel, 0x01, "twenty bytes of it.."); // without FIN
    assert_int_equal(all->held, 20);
    peer_says(&o.socket.tunnel, 0x80, "");
    expect_heard("twenty bytes of it..;");
    assert_int_equal(all->held, 0);
    assert_null(o.socket.intake);
    peer_says(&o.socket.tunnel, 0x01, "twenty bytes of it..");
    mg_intake_hold(all, &other, 10, true);
    all->most = 25;
    all->over = true;
    mg_intakes_bound(all);
    assert_int_equal(all->held, 10);
    expect_sent(&c, "\\88/\\03\\f5too many large messages come at the same time");
    mg_intake_hold(all, &other, 0, false);
    all->most = 0;
    end();
}

static int set_up(void **state) {
    (void)state;
    deflate = mg_ws_deflate_new();
    return mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true});
}

static int tear_down(void **state) {
    (void)state;
    mg_ws_deflate_free(deflate);
    mg_loop_free(loop);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_and_hears),
        cmocka_unit_test(sends_what_was_said_before_it_opened),
        cmocka_unit_test(hears_nothing_more_once_it_is_to_close_when_opened),
        cmocka_unit_test(keeps_what_a_slow_peer_has_no_room_for),
        cmocka_unit_test(closes_when_it_is_opened_what_was_too_slow_to_open),
        cmocka_unit_test(skips_if_it_is_to),
        cmocka_unit_test(answers_a_close),
        cmocka_unit_test(waits_for_the_peers_close_but_not_for_ever),
        cmocka_unit_test(tells_an_abnormal_end),
        cmocka_unit_test(refuses_what_breaks_rules_and_limits),
        cmocka_unit_test(answers_what_came_before_its_end),
        cmocka_unit_test(waits_for_that_no_longer_than_for_a_close),
        cmocka_unit_test(pings_and_ends_who_is_silent),
        cmocka_unit_test(calls_nobody_idle_whom_it_does_not_hear),
        cmocka_unit_test(holds_what_comes_while_it_is_paused),
        cmocka_unit_test(obeys_other_limits_from_now_on),
        cmocka_unit_test(masks_as_a_client),
        cmocka_unit_test(compresses_where_it_was_agreed_on),
        cmocka_unit_test(sends_a_large_message_uncopied),
        cmocka_unit_test(sends_heads_of_all_lengths),
        cmocka_unit_test(a_message_that_is_not_whole_counts_among_all_that_comes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
