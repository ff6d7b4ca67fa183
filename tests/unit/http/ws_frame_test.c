#include "http/ws_frame.h"

#include "base/mem.h"
#include "http/ws_deflate.h"
#include "unit.h"

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
static const mg_ws_rules server = {.masked = true, .max_message = 1000};
static const mg_ws_rules client = {.max_message = 1000};

// Every event as a line, until nothing more comes.
static void note(const mg_ws_event *ev, mg_buf *out) {
    static const char *const names[] = {"none", "message", "ping", "pong", "close", "fault"};
    mg_buf_printf(out, "%s%s", out->n > 0 ? "; " : "", names[ev->kind]);
    if (ev->kind == MG_WS_EVENT_MESSAGE) {
        mg_buf_printf(out, " %s", ev->opcode == MG_WS_TEXT ? "text" : "binary");
    }
    if (ev->code != 0) {
        mg_buf_printf(out, " %u", ev->code);
    }
    mg_buf_printf(out, " [%.*s]", (int)ev->content.n, ev->content.n > 0 ? ev->content.p : "");
}

// Reads `input` in pieces of `step` bytes, each a copy of its own, so that a read beyond is seen.
static void read_in_pieces(const mg_ws_rules *rules, mg_str input, size_t step, mg_buf *out) {
    mg_ws_reader r = {0};
    for (size_t at = 0; at < input.n; at += step) {
        size_t n = step < input.n - at ? step : input.n - at;
        char *copy = mg_malloc(n);
        memcpy(copy, input.p + at, n);
        mg_str piece = {copy, n};
        mg_ws_event ev;
        while ((ev = mg_ws_read(&r, rules, &piece)).kind != MG_WS_EVENT_NONE) {
            note(&ev, out);
        }
        assert_int_equal(piece.n, 0);
        mg_free(copy);
        assert_true(mg_ws_reader_is_amid(&r) || r.content.p == NULL || r.ended);
    }
    mg_buf_append_str(out, mg_ws_reader_is_amid(&r) && !r.ended ? MG_STR(" ...") : MG_STR(""));
    mg_ws_reader_deinit(&r);
}

// Whole and in pieces of any size: the same events.
static void reads(const mg_ws_rules *rules, mg_str input, const char *want) {
    for (size_t step = 1; step <= input.n; step++) {
        mg_buf out = {0};
        read_in_pieces(rules, input, step, &out);
        mg_buf_append_char(&out, '\0');
        assert_string_equal(out.p, want);
        mg_buf_deinit(&out);
    }
}

#define from_client(bytes, want) reads(&server, MG_STR(bytes), (want))
#define from_server(bytes, want) reads(&client, MG_STR(bytes), (want))

