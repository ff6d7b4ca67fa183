#include "base/buf.h"

#include "unit.h"

static void starts_empty_and_grows(void **state) {
    (void)state;
    mg_buf b = {0};
    for (unsigned i = 0; i < 1000; i++) {
        mg_buf_append(&b, "0123456789", 10);
    }
    assert_int_equal(b.n, 10000);
    assert_true(b.cap >= b.n);
    assert_memory_equal(b.p + 9990, "0123456789", 10);
    mg_buf_deinit(&b);
    assert_null(b.p);
    assert_int_equal(b.n, 0);
    assert_int_equal(b.cap, 0);
}

static void reserving_nothing_gives_an_address(void **state) {
    (void)state;
    mg_buf b = {0};
    assert_non_null(mg_buf_reserve(&b, 0));
    assert_int_equal(b.n, 0);
    mg_buf_deinit(&b);
}

static void reserve_keeps_the_content(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR("head"));
    char *p = mg_buf_reserve(&b, 100000);
    memset(p, 'x', 100000);
    b.n += 100000;
    assert_memory_equal(b.p, "headx", 5);
    assert_int_equal(b.n, 100004);
    mg_buf_deinit(&b);
}

static void appending_nothing_from_null_is_allowed(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_append(&b, NULL, 0);
    mg_buf_append_str(&b, (mg_str){0});
    assert_int_equal(b.n, 0);
    mg_buf_deinit(&b);
}

static void appends_numbers_and_characters(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_append_u64(&b, 0);
    mg_buf_append_char(&b, ' ');
    mg_buf_append_u64(&b, UINT64_MAX);
    assert_text("0 18446744073709551615", mg_buf_str(&b));
    mg_buf_deinit(&b);
}

static void prints_text_longer_than_its_room(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_printf(&b, "%s", "");
    assert_int_equal(b.n, 0);
    mg_buf_printf(&b, "%0300d|", 7);
    mg_buf_printf(&b, "%s", "end");
    assert_int_equal(b.n, 304);
    assert_memory_equal(b.p + 298, "07|end", 6);
    mg_buf_deinit(&b);
}

static void consumes_from_the_front(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR("abcdef"));
    mg_buf_consume(&b, 0);
    mg_buf_consume(&b, 4);
    assert_text("ef", mg_buf_str(&b));
    mg_buf_consume(&b, 2);
    assert_int_equal(b.n, 0);
    mg_buf_deinit(&b);
}

static void what_is_done_with_makes_room_for_what_comes_behind(void **state) {
    (void)state;
    mg_buf b = {0};
    size_t at = 0;
    mg_buf_append_behind(&b, &at, MG_STR("abcdef"));
    assert_int_equal(at, 0);
    size_t cap = b.cap;
    char piece[64] = {0};
    for (int i = 0; i < 1000; i++) {
        mg_buf_append_behind(&b, &at, (mg_str){piece, sizeof piece});
        at = b.n - 3;
    }
    assert_true(b.cap <= cap + 2 * sizeof piece);
    assert_int_equal(b.n - at, 3);
    mg_buf_deinit(&b);
}

static void clear_keeps_the_memory(void **state) {
    (void)state;
    mg_buf b = {0};
    mg_buf_append_str(&b, MG_STR("abc"));
    char *p = b.p;
    mg_buf_clear(&b);
    assert_int_equal(b.n, 0);
    mg_buf_append_char(&b, 'x');
    assert_ptr_equal(p, b.p);
    mg_buf_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty_and_grows),
        cmocka_unit_test(reserving_nothing_gives_an_address),
        cmocka_unit_test(reserve_keeps_the_content),
        cmocka_unit_test(appending_nothing_from_null_is_allowed),
        cmocka_unit_test(appends_numbers_and_characters),
        cmocka_unit_test(prints_text_longer_than_its_room),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(what_is_done_with_makes_room_for_what_comes_behind),
        cmocka_unit_test(clear_keeps_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
