// Calls over HTTP/2.
#include "h2_server.h"

#include "http/h2_schedule.h"

// --- requests ---

static void a_call_asks_and_is_answered(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/a?b");
    mg_arena arena = {0};
    mg_fields_init(&c.options.fields, &arena);
    (void)mg_fields_add(&c.options.fields, MG_STR("X-One"), MG_STR("1"));
    c.options.trailers = true;
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /a?b TE=trailers x-one=1 end\n");
    h2_head(0, 1, 200, false);
    h2_data(0, 1, "he", false);
    h2_data(0, 1, "llo", true);
    UNTIL(is_over(&c));
    assert_true(mg_call_response(c.call)->http2);
    expect_content(&c, 200, "hello");
    assert_int_equal(stats().idle, 1);
    mg_arena_deinit(&arena);
}

static void many_calls_share_a_connection_and_end_in_any_order(void **state) {
    (void)state;
    caller c[4];
    for (int i = 0; i < 4; i++) {
        get(&c[i], "/x");
    }
    UNTIL_HEARD(0, "7 GET /x end\n");
    h2_answer(0, 5, 200, "five");
    expect_content(&c[2], 200, "five");
    h2_answer(0, 1, 201, "one");
    h2_answer(0, 7, 204, "");
    h2_answer(0, 3, 200, "");
    expect_content(&c[0], 201, "one");
    expect_content(&c[3], 204, "");
    expect_content(&c[1], 200, "");
    assert_int_equal(stats().dialled, 1);
    assert_int_equal(stats().reused, 3);
    assert_int_equal(stats().idle, 1);
}

static void head_has_a_length_and_no_content(void **state) {
    (void)state;
    caller c;
    prepare(&c, "HEAD", "/x");
    start_call(&c);
    UNTIL_HEARD(0, "1 HEAD /x end\n");
    static const mg_fields none;
    const mg_answer_head head = {
        .status = 200, .fields = &none, .kind = MG_LENGTH_KNOWN, .length = 10};
    mg_h2_send_answer(&ends[0].h, h2_of(0, 1), &ends[0].out, &head, true);
    h2_flush(0);
    expect_content(&c, 200, "");
}

static void a_body_waits_for_windows(void **state) {
    (void)state;
    h2_limits.window = 10000;
    caller c;
    caller other;
    static char body[100000];
    get(&other, "/first"); // so that the server's settings are known
    UNTIL_HEARD(0, "1 GET /first end\n");
    h2_answer(0, 1, 200, "");
    expect_content(&other, 200, "");
    ends[0].holds = true;
    prepare(&c, "POST", "/big");
    c.options.body = (mg_str){body, sizeof body};
    c.options.has_body = true;
    start_call(&c);
    UNTIL_HEARD(0, "3 POST /big Content-Length=100000\n");
    h2_talk();
    assert_int_equal(ends[0].data, 10000);
    get(&other, "/other"); // which nothing keeps from going
    UNTIL_HEARD(0, "5 GET /other end\n");
    ends[0].holds = false;
    mg_h2_taken(&ends[0].h, h2_of(0, 3), &ends[0].out, 10000);
    h2_flush(0);
    UNTIL_HEARD(0, "3 end of 100000\n");
    h2_answer(0, 3, 200, "");
    h2_answer(0, 5, 200, "");
    expect_content(&c, 200, "");
    expect_content(&other, 200, "");
}