static void reads_the_examples_of_the_rfc(void **state) {
    (void)state; // RFC 6455 section 5.7
    from_server("\x81\x05Hello", "message text [Hello]");
    from_client("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "message text [Hello]");
    from_server("\x01\x03Hel\x80\x02lo", "message text [Hello]");
    from_server("\x89\x05Hello", "ping [Hello]");
    from_client("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", "pong [Hello]");
}

static void empty_and_several_messages(void **state) {
    (void)state;
    from_server("\x81\x00", "message text []");
    from_server("\x82\x00\x81\x01z", "message binary []; message text [z]");
    from_server("\x01\x00\x00\x00\x80\x00", "message text []");
    from_client("\x89\x80zzzz\x82\x82\0\0\0\0ab", "ping []; message binary [ab]");
    from_server("\x02\x01"
                "a\x00\x01"
                "b",
                " ...");
}

static void control_frames_come_between_pieces(void **state) {
    (void)state;
    from_server("\x01\x02"
                "ab\x89\x01p\x8a\x00\x80\x02"
                "cd",
                "ping [p]; pong []; message text [abcd]");
    from_server("\x02\x00\x89\x00\x80\x01x", "ping []; message binary [x]");
    from_server("\x02\x01x\x88\x00\x80\x01x", "close 1005 []");
}

static void refuses_what_breaks_the_framing(void **state) {
    (void)state;
    from_client("\x81\x00", "fault 1002 [a client's frame without a mask]");
    from_server("\x81\x80zzzz", "fault 1002 [a server's frame with a mask]");
    from_server("\xc1\x00", "fault 1002 [a reserved bit is set]");
    from_server("\xa2\x00", "fault 1002 [a reserved bit is set]");
    from_server("\x99\x00", "fault 1002 [a reserved bit is set]");
    from_server("\x83\x00", "fault 1002 [an unknown opcode]");
    from_server("\x87\x00", "fault 1002 [an unknown opcode]");
    from_server("\x8b\x00", "fault 1002 [an unknown opcode]");
    from_server("\x8f\x00", "fault 1002 [an unknown opcode]");
    from_server("\x80\x00", "fault 1002 [a continuation of no message]");
    from_server("\x81\x00\x00\x00", "message text []; fault 1002 [a continuation of no message]");
    from_server("\x01\x00\x81\x00", "fault 1002 [a message amid another one]");
    from_server("\x09\x00", "fault 1002 [a control frame in pieces]");
    from_server("\x88\x7e\x00\x7e", "fault 1002 [a control frame longer than 125 bytes]");
}

static void a_length_has_one_form(void **state) {
    (void)state;
    from_server("\x82\x7e\x00\x7d", "fault 1002 [a length in a longer form]");
    from_server("\x82\x7f\0\0\0\0\0\0\xff\xff", "fault 1002 [a length in a longer form]");
    from_server("\x82\x7f\x80\0\0\0\0\x01\0\0", "fault 1002 [a length in a longer form]");
    from_server("\x82\x7e\x00\x7e", " ...");
}

static void nothing_is_read_behind_a_fault_or_a_close(void **state) {
    (void)state;
    from_server("\x81\x01\xff\x81\x01x", "fault 1007 [text that is not UTF-8]");
    from_server("\x88\x02\x03\xe8\x81\x01x", "close 1000 []");
}

static void what_was_given_can_be_let_go_of(void **state) {
    (void)state;
    const mg_ws_rules rules = {.max_message = 1000};
    mg_ws_reader r = {0};
    mg_str input = MG_STR("\x81\x02xy\x01\x01z\x89\x01p");
    assert_int_equal(mg_ws_read(&r, &rules, &input).kind, MG_WS_EVENT_MESSAGE);
    mg_ws_reader_let_go(&r);
    assert_null(r.content.p);
    assert_int_equal(mg_ws_read(&r, &rules, &input).kind, MG_WS_EVENT_PING);
    mg_ws_reader_let_go(&r);
    assert_int_equal(r.content.n, 1); // of the message that goes on
    mg_ws_reader_deinit(&r);
}

static void a_message_that_is_announced_too_large_takes_no_memory(void **state) {
    (void)state;
    from_server("\x82\x7e\x03\xe9", "fault 1009 [the message is too large]");
    from_server("\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00",
                "fault 1009 [the message is too large]");
    from_server("\x02\x02xx\x80\x7e\x03\xe7", "fault 1009 [the message is too large]");
    from_server("\x02\x02xx\x80\x7e\x03\xe6", " ...");
    mg_ws_rules large = {.max_message = 1u << 30};
    mg_ws_reader r = {0};
    mg_str head = MG_STR("\x82\x7f\x00\x00\x00\x00\x3f\xff\xff\xff");
    assert_int_equal(mg_ws_read(&r, &large, &head).kind, MG_WS_EVENT_NONE);
    assert_null(r.content.p);
    mg_ws_reader_deinit(&r);
}

static void a_limit_may_become_less_amid_a_message(void **state) {
    (void)state;
    mg_ws_rules rules = client;
    mg_ws_reader r = {0};
    mg_str begin = MG_STR("\x02\x05"
                          "12345"),
           more = MG_STR("\x00\x01"
                         "6");
    assert_int_equal(mg_ws_read(&r, &rules, &begin).kind, MG_WS_EVENT_NONE);
    rules.max_message = 4;
    mg_ws_event ev = mg_ws_read(&r, &rules, &more);
    assert_int_equal(ev.kind, MG_WS_EVENT_FAULT);
    assert_int_equal(ev.code, MG_WS_TOO_LARGE);
    mg_ws_reader_deinit(&r);
}

static void text_is_checked_as_it_comes(void **state) {
    (void)state;
    from_server("\x81\x0b\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
                "message text [\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5]");
    from_server("\x01\x01\xf0\x00\x01\x9f\x00\x00\x80\x02\x8c\x95",
                "message text [\xf0\x9f\x8c\x95]");
    from_server("\x01\x01\xf0\x89\x01\xff\x80\x03\x9f\x8c\x95",
                "ping [\xff]; message text [\xf0\x9f\x8c\x95]");
    from_server("\x81\x02\xf0\x9f", "fault 1007 [text that is not UTF-8]");
    from_server("\x01\x01\xf0\x80\x01\x41", "fault 1007 [text that is not UTF-8]");
    from_server("\x01\x03\xed\xa0\x80", "fault 1007 [text that is not UTF-8]");
    from_server("\x01\x02\xf4\x90", "fault 1007 [text that is not UTF-8]");
    from_server("\x01\x09"
                "12345678\xc0",
                "fault 1007 [text that is not UTF-8]");
    from_server("\x82\x02\xf0\x9f", "message binary [\xf0\x9f]");
}

static void judges_close_frames(void **state) {
    (void)state;
    from_server("\x88\x00", "close 1005 []");
    from_server("\x88\x05\x03\xe8"
                "bye",
                "close 1000 [bye]");
    from_server("\x88\x02\x0f\xa0", "close 4000 []");
    from_server("\x88\x01\x03", "fault 1002 [half a close code]");
    from_server("\x88\x02\x03\xed", "fault 1002 [a close code that is never sent]");
    from_server("\x88\x03\x03\xe8\xff", "fault 1007 [a close reason that is not UTF-8]");
    from_server("\x88\x03\x03\xed\xff", "fault 1002 [a close code that is never sent]");
}

static void knows_which_codes_are_sent(void **state) {
    (void)state;
    static const struct { unsigned from, to; } sent[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};
    for (unsigned code = 0; code <= 65535; code++) {
        bool want = false;
        for (size_t i = 0; i < 3; i++) {
            want = want || (code >= sent[i].from && code <= sent[i].to);
        }
        assert_int_equal(mg_ws_code_is_sent(code), want);
    }
}

static void counts_frames(void **state) {
    (void)state;
    mg_ws_reader r = {0};
    mg_str input = MG_STR("\x01\x00\x00\x00\x89\x00\x80\x00");
    while (mg_ws_read(&r, &client, &input).kind != MG_WS_EVENT_NONE) {
    }
    assert_int_equal(r.frames, 4);
    mg_ws_reader_deinit(&r);
}

// --- compressed ---

static void compressed_messages_arrive_as_they_were(void **state) {
    (void)state; // RFC 7692 section 7.2.3
    mg_ws_deflate *z = mg_ws_deflate_new();
    mg_ws_rules rules = {.max_message = 1000, .deflate = z};
    reads(&rules, MG_STR("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), "message text [Hello]");
    reads(&rules, MG_STR("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"), "message text [Hello]");
    reads(&rules, MG_STR("\x41\x03\xf2\x48\xcd\x89\x01x\x80\x04\xc9\xc9\x07\x00\x82\x01y"),
          "ping [x]; message text [Hello]; message binary [y]");
    reads(&rules, MG_STR("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "message text [Hello]");
    reads(&rules, MG_STR("\xc2\x01\x00"), "message binary []");
    reads(&rules, MG_STR("\xc1\x06\xf2\x48\xcd\xc9\xc9\x07"),
          "fault 1007 [compressed data that is broken]");
    reads(&rules, MG_STR("\xc1\x02\xff\xff"), "fault 1007 [compressed data that is broken]");
    reads(&rules, MG_STR("\xc9\x00"), "fault 1002 [a reserved bit is set]");
    reads(&rules, MG_STR("\x41\x00\xc0\x00"), "fault 1002 [a reserved bit is set]");
    reads(&rules, MG_STR("\xe1\x00"), "fault 1002 [a reserved bit is set]");
    mg_ws_deflate_free(z);
}

static void a_compressed_message_obeys_limits_and_utf8(void **state) {
    (void)state;
    mg_ws_deflate *z = mg_ws_deflate_new();
    mg_ws_rules rules = {.max_message = 4, .deflate = z};
    reads(&rules, MG_STR("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
          "fault 1009 [the message is too large]");
    reads(&rules, MG_STR("\xc1\x45"), "fault 1009 [the message is too large]");
    reads(&rules, MG_STR("\xc1\x44"), " ...");
    reads(&rules, MG_STR("\xc1\x07\x00\x01\x00\xfe\xff\xff\x00"),
          "fault 1007 [text that is not UTF-8]");
    reads(&rules, MG_STR("\xc2\x07\x00\x01\x00\xfe\xff\xff\x00"), "message binary [\xff]");
    mg_ws_deflate_free(z);
}

// --- writing ---

static void writes(const mg_ws_frame *frame, mg_str content, mg_str want) {
    mg_buf out = {0};
    mg_ws_write(&out, frame, content);
    assert_int_equal(out.n, want.n);
    assert_memory_equal(out.p, want.p, want.n);
    char head[MG_WS_HEAD_MAX];
    size_t n = mg_ws_write_head(head, frame, content.n);
    assert_int_equal(n, want.n - content.n);
    assert_memory_equal(head, want.p, n);
    mg_buf_deinit(&out);
}

static void writes_frames_of_both_roles(void **state) {
    (void)state;
    mg_ws_frame text = {.opcode = MG_WS_TEXT};
    writes(&text, MG_STR("Hello"), MG_STR("\x81\x05Hello"));
    text.mask = mask;
    writes(&text, MG_STR("Hello"), MG_STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"));
    writes(&text, (mg_str){NULL, 0}, MG_STR("\x81\x80\x37\xfa\x21\x3d"));
    mg_ws_frame first = {.opcode = MG_WS_BINARY, .more = true, .compressed = true};
    writes(&first, MG_STR("ab"),
           MG_STR("\x42\x02"
                  "ab"));
}

static void lengths_take_the_shortest_form(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        const char *head;
        size_t n;
    } cases[] = {
        {125, "\x82\x7d", 2},
        {126, "\x82\x7e\x00\x7e", 4},
        {65535, "\x82\x7e\xff\xff", 4},
        {65536, "\x82\x7f\0\0\0\0\0\x01\0\0", 10},
        {INT64_MAX, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[MG_WS_HEAD_MAX];
        size_t n = mg_ws_write_head(head, &(mg_ws_frame){.opcode = MG_WS_BINARY}, cases[i].length);
        assert_int_equal(n, cases[i].n);
        assert_memory_equal(head, cases[i].head, n);
    }
}

static void a_close_reason_is_cut_between_characters(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_ws_write_close(&out, MG_WS_NO_CODE, MG_STR("unsaid"), NULL);
    assert_int_equal(out.n, 2);
    assert_memory_equal(out.p, "\x88\x00", 2);
    mg_buf_clear(&out);
    mg_ws_write_close(&out, MG_WS_POLICY, MG_STR("no"), NULL);
    assert_text("\x88\x04\x03\xf0no", mg_buf_str(&out));
    mg_buf_clear(&out);
    char reason[MG_WS_REASON_MAX + 2];
    memset(reason, 'x', sizeof reason);
    memcpy(reason + MG_WS_REASON_MAX - 1, "\xe2\x82\xac", 3);
    mg_ws_write_close(&out, MG_WS_NORMAL, (mg_str){reason, sizeof reason}, NULL);
    assert_int_equal(out.n, 2 + 2 + MG_WS_REASON_MAX - 1);
    mg_buf_deinit(&out);
}

// What is written is read again: every length around the borders, both roles.
static void what_is_written_is_read(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, 100000};
    char *bytes = mg_malloc(100000);
    for (size_t i = 0; i < 100000; i++) {
        bytes[i] = (char)(i * 31);
    }
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
        mg_str content = {bytes, lengths[i / 2]};
        mg_ws_frame frame = {.opcode = MG_WS_BINARY, .mask = i % 2 ? mask : NULL};
        mg_ws_rules rules = {.masked = i % 2, .max_message = 100000};
        mg_buf wire = {0};
        mg_ws_write(&wire, &frame, content);
        mg_ws_reader r = {0};
        mg_str input = mg_buf_str(&wire);
        mg_ws_event ev = mg_ws_read(&r, &rules, &input);
        assert_int_equal(ev.kind, MG_WS_EVENT_MESSAGE);
        assert_true(mg_str_eq(ev.content, content));
        mg_ws_reader_deinit(&r);
        mg_buf_deinit(&wire);
    }
    mg_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_examples_of_the_rfc),
        cmocka_unit_test(empty_and_several_messages),
        cmocka_unit_test(control_frames_come_between_pieces),
        cmocka_unit_test(refuses_what_breaks_the_framing),
        cmocka_unit_test(a_length_has_one_form),
        cmocka_unit_test(nothing_is_read_behind_a_fault_or_a_close),
        cmocka_unit_test(what_was_given_can_be_let_go_of),
        cmocka_unit_test(a_message_that_is_announced_too_large_takes_no_memory),
        cmocka_unit_test(a_limit_may_become_less_amid_a_message),
        cmocka_unit_test(text_is_checked_as_it_comes),
        cmocka_unit_test(judges_close_frames),
        cmocka_unit_test(knows_which_codes_are_sent),
        cmocka_unit_test(counts_frames),
        cmocka_unit_test(compressed_messages_arrive_as_they_were),
        cmocka_unit_test(a_compressed_message_obeys_limits_and_utf8),
        cmocka_unit_test(writes_frames_of_both_roles),
        cmocka_unit_test(lengths_take_the_shortest_form),
        cmocka_unit_test(a_close_reason_is_cut_between_characters),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
