#include "store/redis_scan.h"

#include "unit.h"

static void cursors_are_read_as_they_were_written(void **state) {
    static const mg_redis_scan scans[] = {
        {0, 0, 0}, {5461, 1, 17}, {16383, UINT32_MAX, UINT64_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof scans / sizeof *scans; i++) {
        mg_buf b = {0};
        mg_redis_scan got;
        mg_redis_scan_write(&b, &scans[i]);
        assert_true(mg_redis_scan_read(mg_buf_str(&b), &got));
        assert_int_equal(got.slot, scans[i].slot);
        assert_int_equal(got.server, scans[i].server);
        assert_true(got.cursor == scans[i].cursor);
        mg_buf_deinit(&b);
    }
}

static void zero_begins_and_nothing_else_is_a_cursor(void **state) {
    static const char *const wrong[] = {"",
                                        "00",
                                        "17",
                                        "1-2",
                                        "1-2-",
                                        "-1-2-3",
                                        "16384-1-1",
                                        "1-4294967296-1",
                                        "1-1-18446744073709551616",
                                        "1-1-1-1",
                                        "1-1-x"};
    mg_redis_scan got = {1, 1, 1};
    (void)state;
    assert_true(mg_redis_scan_read(MG_STR("0"), &got));
    assert_int_equal(got.slot, 0);
    assert_int_equal(got.server, 0);
    assert_true(got.cursor == 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(mg_redis_scan_read(mg_str_of(wrong[i]), &got));
    }
}

static void servers_are_told_apart(void **state) {
    (void)state;
    assert_int_not_equal(mg_redis_scan_server("redis://a:1"), 0);
    assert_int_not_equal(mg_redis_scan_server("redis://a:1"), mg_redis_scan_server("redis://a:2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursors_are_read_as_they_were_written),
        cmocka_unit_test(zero_begins_and_nothing_else_is_a_cursor),
        cmocka_unit_test(servers_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
