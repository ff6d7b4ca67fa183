#include "base/log_cut.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// `n` bytes: an A, many m, a Z.
static mg_str long_text(size_t n) {
    char *p = mg_malloc(n);
    memset(p, 'm', n);
    p[0] = 'A';
    p[n - 1] = 'Z';
    return (mg_str){p, n};
}

static bool contains(mg_str s, const char *part) {
    return memmem(s.p, s.n, part, strlen(part)) != NULL;
}

static void what_fits_is_left_alone(void **state) {
    (void)state;
    mg_str text = long_text(MG_LOG_EVENT_BYTES - 2);
    mg_log_field f = {.key = MG_STR("k"), .value = MG_STR("v")};
    mg_log_event e = {.message = text, .fields = &f, .field_count = 1};
    mg_log_cut cut;
    assert_false(mg_log_cut_init(&cut, &e));
    mg_free((char *)(uintptr_t)text.p);
}

static void a_long_message_keeps_its_beginning_and_its_end(void **state) {
    (void)state;
    mg_str text = long_text(5000000);
    mg_log_field fields[] = {
        {.key = MG_STR("route"), .value = MG_STR("/x")},
        {.key = MG_STR("status"), .value = MG_STR("500"), .literal = true},
    };
    mg_log_event e = {.level = MG_LOG_ERROR, .message = text, .fields = fields, .field_count = 2};
    mg_log_cut cut;
    assert_true(mg_log_cut_init(&cut, &e));
    mg_str got = cut.event.message;
    assert_true(got.n < MG_LOG_EVENT_BYTES);
    assert_int_equal(got.p[0], 'A');
    assert_int_equal(got.p[got.n - 1], 'Z');
    assert_true(contains(got, " ...(4967232 bytes are left out)... "));
    assert_int_equal(cut.event.level, MG_LOG_ERROR);
    assert_int_equal(cut.event.field_count, 2);
    assert_true(mg_str_eq(cut.event.fields[0].value, MG_STR("/x")));
    assert_true(cut.event.fields[1].literal);
    mg_log_cut_deinit(&cut);
    mg_free((char *)(uintptr_t)text.p);
}

static void many_and_long_fields_are_bounded_together(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    mg_str text = long_text(100000);
    mg_log_field fields[COUNT];
    for (int i = 0; i < COUNT; i++) {
        fields[i] = (mg_log_field){.key = text, .value = text, .literal = true};
    }
    mg_log_event e = {.message = MG_STR("short"), .fields = fields, .field_count = COUNT};
    mg_log_cut cut;
    assert_true(mg_log_cut_init(&cut, &e));
    mg_buf line = {0};
    mg_log_append_json(&line, &cut.event);
    assert_true(line.n < 2 * MG_LOG_EVENT_BYTES);
    assert_false(cut.event.fields[0].literal); // half a number is none
    assert_true(mg_str_eq(cut.event.message, MG_STR("short")));
    mg_buf_deinit(&line);
    mg_log_cut_deinit(&cut);
    mg_free((char *)(uintptr_t)text.p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_left_alone),
        cmocka_unit_test(a_long_message_keeps_its_beginning_and_its_end),
        cmocka_unit_test(many_and_long_fields_are_bounded_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
