#include "event/stream.h"

#include "wire.h"

#include <errno.h>

static mg_loop *loop;
static wire a;
static wire b;

static void open_pair(bool virtual_clock, size_t window) {
    alarm(30);
    loop = new_loop(virtual_clock);
    a = (wire){.ends = 0};
    b = (wire){.ends = 0};
    assert_int_equal(mg_stream_pair(loop, &a.s, &b.s, &wire_events, &wire_events, window), 0);
    mg_stream_read_start(&a.s);
    mg_stream_read_start(&b.s);
}

static int set_up(void **state) {
    (void)state;
    open_pair(true, 16);
    return 0;
}

static int set_up_real(void **state) {
    (void)state;
    open_pair(false, 16);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_stream_close(&a.s, false);
    mg_stream_close(&b.s, false);
    int leaked = mg_loop_free(loop);
    assert_int_equal(a.closes, 1);
    assert_int_equal(b.closes, 1);
    mg_buf_deinit(&a.got);
    mg_buf_deinit(&b.got);
    return leaked;
}

static void assert_got(const wire *w, const char *expected) {
    assert_int_equal(w->got.n, strlen(expected));
    assert_memory_equal(w->got.p, expected, strlen(expected));
}

static void bytes_arrive_in_a_later_turn_never_inside_write(void **state) {
    (void)state;
    struct iovec v[] = {{(void *)(uintptr_t) "he", 2}, {(void *)(uintptr_t) "llo", 3}};
    assert_int_equal(mg_stream_write(&a.s, v, 2), 0);
    assert_int_equal(b.got.n, 0);
    mg_loop_run(loop);
    assert_got(&b, "hello");
    assert_int_equal(a.drains, 0);
}

static void what_exceeds_the_window_is_queued_and_drains_as_the_peer_reads(void **state) {
    (void)state;
    mg_stream_read_stop(&b.s);
    assert_int_equal(wire_send(&a, "0123456789abcdefGHI", 19), 0);
    assert_int_equal(a.s.queued, 3);
    mg_loop_run(loop);
    assert_int_equal(a.drains, 0);
    mg_stream_read_start(&b.s);
    assert_int_equal(a.drains, 0);
    mg_loop_run(loop);
    assert_got(&b, "0123456789abcdefGHI");
    assert_int_equal(a.drains, 1);
    assert_int_equal(a.drain_status, 0);
}

static void more_than_a_read_block_arrives_in_pieces(void **state) {
    (void)state;
    wire c = {.ends = 0};
    wire d = {.ends = 0};
    size_t n = 3 * MG_STREAM_READ_BYTES + 5;
    char *data = malloc(n);
    memset(data, 'x', n);
    mg_stream_pair(loop, &c.s, &d.s, &wire_events, &wire_events, n);
    mg_stream_read_start(&d.s);
    assert_int_equal(wire_send(&c, data, n), 0);
    assert_int_equal(c.s.queued, 0);
    turn_until_bytes(loop, &d, n);
    assert_memory_equal(d.got.p, data, n);
    wire_close(loop, &c);
    wire_close(loop, &d);
    free(data);
}

static void a_fin_comes_behind_the_queue_and_leaves_the_other_way_open(void **state) {
    (void)state;
    assert_int_equal(wire_send(&a, "0123456789abcdefGHI", 19), 0);
    assert_int_equal(mg_stream_shutdown(&a.s), 0);
    assert_int_equal(wire_send(&a, "x", 1), -EPIPE);
    mg_loop_run(loop);
    assert_got(&b, "0123456789abcdefGHI");
    assert_int_equal(b.ends, 1);
    assert_int_equal(b.end_status, 0);
    assert_int_equal(wire_send(&b, "back", 4), 0);
    assert_int_equal(mg_stream_shutdown(&b.s), 0);
    mg_loop_run(loop);
    assert_got(&a, "back");
    assert_int_equal(a.ends, 1);
}

static void closing_ends_the_other_and_breaks_its_output(void **state) {
    (void)state;
    mg_stream_read_stop(&a.s);
    wire_send(&b, "0123456789abcdefGHI", 19);
    wire_send(&a, "last", 4);
    mg_stream_close(&a.s, false);
    mg_loop_run(loop);
    assert_int_equal(a.closes, 1);
    assert_got(&b, "last");
    assert_int_equal(b.ends, 1);
    assert_int_equal(b.end_status, 0);
    assert_int_equal(b.drains, 1);
    assert_int_equal(b.drain_status, -EPIPE);
    assert_int_equal(wire_send(&b, "x", 1), -EPIPE);
    assert_int_equal(wire_send(&a, "x", 1), MG_ECLOSED);
}

