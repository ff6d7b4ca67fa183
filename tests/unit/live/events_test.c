#include "live/events.h"

#include "../server/peer.h"

enum { OUTBOX = 1000 };

static rig r;
static peer p;
static mg_topics *topics;
static mg_event_streams *streams;

static void open_with(size_t window) {
    const mg_topics_options options = {.topics = 10, .subscribed = 2, .message_bytes = 100000};
    rig_open(&r);
    r.echo = false;
    topics = mg_topics_new(&options);
    streams = mg_event_streams_new(r.loop, topics, OUTBOX);
    peer_open(&r, &p, window);
}

static void close_all(void) {
    if (!p.closed) {
        peer_close(&r, &p, true);
    }
    assert_int_equal(mg_event_streams_read(streams).streams, 0);
    rig_close(&r);
    mg_event_streams_free(streams);
    mg_topics_free(topics);
}

static const mg_str names[] = {{"room", 4}, {"news", 4}, {"more", 4}};

static mg_event_stream_options options_of(size_t topic_count) {
    return (mg_event_stream_options){.topics = names, .topic_count = topic_count, .retry_ms = -1};
}

// The peer asks, and a stream answers.
static void begin(const char *request, const mg_event_stream_options *o) {
    const mg_answer a = {.status = 200, .content_type = MG_STR("text/event-stream")};
    mg_event_stream *s;
    peer_send(&r, &p, request);
    mg_exchange *x = rig_take(&r);
    assert_non_null(x);
    assert_int_equal(mg_event_stream_new(&s, streams, o, NULL), MG_OK);
    mg_event_stream_begin(s, x, &a);
    rig_settle(&r);
}

#define GET "GET /feed HTTP/1.1\r\nHost: a\r\n\r\n"

static void publish(const mg_publication *m) {
    assert_int_equal(mg_topics_publish(topics, names[0], m, NULL, NULL), MG_OK);
    rig_settle(&r);
}

static void publish_text(const char *text) {
    publish(&(mg_publication){.payload = mg_str_of(text)});
}

static bool has_got(const char *text) {
    return memmem(p.got.p, p.got.n, text, strlen(text)) != NULL;
}

static void each_message_is_an_event_at_once(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(2);
    open_with(1 << 20);
    o.retry_ms = 2500;
    begin(GET, &o);
    assert_true(has_got("text/event-stream"));
    assert_true(has_got("chunked\r\n\r\nd\r\nretry: 2500\n\n\r\n"));
    mg_buf_clear(&p.got);
    publish_text("one\ntwo");
    assert_got(&p, "15\r\ndata: one\ndata: two\n\n\r\n");
    publish(&(mg_publication){.payload = MG_STR("x"), .event = MG_STR("tick"), .id = MG_STR("7")});
    assert_got(&p, "1b\r\nid: 7\nevent: tick\ndata: x\n\n\r\n");
    publish(&(mg_publication){.kind = MG_PACKET_BINARY, .payload = MG_STR("\xff")});
    assert_got(&p, "");
    assert_int_equal(mg_event_streams_read(streams).streams, 1);
    close_all();
}

static void silence_is_broken_by_comments(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    open_with(1 << 20);
    o.heartbeat_ms = 15000;
    begin(GET, &o);
    mg_buf_clear(&p.got);
    rig_pass(&r, 10000);
    publish_text("x");
    mg_buf_clear(&p.got);
    rig_pass(&r, 14000);
    assert_got(&p, "");
    rig_pass(&r, 1000);
    assert_got(&p, "3\r\n:\n\n\r\n");
    rig_pass(&r, 15000);
    assert_got(&p, "3\r\n:\n\n\r\n");
    close_all();
}

static void a_slow_client_is_cut_off_or_skipped(void **state) {
    (void)state;
    char text[400];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int skip = 0; skip < 2; skip++) {
        mg_event_stream_options o = options_of(1);
        o.slow = skip ? MG_SLOW_SKIP : MG_SLOW_CLOSE;
        open_with(512);
        begin(GET, &o);
        mg_stream_read_stop(&p.s);
        for (int i = 0; i < 10; i++) {
            publish_text(text);
        }
        mg_event_streams_status status = mg_event_streams_read(streams);
        assert_int_equal(status.streams, skip);
        assert_int_equal(status.slow, !skip);
        assert_true(skip ? status.skipped > 0 : status.skipped == 0);
        assert_int_equal(mg_topics_count(topics, names[0]), skip);
        mg_stream_read_start(&p.s);
        rig_settle(&r);
        if (skip) {
            mg_buf_clear(&p.got);
            publish_text("it goes on");
            assert_true(has_got("data: it goes on\n\n"));
        }
        close_all();
    }
}

static void what_waits_comes_in_order(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    open_with(256);
    begin(GET, &o);
    mg_stream_read_stop(&p.s);
    char text[120];
    for (int i = 0; i < 6; i++) {
        snprintf(text, sizeof text, "%d %0100d", i, 0);
        publish_text(text);
    }
    mg_stream_read_start(&p.s);
    rig_settle(&r);
    const char *at = p.got.p;
    for (int i = 0; i < 6; i++) {
        snprintf(text, sizeof text, "data: %d 0", i);
        at = memmem(at, p.got.n - (size_t)(at - p.got.p), text, strlen(text));
        assert_non_null(at);
    }
    close_all();
}

