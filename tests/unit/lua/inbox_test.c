#include "lua/inbox.h"

#include "base/mem.h"

#include "unit.h"

static mg_inbox in;

static int tear_down(void **state) {
    (void)state;
    mg_inbox_deinit(&in);
    in = (mg_inbox){0};
    return 0;
}

static void add(const char *text) {
    mg_inbox_add(&in, mg_str_of(text));
}

static const mg_want some = {MG_WANT_SOME, 0, {NULL, 0}, 0};
static const mg_want line = {MG_WANT_LINE, 10, {NULL, 0}, 0};

static mg_want bytes(size_t n) {
    return (mg_want){.kind = MG_WANT_BYTES, .n = n};
}

static mg_want until(const char *delimiter) {
    return (mg_want){.kind = MG_WANT_UNTIL, .n = 10, .delimiter = mg_str_of(delimiter)};
}

static void assert_read(mg_want w, const char *want) {
    mg_str piece;
    size_t used;
    assert_int_equal(mg_inbox_look(&in, &w, &piece, &used), MG_INBOX_PIECE);
    assert_text(want, piece);
    mg_inbox_take(&in, used);
}

static void assert_verdict(mg_want w, mg_inbox_verdict want) {
    mg_str piece;
    size_t used;
    assert_int_equal(mg_inbox_look(&in, &w, &piece, &used), want);
}

static void whatever_there_is_may_be_read(void **state) {
    (void)state;
    assert_verdict(some, MG_INBOX_MORE);
    add("ab");
    add("c");
    assert_read(some, "abc");
    assert_verdict(some, MG_INBOX_MORE);
    add("d");
    in.fin = true;
    assert_read(some, "d");
    assert_verdict(some, MG_INBOX_END);
}

static void a_number_of_bytes_is_waited_for(void **state) {
    (void)state;
    add("ab");
    assert_verdict(bytes(3), MG_INBOX_MORE);
    add("cdef");
    assert_read(bytes(3), "abc");
    assert_read(bytes(3), "def");
    add("gh");
    in.fin = true;
    assert_read(bytes(3), "gh");
    assert_verdict(bytes(3), MG_INBOX_END);
}

static void lines_end_with_lf_or_crlf(void **state) {
    (void)state;
    add("one\r\ntwo\n\r\n\nla");
    assert_read(line, "one");
    assert_read(line, "two");
    assert_read(line, "");
    assert_read(line, "");
    assert_verdict(line, MG_INBOX_MORE);
    add("st\r");
    assert_verdict(line, MG_INBOX_MORE);
    in.fin = true;
    assert_read(line, "last\r");
    assert_verdict(line, MG_INBOX_END);
}

static void a_delimiter_may_come_in_pieces(void **state) {
    (void)state;
    mg_str piece;
    size_t used;
    mg_want w = until("==");
    add("=");
    assert_int_equal(mg_inbox_look(&in, &w, &piece, &used), MG_INBOX_MORE);
    add("x=");
    assert_int_equal(mg_inbox_look(&in, &w, &piece, &used), MG_INBOX_MORE);
    assert_int_equal(w.seen, 2);
    add("=");
    assert_int_equal(mg_inbox_look(&in, &w, &piece, &used), MG_INBOX_PIECE);
    assert_text("=x", piece);
    mg_inbox_take(&in, used);
    add("one=");
    assert_verdict(until("=="), MG_INBOX_MORE);
    add("=two=");
    assert_read(until("=="), "one");
    assert_verdict(until("=="), MG_INBOX_MORE);
    add("x==");
    assert_read(until("=="), "two=x");
    add("rest=");
    in.fin = true;
    assert_verdict(until("=="), MG_INBOX_BROKEN);
    assert_read(some, "rest=");
    assert_verdict(until("=="), MG_INBOX_END);
}

// What one search has passed is not what another looks for.
static void wants_may_change(void **state) {
    (void)state;
    add("a;b");
    assert_verdict(line, MG_INBOX_MORE);
    assert_read(until(";"), "a");
    assert_read(some, "b");
}

static void what_comes_before_a_delimiter_has_a_limit(void **state) {
    (void)state;
    add("0123456789");
    assert_verdict(line, MG_INBOX_MORE);
    add("\r\n0123456789x");
    assert_read(line, "0123456789");
    assert_verdict(line, MG_INBOX_LIMIT);
    assert_verdict(until("=="), MG_INBOX_LIMIT);
    add("\n");
    assert_verdict(line, MG_INBOX_LIMIT);
}

static void only_so_much_is_held(void **state) {
    (void)state;
    char *large = mg_calloc(1, 100000);
    mg_want more = bytes(99000);
    mg_inbox_add(&in, (mg_str){large, MG_INBOX_HELD - 1});
    assert_false(mg_inbox_is_full(&in, NULL));
    mg_inbox_add(&in, (mg_str){large, 1});
    assert_true(mg_inbox_is_full(&in, NULL));
    assert_true(mg_inbox_is_full(&in, &some));
    assert_true(mg_inbox_is_full(&in, &line));
    assert_false(mg_inbox_is_full(&in, &more));
    mg_inbox_add(&in, (mg_str){large, 34000});
    assert_true(mg_inbox_is_full(&in, &more));
    mg_free(large);
}

static void who_waits_holds_no_memory(void **state) {
    (void)state;
    add("abc");
    assert_read(some, "abc");
    assert_null(in.bytes.p);
}

static void what_was_read_makes_room(void **state) {
    (void)state;
    add("x"); // so that it is never empty
    for (int i = 0; i < 10000; i++) {
        mg_str piece;
        size_t used;
        mg_want ten = bytes(10);
        add("0123456789");
        assert_int_equal(mg_inbox_look(&in, &ten, &piece, &used), MG_INBOX_PIECE);
        mg_inbox_take(&in, used);
    }
    assert_int_equal(mg_inbox_held(&in), 1);
    assert_true(in.bytes.cap < 1000);
}

#define TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(whatever_there_is_may_be_read),
        TEST(a_number_of_bytes_is_waited_for),
        TEST(lines_end_with_lf_or_crlf),
        TEST(a_delimiter_may_come_in_pieces),
        TEST(wants_may_change),
        TEST(what_comes_before_a_delimiter_has_a_limit),
        TEST(only_so_much_is_held),
        TEST(who_waits_holds_no_memory),
        TEST(what_was_read_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
