#include "http/range.h"

#include "unit.h"

// The ranges as "first+length ...", or the verdict.
static void reads(const char *value, uint64_t size, const char *want) {
    mg_range ranges[MG_RANGES_MAX];
    size_t count = 99;
    mg_range_verdict verdict = mg_range_parse(mg_str_of(value), size, ranges, &count);
    mg_buf got = {0};
    if (verdict != MG_RANGE_SOME) {
        assert_int_equal(count, 0);
        mg_buf_printf(&got, verdict == MG_RANGE_IGNORE ? "ignore" : "416");
    }
    for (size_t i = 0; i < count; i++) {
        mg_buf_printf(&got, "%s%llu+%llu", i > 0 ? " " : "", (unsigned long long)ranges[i].first,
                      (unsigned long long)ranges[i].length);
    }
    assert_text(want, mg_buf_str(&got));
    mg_buf_deinit(&got);
}

static void reads_one_range(void **state) {
    (void)state;
    reads("bytes=0-0", 10, "0+1");
    reads("bytes=2-4", 10, "2+3");
    reads("bytes=9-", 10, "9+1");
    reads("bytes=0-", 10, "0+10");
    reads("BYTES=1-2", 10, "1+2");
    reads("bytes= 1-2 ,", 10, "1+2");
}

static void cuts_ranges_at_the_end(void **state) {
    (void)state;
    reads("bytes=5-99", 10, "5+5");
    reads("bytes=5-9223372036854775807", 10, "5+5");
    reads("bytes=0-", INT64_MAX, "0+9223372036854775807");
}

static void reads_the_last_bytes(void **state) {
    (void)state;
    reads("bytes=-1", 10, "9+1");
    reads("bytes=-10", 10, "0+10");
    reads("bytes=-99", 10, "0+10");
}

static void keeps_the_order_of_several(void **state) {
    (void)state;
    reads("bytes=8-9,0-1,4-5", 10, "8+2 0+2 4+2");
}

static void joins_what_overlaps_or_adjoins(void **state) {
    (void)state;
    reads("bytes=0-4,2-6", 10, "0+7");
    reads("bytes=0-4,5-6", 10, "0+7");
    reads("bytes=2-6,0-1", 10, "0+7");
    reads("bytes=0-0,0-0,0-0", 10, "0+1");
    reads("bytes=0-9,3-4", 10, "0+10");
    reads("bytes=8-9,0-1,4-5,2-3", 10, "8+2 0+6");
    reads("bytes=0-1,8-9,3-4,2-7", 10, "0+10");
    reads("bytes=0-1,20-21,6-6,4-4,5-5,3-7", 30, "0+2 20+2 3+5");
}

static void drops_what_cannot_be_satisfied(void **state) {
    (void)state;
    reads("bytes=20-30,1-2", 10, "1+2");
    reads("bytes=-0,1-2", 10, "1+2");
    reads("bytes=10-", 10, "416");
    reads("bytes=-0", 10, "416");
    reads("bytes=10-10,99-", 10, "416");
}

static void ignores_what_is_malformed(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "lines=0-1",
        "bytes 0-1",
        "bytes=a-b",
        "bytes=5-3",
        "bytes=-",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=1-2;3-4",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0x1-",
        "bytes=0 - 1",
        "bytes=1-2,a",
        "bytes=-1-",
        "bytes=\"",
        "bytes=\"1-2\"",
        "bytes=0-99999999999999999999",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reads(wrong[i], 10, "ignore");
    }
}

static void ignores_ranges_of_empty_content(void **state) {
    (void)state;
    reads("bytes=0-", 0, "ignore");
    reads("bytes=-5", 0, "ignore");
}

static void ignores_more_than_16_ranges(void **state) {
    (void)state;
    reads("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,28-28,"
          "30-30",
          100, "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1 16+1 18+1 20+1 22+1 24+1 26+1 28+1 30+1");
    reads("bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", 100, "ignore");
}

static void writes_content_range(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_range_write(&out, (mg_range){5, 10}, 100);
    assert_text("bytes 5-14/100", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one_range),
        cmocka_unit_test(cuts_ranges_at_the_end),
        cmocka_unit_test(reads_the_last_bytes),
        cmocka_unit_test(keeps_the_order_of_several),
        cmocka_unit_test(joins_what_overlaps_or_adjoins),
        cmocka_unit_test(drops_what_cannot_be_satisfied),
        cmocka_unit_test(ignores_what_is_malformed),
        cmocka_unit_test(ignores_ranges_of_empty_content),
        cmocka_unit_test(ignores_more_than_16_ranges),
        cmocka_unit_test(writes_content_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