static void windows_that_shrink_below_nothing_are_waited_for(void **state) {
    (void)state;
    caller c;
    static char body[70000];
    h2_limits.window = 65535;
    ends[0].holds = true;
    prepare(&c, "POST", "/big");
    c.options.body = (mg_str){body, sizeof body};
    c.options.has_body = true;
    start_call(&c);
    UNTIL_HEARD(0, "1 POST /big Content-Length=70000\n");
    h2_talk();
    assert_int_equal(ends[0].data, 65535);
    ends[0].h.acknowledged = false; // by hand: the codec's end knows nothing of it
    H2_FRAME(0, MG_H2_SETTINGS_FRAME, 0, 0, "\0\4\0\0\0\0"); // INITIAL_WINDOW_SIZE 0: minus 65535
    H2_FRAME(0, MG_H2_WINDOW_UPDATE_FRAME, 0, 0, "\0\1\0\0");
    H2_FRAME(0, MG_H2_WINDOW_UPDATE_FRAME, 0, 1, "\0\0\xff\xfe"); // -1
    h2_talk();
    assert_int_equal(ends[0].data, 65535);
    H2_FRAME(0, MG_H2_WINDOW_UPDATE_FRAME, 0, 1, "\0\0\0\3");   // 2
    ends[0].h.receive_left = h2_of(0, 1)->receive_left = 65536; // what the codec did not give
    UNTIL(h2_heard(0, "") || ends[0].data == 65537);
    h2_reset(0, 1, MG_H2_CANCEL);
    expect_fault(&c, "closed", false);
}

static void an_upload_waits_and_is_told_of_room(void **state) {
    (void)state;
    caller c;
    static char piece[200000];
    h2_limits.window = 65535;
    ends[0].holds = true;
    prepare(&c, "POST", "/up");
    c.options.upload = true;
    c.options.length = -1;
    start_call(&c);
    UNTIL_HEARD(0, "1 POST /up\n");
    assert_int_equal(mg_call_send(c.call, piece, sizeof piece), MG_OK);
    assert_int_equal(mg_call_send(c.call, piece, sizeof piece), MG_EAGAIN);
    int before = c.changes;
    h2_talk();
    assert_int_equal(c.changes, before);
    assert_int_equal(ends[0].data, 65535);
    ends[0].holds = false;
    mg_h2_taken(&ends[0].h, h2_of(0, 1), &ends[0].out, 65535);
    h2_flush(0);
    UNTIL(h2_heard(0, "") || c.changes > before);
    mg_arena arena = {0};
    mg_fields trailers;
    mg_fields_init(&trailers, &arena);
    (void)mg_fields_add(&trailers, MG_STR("X-Sum"), MG_STR("abc"));
    assert_int_equal(mg_call_finish(c.call, &trailers), MG_OK);
    UNTIL_HEARD(0, "1 trailers abc\n");
    assert_int_equal(ends[0].data, 400000);
    h2_answer(0, 1, 200, "");
    expect_content(&c, 200, "");
    mg_arena_deinit(&arena);
}

// --- responses ---

static void a_call_that_takes_nothing_keeps_nobody(void **state) {
    (void)state;
    caller slow;
    caller quick;
    static char text[250001];
    memset(text, 'x', sizeof text - 1);
    prepare(&slow, "GET", "/slow");
    slow.options.stream = true;
    start_call(&slow);
    get(&quick, "/quick");
    UNTIL_HEARD(0, "3 GET /quick end\n");
    mg_call_pause(slow.call);
    h2_head(0, 1, 200, false);
    h2_talk();
    for (size_t room; (room = mg_h2_room(&ends[0].h, h2_of(0, 1))) > 0;) {
        mg_h2_send_data(&ends[0].h, h2_of(0, 1), &ends[0].out, (mg_str){text, room}, false);
        h2_flush(0);
        turns(1);
    }
    h2_talk();
    assert_int_equal(mg_h2_room(&ends[0].h, h2_of(0, 1)), 0); // no window for what is not taken
    h2_answer(0, 3, 200, "quick");
    expect_content(&quick, 200, "quick");
    mg_call_resume(slow.call);
    UNTIL(mg_call_content(slow.call).n == 256 * 1024);
    mg_call_take(slow.call, 256 * 1024);
    h2_talk();
    h2_data(0, 1, "end", true);
    expect_content(&slow, 200, "end");
}

static void an_end_waits_behind_what_is_held(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.stream = true;
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /x end\n");
    mg_call_pause(c.call);
    h2_answer(0, 1, 200, "hello");
    h2_talk();
    assert_false(is_over(&c));
    mg_call_resume(c.call);
    expect_content(&c, 200, "hello");
}