static void a_reset_is_told_as_a_reset_even_after_a_fin(void **state) {
    (void)state;
    mg_stream_read_stop(&b.s);
    mg_stream_shutdown(&a.s);
    mg_loop_run(loop);
    mg_stream_close(&a.s, true);
    mg_loop_run(loop);
    assert_int_equal(b.ends, 0);
    mg_stream_read_start(&b.s);
    mg_loop_run(loop);
    assert_int_equal(b.ends, 1);
    assert_int_equal(b.end_status, -ECONNRESET);
}

static void closing_inside_on_read_is_allowed(void **state) {
    (void)state;
    b.close_in_read = true;
    wire_send(&a, "0123456789abcdefGHI", 19);
    mg_loop_run(loop);
    assert_got(&b, "0123456789abcdef");
    assert_int_equal(b.closes, 1);
    assert_int_equal(a.ends, 1);
}

static void closing_inside_on_end_and_on_drain_is_allowed(void **state) {
    (void)state;
    b.close_in_end = true;
    a.close_in_drain = true;
    wire_send(&a, "0123456789abcdefGHI", 19);
    mg_stream_shutdown(&a.s);
    mg_loop_run(loop);
    assert_int_equal(a.closes, 1);
    assert_int_equal(b.closes, 1);
    assert_int_equal(b.ends, 1);
}

static void reading_stopped_inside_on_read_keeps_the_rest(void **state) {
    (void)state;
    b.stop_in_read = true;
    wire_send(&a, "0123456789abcdefGHI", 19);
    mg_stream_shutdown(&a.s);
    mg_loop_run(loop);
    assert_got(&b, "0123456789abcdef");
    assert_int_equal(b.ends, 0);
    mg_stream_read_start(&b.s);
    mg_loop_run(loop);
    assert_got(&b, "0123456789abcdefGHI");
}

static void bytes_written_while_the_peer_looks_at_earlier_ones_are_safe(void **state) {
    (void)state;
    a.echo = true;
    b.echo = true;
    wire_send(&a, "ping", 4);
    turn_until_bytes(loop, &b, 400);
    a.echo = false;
    mg_loop_run(loop);
    assert_true(a.got.n + 4 >= b.got.n);
}

static void a_peer_without_a_name_is_a_unix_one(void **state) {
    (void)state;
    struct sockaddr_storage sa;
    assert_int_equal(mg_stream_peer(&a.s, &sa), 0);
    assert_int_equal(sa.ss_family, AF_UNIX);
    assert_int_equal(mg_stream_local(&a.s, &sa), 0);
    assert_ptr_equal(mg_stream_loop(&a.s), loop);
    assert_false(mg_loop_has_outside_work(loop));
}

static void no_event_but_closed_comes_after_close(void **state) {
    (void)state;
    wire_send(&b, "bytes", 5);
    mg_stream_shutdown(&b.s);
    wire_send(&a, "0123456789abcdefGHI", 19);
    mg_stream_close(&a.s, true);
    mg_stream_close(&a.s, true);
    mg_loop_run(loop);
    assert_int_equal(a.got.n + (size_t)a.ends + (size_t)a.drains, 0);
    assert_int_equal(a.closes, 1);
}

static void an_empty_window_is_refused(void **state) {
    (void)state;
    wire c;
    wire d;
    assert_int_equal(mg_stream_pair(loop, &c.s, &d.s, &wire_events, &wire_events, 0), -EINVAL);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define REAL(f) cmocka_unit_test_setup_teardown(f, set_up_real, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(bytes_arrive_in_a_later_turn_never_inside_write),
        EACH(what_exceeds_the_window_is_queued_and_drains_as_the_peer_reads),
        EACH(more_than_a_read_block_arrives_in_pieces),
        EACH(a_fin_comes_behind_the_queue_and_leaves_the_other_way_open),
        EACH(closing_ends_the_other_and_breaks_its_output),
        EACH(a_reset_is_told_as_a_reset_even_after_a_fin),
        EACH(closing_inside_on_read_is_allowed),
        EACH(closing_inside_on_end_and_on_drain_is_allowed),
        EACH(reading_stopped_inside_on_read_keeps_the_rest),
        EACH(bytes_written_while_the_peer_looks_at_earlier_ones_are_safe),
        EACH(a_peer_without_a_name_is_a_unix_one),
        EACH(no_event_but_closed_comes_after_close),
        EACH(an_empty_window_is_refused),
        REAL(bytes_arrive_in_a_later_turn_never_inside_write),
        REAL(what_exceeds_the_window_is_queued_and_drains_as_the_peer_reads),
        REAL(a_fin_comes_behind_the_queue_and_leaves_the_other_way_open),
        REAL(closing_ends_the_other_and_breaks_its_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