static void what_comes_before_it_begins_is_its_first_event(void **state) {
    (void)state;
    const mg_event_stream_options o = options_of(1);
    mg_event_stream *s;
    open_with(1 << 20);
    peer_send(&r, &p, GET);
    mg_exchange *x = rig_take(&r);
    assert_int_equal(mg_event_stream_new(&s, streams, &o, NULL), MG_OK);
    publish_text("early"); // as others do while it subscribes to its next topic
    mg_event_stream_begin(s, x, &rig_ok);
    publish_text("later");
    assert_true(has_got("d\r\ndata: early\n\n\r\nd\r\ndata: later\n\n\r\n"));
    close_all();
}

static void clients_that_leave_are_noticed(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    open_with(1 << 20);
    begin(GET, &o);
    peer_close(&r, &p, true);
    assert_int_equal(mg_event_streams_read(streams).streams, 0);
    assert_int_equal(mg_topics_names(topics), 0);
    close_all();
}

static void all_end_well_when_the_server_stops(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    open_with(1 << 20);
    begin(GET, &o);
    mg_buf_clear(&p.got);
    mg_event_streams_end(streams);
    rig_settle(&r);
    assert_got(&p, "0\r\n\r\n");
    begin(GET, &o); // one that comes late
    assert_true(has_got("0\r\n\r\n"));
    assert_int_equal(mg_event_streams_read(streams).streams, 0);
    close_all();
}

static void a_stream_may_have_its_time(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    open_with(1 << 20);
    o.most_ms = 5000;
    begin(GET, &o);
    mg_buf_clear(&p.got);
    rig_pass(&r, 4000);
    assert_got(&p, "");
    rig_pass(&r, 1000);
    assert_got(&p, "0\r\n\r\n");
    close_all();
}

static void a_head_has_no_stream(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    open_with(1 << 20);
    begin("HEAD /feed HTTP/1.1\r\nHost: a\r\n\r\n", &o);
    assert_true(has_got("text/event-stream"));
    assert_int_equal(mg_event_streams_read(streams).streams, 0);
    assert_int_equal(mg_topics_names(topics), 0);
    close_all();
}

static void limits_of_topics_hold(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(3);
    mg_event_stream *s;
    mg_error err;
    open_with(1 << 20);
    assert_int_equal(mg_event_stream_new(&s, streams, &o, &err), MG_ELIMIT);
    assert_null(s);
    assert_non_null(strstr(err.text, "limits.subscriptions"));
    assert_int_equal(mg_topics_names(topics), 0);
    close_all();
}

// --- generations ---

static int gone_without;
static char line[64]; // of the access log

static void on_access(void *arg, const mg_access_record *a) {
    (void)arg;
    snprintf(line, sizeof line, "%.*s %.*s %.*s %d %d%s", (int)a->method.n, a->method.p,
             (int)a->target.n, a->target.p, (int)a->route.n, a->route.p, a->status,
             (int)a->body_bytes_out, a->aborted ? " aborted" : "");
}

static void on_none(void *arg) {
    (void)arg;
    gone_without++;
}

static void it_holds_no_generation_and_no_request(void **state) {
    (void)state;
    mg_event_stream_options o = options_of(1);
    const mg_answer a = {.status = 200};
    mg_pins pins = {.count = 1, .on_none = on_none};
    mg_event_stream *s;
    char route[] = "/:room";
    open_with(1 << 20);
    r.server->on_access = on_access;
    peer_send(&r, &p, GET);
    mg_exchange *x = rig_take(&r);
    x->pins = &pins;
    x->route = mg_str_of(route);
    assert_int_equal(mg_event_stream_new(&s, streams, &o, NULL), MG_OK);
    gone_without = 0;
    mg_event_stream_begin(s, x, &a);
    assert_int_equal(gone_without, 1);
    memset(route, 'x', sizeof route - 1); // the generation has gone
    publish_text("still there");
    assert_true(has_got("still there"));
    assert_null(x->arena.newest); // nor what came with its request
    close_all();
    assert_string_equal(line, "GET /feed /:room 200 19 aborted");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_an_event_at_once),
        cmocka_unit_test(silence_is_broken_by_comments),
        cmocka_unit_test(a_slow_client_is_cut_off_or_skipped),
        cmocka_unit_test(what_waits_comes_in_order),
        cmocka_unit_test(what_comes_before_it_begins_is_its_first_event),
        cmocka_unit_test(clients_that_leave_are_noticed),
        cmocka_unit_test(all_end_well_when_the_server_stops),
        cmocka_unit_test(a_stream_may_have_its_time),
        cmocka_unit_test(a_head_has_no_stream),
        cmocka_unit_test(limits_of_topics_hold),
        cmocka_unit_test(it_holds_no_generation_and_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