static void a_reset_waits_behind_what_is_held(void **state) {
    (void)state;
    caller c;
    prepare(&c, "GET", "/x");
    c.options.stream = true;
    start_call(&c);
    UNTIL_HEARD(0, "1 GET /x end\n");
    mg_call_pause(c.call);
    h2_head(0, 1, 200, false);
    h2_data(0, 1, "hello", false);
    h2_reset(0, 1, MG_H2_INTERNAL_ERROR);
    h2_talk();
    assert_false(is_over(&c));
    mg_call_resume(c.call);
    UNTIL(is_over(&c));
    assert_text("hello", mg_call_content(c.call));
    assert_non_null(strstr(mg_call_fault_of(c.call)->text, "INTERNAL_ERROR"));
    mg_call_close(c.call);
}

static void an_early_answer_ends_the_upload(void **state) {
    (void)state;
    caller c;
    prepare(&c, "POST", "/up");
    c.options.upload = true;
    c.options.duplex = true;
    c.options.length = -1;
    start_call(&c);
    assert_int_equal(mg_call_send(c.call, "abc", 3), MG_OK);
    UNTIL_HEARD(0, "1 POST /up\n");
    h2_answer(0, 1, 413, "no");
    UNTIL(is_over(&c));
    assert_int_equal(mg_call_send(c.call, "abc", 3), MG_ECLOSED);
    expect_content(&c, 413, "no");
    UNTIL_HEARD(0, "reset NO_ERROR\n");
    assert_int_equal(stats().idle, 1);
}

static void a_call_that_goes_is_reset_alone(void **state) {
    (void)state;
    caller a;
    caller b;
    get(&a, "/a");
    get(&b, "/b");
    UNTIL_HEARD(0, "3 GET /b end\n");
    mg_call_close(a.call);
    UNTIL_HEARD(0, "reset CANCEL\n");
    h2_answer(0, 3, 200, "b");
    expect_content(&b, 200, "b");
    assert_int_equal(stats().idle, 1);
}

static int interims;

static void on_interim(void *arg, mg_call *call, const mg_response *r) {
    (void)arg;
    (void)call;
    assert_int_equal(r->status, 103);
    interims++;
}

static void interims_come_first(void **state) {
    (void)state;
    static const mg_call_events events = {.on_change = on_change, .on_interim = on_interim};
    caller c;
    interims = 0;
    prepare(&c, "GET", "/x");
    assert_int_equal(mg_call_start(&c.call, client, &c.options, &events, &c), MG_OK);
    UNTIL_HEARD(0, "1 GET /x end\n");
    mg_h2_send_interim(&ends[0].h, h2_of(0, 1), &ends[0].out, 103, NULL);
    h2_flush(0);
    h2_answer(0, 1, 200, "x");
    expect_content(&c, 200, "x");
    assert_int_equal(interims, 1);
}

