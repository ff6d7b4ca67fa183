#include "proxy/spool.h"

#include "../unit.h"

#include "base/error.h"
#include "event/descriptors.h"

#include <stdlib.h>
#include <string.h>

static mg_loop *loop;
static int stored, stored_status, pieces;
static uint64_t piece_at;
static mg_buf piece_bytes;

static void on_stored(void *arg, int status) {
    (void)arg;
    stored++;
    stored_status = status;
}

static void on_piece(void *arg, int status, uint64_t at, mg_str piece) {
    (void)arg;
    assert_int_equal(status, 0);
    pieces++;
    piece_at = at;
    mg_buf_clear(&piece_bytes);
    mg_buf_append_str(&piece_bytes, piece);
}

static const mg_spool_events events = {on_stored, on_piece};

static int set_up(void **state) {
    (void)state;
    stored = pieces = 0;
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&piece_bytes);
    assert_int_equal(mg_descriptors_open(loop), 0);
    return mg_loop_free(loop);
}

static void until(const int *counter, int n) {
    while (*counter < n) {
        mg_loop_turn(loop, true, false, UINT64_MAX);
    }
}

static void a_little_stays_in_memory(void **state) {
    (void)state;
    mg_spool *s = mg_spool_new(loop, &events, NULL);
    assert_int_equal(mg_spool_add(s, MG_STR("he")), MG_OK);
    assert_int_equal(mg_spool_add(s, MG_STR("llo")), MG_OK);
    mg_str all;
    assert_true(mg_spool_in_memory(s, &all));
    assert_text("hello", all);
    assert_int_equal(mg_spool_bytes(s), 5);
    mg_spool_free(s);
}

// Each byte tells where it stands.
static void much_is_kept_in_a_file(void **state) {
    (void)state;
    static char chunk[256 * 1024];
    for (size_t i = 0; i < sizeof chunk; i++) {
        chunk[i] = (char)(i / 1024);
    }
    mg_spool *s = mg_spool_new(loop, &events, NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mg_spool_add(s, (mg_str){chunk, sizeof chunk}), MG_OK);
    }
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(mg_spool_add(s, (mg_str){chunk, sizeof chunk}), MG_EAGAIN);
        until(&stored, i);
        assert_int_equal(stored_status, 0);
    }
    mg_str all;
    assert_false(mg_spool_in_memory(s, &all));
    uint64_t at = 0;
    for (int i = 1; at < mg_spool_bytes(s); i++) {
        mg_spool_read(s, at);
        until(&pieces, i);
        assert_int_equal(piece_at, at);
        assert_true(piece_bytes.n > 0);
        assert_memory_equal(piece_bytes.p, chunk + at % sizeof chunk, piece_bytes.n);
        at += piece_bytes.n;
    }
    assert_int_equal(at, 7 * sizeof chunk);
    mg_spool_free(s);
}

static void it_may_go_while_a_thread_is_at_work(void **state) {
    (void)state;
    static char much[(1 << 20) + 1];
    mg_spool *s = mg_spool_new(loop, &events, NULL);
    assert_int_equal(mg_spool_add(s, (mg_str){much, sizeof much}), MG_EAGAIN);
    mg_spool_free(s);
    while (mg_descriptors_open(loop) > 0) {
        mg_loop_turn(loop, true, false, UINT64_MAX);
    }
    assert_int_equal(stored, 0);
}

static void a_folder_that_is_not_there_is_told(void **state) {
    (void)state;
    static char much[(1 << 20) + 1];
    setenv("TMPDIR", "/nowhere/at/all", 1);
    mg_spool *s = mg_spool_new(loop, &events, NULL);
    assert_int_equal(mg_spool_add(s, (mg_str){much, sizeof much}), MG_EAGAIN);
    until(&stored, 1);
    unsetenv("TMPDIR");
    assert_true(stored_status < 0);
    mg_spool_free(s);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_little_stays_in_memory),
        EACH(much_is_kept_in_a_file),
        EACH(it_may_go_while_a_thread_is_at_work),
        EACH(a_folder_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
