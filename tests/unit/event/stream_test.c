#include "event/stream.h"

#include "event/stream_ops.h"
#include "wire.h"

#include <errno.h>

// A kind of stream that only counts what reaches it.
static int starts;
static int stops;
static int writes;
static int shuts;
static int closes;
static int start_status;

static int read_start(mg_stream *s) {
    (void)s;
    starts++;
    return start_status;
}

static void read_stop(mg_stream *s) {
    (void)s;
    stops++;
}

static int write_counted(mg_stream *s, const struct iovec *v, int count) {
    (void)s;
    (void)v;
    writes += count;
    return 0;
}

static int shut(mg_stream *s) {
    (void)s;
    shuts++;
    return 0;
}

static void close_counted(mg_stream *s, bool reset) {
    (void)s;
    closes += reset ? 100 : 1;
}

static const mg_stream_ops counting = {
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_counted,
    .shutdown = shut,
    .close = close_counted,
};

static wire w;

static int set_up(void **state) {
    (void)state;
    starts = stops = writes = shuts = closes = start_status = 0;
    w = (wire){.ends = 0};
    mg_stream_prepare(&w.s, &counting, &wire_events);
    return 0;
}

static void reading_starts_and_stops_once(void **state) {
    (void)state;
    mg_stream_read_stop(&w.s);
    assert_int_equal(stops, 0);
    mg_stream_read_start(&w.s);
    mg_stream_read_start(&w.s);
    assert_int_equal(starts, 1);
    mg_stream_read_stop(&w.s);
    mg_stream_read_stop(&w.s);
    assert_int_equal(stops, 1);
}

static void a_start_that_failed_may_be_tried_again(void **state) {
    (void)state;
    start_status = -ENOTCONN;
    assert_int_equal(mg_stream_read_start(&w.s), -ENOTCONN);
    start_status = 0;
    assert_int_equal(mg_stream_read_start(&w.s), 0);
    assert_int_equal(starts, 2);
}

static void reading_after_the_end_is_harmless(void **state) {
    (void)state;
    mg_stream_read_start(&w.s);
    mg_stream_end(&w.s, 0);
    assert_int_equal(mg_stream_read_start(&w.s), 0);
    assert_int_equal(starts, 1);
}

static void nothing_is_written_after_a_shutdown_or_a_failure(void **state) {
    (void)state;
    assert_int_equal(wire_send(&w, "x", 1), 0);
    assert_int_equal(mg_stream_shutdown(&w.s), 0);
    assert_int_equal(mg_stream_shutdown(&w.s), 0);
    assert_int_equal(wire_send(&w, "x", 1), -EPIPE);
    mg_stream_fail_output(&w.s, -ECONNRESET);
    assert_int_equal(wire_send(&w, "x", 1), -EPIPE);
    assert_int_equal(mg_stream_shutdown(&w.s), -EPIPE);
    assert_int_equal(writes, 1);
    assert_int_equal(shuts, 1);
}

static void a_closing_stream_refuses_everything_and_closes_once(void **state) {
    (void)state;
    mg_stream_close(&w.s, true);
    mg_stream_close(&w.s, false);
    assert_int_equal(closes, 100);
    assert_true(mg_stream_closing(&w.s));
    assert_int_equal(mg_stream_read_start(&w.s), MG_ECLOSED);
    assert_int_equal(wire_send(&w, "x", 1), MG_ECLOSED);
    assert_int_equal(mg_stream_shutdown(&w.s), MG_ECLOSED);
    assert_int_equal(starts + writes + shuts, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reading_starts_and_stops_once, set_up),
        cmocka_unit_test_setup(a_start_that_failed_may_be_tried_again, set_up),
        cmocka_unit_test_setup(reading_after_the_end_is_harmless, set_up),
        cmocka_unit_test_setup(nothing_is_written_after_a_shutdown_or_a_failure, set_up),
        cmocka_unit_test_setup(a_closing_stream_refuses_everything_and_closes_once, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
