#include "lua/message_queue.h"

#include "base/mem.h"
#include "unit.h"

#include <string.h>

static mg_message_queue q;

static int set_up(void **state) {
    (void)state;
    mg_messages_init(&q);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_messages_deinit(&q);
    assert_int_equal(q.count, 0);
    assert_int_equal(q.bytes, 0);
    return 0;
}

static void put(const char *text) {
    mg_messages_put(&q, MG_STR("c"), mg_str_of(text), 7);
}

// The oldest is this, or "missed", and goes.
static void take(const char *text) {
    mg_message *m = mg_messages_first(&q);
    assert_non_null(m);
    if (m->missed) {
        assert_string_equal(text, "missed");
    } else {
        assert_true(mg_str_eq(mg_message_text(m), mg_str_of(text)));
        assert_true(mg_str_eq(mg_message_channel(m), MG_STR("c")));
        assert_int_equal(m->pid, 7);
    }
    mg_messages_drop(&q, m);
}

static void messages_come_in_their_order(void **state) {
    (void)state;
    assert_null(mg_messages_first(&q));
    put("one");
    put("");
    put("two");
    take("one");
    take("");
    take("two");
    assert_null(mg_messages_first(&q));
}

static void what_was_missed_stands_once_where_it_was(void **state) {
    (void)state;
    mg_messages_miss(&q);
    mg_messages_miss(&q);
    put("one");
    mg_messages_miss(&q);
    take("missed");
    take("one");
    take("missed");
    assert_null(mg_messages_first(&q));
}

static void too_many_are_dropped_and_told_as_missed(void **state) {
    (void)state;
    for (int i = 0; i < MG_MESSAGES_MAX + 5; i++) {
        put("x");
    }
    assert_int_equal(q.count, MG_MESSAGES_MAX + 1);
    take("x");
    take("x");
    put("y");
    for (int i = 2; i < MG_MESSAGES_MAX; i++) {
        take("x");
    }
    take("missed");
    take("y");
    assert_null(mg_messages_first(&q));
}

static void too_many_bytes_likewise(void **state) {
    (void)state;
    size_t n = MG_MESSAGES_BYTES_MAX / 2;
    char *large = mg_malloc(n);
    memset(large, 'l', n);
    mg_messages_put(&q, (mg_str){NULL, 0}, (mg_str){large, n}, 0);
    mg_messages_put(&q, MG_STR("c"), (mg_str){large, n}, 0);
    put("small");
    mg_messages_drop(&q, mg_messages_first(&q));
    take("missed");
    take("small");
    assert_null(mg_messages_first(&q));
    mg_free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        CASE(messages_come_in_their_order),
        CASE(what_was_missed_stands_once_where_it_was),
        CASE(too_many_are_dropped_and_told_as_missed),
        CASE(too_many_bytes_likewise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