// Each is a head by hand: literal fields without a table (RFC 7541 section 6.2.2), behind ":status
// 200".
static void what_is_no_response_fails_its_call_alone(void **state) {
    (void)state;
    static const struct {
        const char *fields;
        uint8_t n;
    } bad[] = {
#define BAD(text) {text, sizeof(text) - 1}
        BAD("\x88\0\3A-b\1x"),             // a name in upper case
        BAD("\x88\0\1a\3b\r\n"),           // a line break
        BAD("\x88\0\12connection\5close"), // of the connection
        BAD("\x88\0\21transfer-encoding\7chunked"),
        BAD("\0\1a\1b"),         // no status
        BAD("\x88\x88"),         // two
        BAD("\x88\0\5:path\1/"), // a request's
        BAD("\x88\0\16content-length\1x"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        caller c;
        uint32_t id = (uint32_t)(2 * i + 1);
        char text[32];
        get(&c, "/x");
        snprintf(text, sizeof text, "%u GET /x end\n", id);
        UNTIL_HEARD(0, text);
        h2_frame(0, MG_H2_HEADERS_FRAME, MG_H2_FLAG_END_HEADERS | MG_H2_FLAG_END_STREAM, id,
                 (mg_str){bad[i].fields, bad[i].n});
        expect_fault(&c, "protocol", false);
        UNTIL_HEARD(0, "reset PROTOCOL_ERROR\n");
    }
    assert_int_equal(accepted, 1);
}

static void content_of_another_length_is_a_fault(void **state) {
    (void)state;
    static const mg_fields none;
    caller c;
    get(&c, "/x");
    UNTIL_HEARD(0, "1 GET /x end\n");
    const mg_answer_head head = {
        .status = 200, .fields = &none, .kind = MG_LENGTH_KNOWN, .length = 10};
    mg_h2_send_answer(&ends[0].h, h2_of(0, 1), &ends[0].out, &head, false);
    h2_data(0, 1, "short", true);
    expect_fault(&c, "protocol", false);
}

// --- again ---

static void what_is_refused_is_tried_again_whatever_it_is(void **state) {
    (void)state;
    caller c;
    prepare(&c, "POST", "/x");
    c.options.body = MG_STR("body");
    c.options.has_body = true;
    start_call(&c);
    UNTIL_HEARD(0, "1 end of 4\n");
    h2_reset(0, 1, MG_H2_REFUSED_STREAM);
    UNTIL_HEARD(0, "3 end of 8\n");
    h2_answer(0, 3, 200, "done");
    expect_content(&c, 200, "done");
}

static void what_is_refused_all_the_time_fails(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    for (uint32_t id = 1; id < 11; id += 2) {
        char text[32];
        snprintf(text, sizeof text, "%u GET /x end\n", id);
        UNTIL_HEARD(0, text);
        h2_reset(0, id, MG_H2_REFUSED_STREAM);
    }
    expect_fault(&c, "closed", true);
}

static void a_refused_upload_is_its_senders_to_repeat(void **state) {
    (void)state;
    caller c;
    prepare(&c, "POST", "/up");
    c.options.upload = true;
    c.options.length = -1;
    start_call(&c);
    UNTIL_HEARD(0, "1 POST /up\n");
    h2_reset(0, 1, MG_H2_REFUSED_STREAM);
    UNTIL(is_over(&c));
    assert_true(mg_call_fault_of(c.call)->stale);
    expect_fault(&c, "closed", true);
}

static void another_reset_is_final(void **state) {
    (void)state;
    caller c;
    get(&c, "/x");
    UNTIL_HEARD(0, "1 GET /x end\n");
    h2_reset(0, 1, MG_H2_ENHANCE_YOUR_CALM);
    expect_fault(&c, "closed", false);
    assert_int_equal(stats().idle, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH_H2(a_call_asks_and_is_answered),
        EACH_H2(many_calls_share_a_connection_and_end_in_any_order),
        EACH_H2(head_has_a_length_and_no_content),
        EACH_H2(a_body_waits_for_windows),
        EACH_H2(windows_that_shrink_below_nothing_are_waited_for),
        EACH_H2(an_upload_waits_and_is_told_of_room),
        EACH_H2(a_call_that_takes_nothing_keeps_nobody),
        EACH_H2(an_end_waits_behind_what_is_held),
        EACH_H2(a_reset_waits_behind_what_is_held),
        EACH_H2(an_early_answer_ends_the_upload),
        EACH_H2(a_call_that_goes_is_reset_alone),
        EACH_H2(interims_come_first),
        EACH_H2(what_is_no_response_fails_its_call_alone),
        EACH_H2(content_of_another_length_is_a_fault),
        EACH_H2(what_is_refused_is_tried_again_whatever_it_is),
        EACH_H2(what_is_refused_all_the_time_fails),
        EACH_H2(a_refused_upload_is_its_senders_to_repeat),
        EACH_H2(another_reset_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
