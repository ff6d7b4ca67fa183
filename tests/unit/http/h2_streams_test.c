#include "http/h2_streams.h"

#include "h2_rig.h"

#include <stdlib.h>

static int setup(void **state) {
    rig *r = malloc(sizeof *r);
    rig_serve(r, NULL);
    *state = r;
    return 0;
}

static int teardown(void **state) {
    rig_close(*state);
    free(*state);
    return 0;
}

static mg_h2_stream *add(rig *r, uint32_t id) {
    mg_h2_stream *s = &rig_stream_new(r)->s;
    s->id = id;
    mg_link_init(&s->turn);
    mg_h2_add(&r->h, s);
    return s;
}

static void finds_what_is_open(void **state) {
    rig *r = *state;
    mg_h2_stream *streams[40];
    for (uint32_t i = 0; i < 40; i++) {
        streams[i] = add(r, i * 2 + 1);
    }
    for (uint32_t i = 0; i < 40; i += 3) {
        mg_h2_remove(&r->h, streams[i], MG_H2_WAS_OURS);
        assert_true(mg_h2_is_closed(streams[i]));
    }
    for (uint32_t i = 0; i < 40; i++) {
        assert_ptr_equal(i % 3 == 0 ? NULL : streams[i], mg_h2_find(&r->h, i * 2 + 1));
    }
    assert_null(mg_h2_find(&r->h, 2));
    assert_null(mg_h2_find(&r->h, 99));
    assert_int_equal(26, mg_h2_count(&r->h));
}

static void remembers_how_the_last_were_closed(void **state) {
    rig *r = *state;
    assert_int_equal(MG_H2_WAS_UNKNOWN, mg_h2_how_closed(&r->h, 1));
    mg_h2_remove(&r->h, add(r, 1), MG_H2_WAS_OURS);
    mg_h2_remove(&r->h, add(r, 3), MG_H2_WAS_RESET);
    mg_h2_stream *s = add(r, 5);
    s->ended = true; // however it was closed, the peer has ended it
    mg_h2_remove(&r->h, s, MG_H2_WAS_OURS);
    assert_int_equal(MG_H2_WAS_OURS, mg_h2_how_closed(&r->h, 1));
    assert_int_equal(MG_H2_WAS_RESET, mg_h2_how_closed(&r->h, 3));
    assert_int_equal(MG_H2_WAS_ENDED, mg_h2_how_closed(&r->h, 5));
    for (uint32_t i = 0; i < MG_H2_REMEMBERED; i++) {
        mg_h2_remember(&r->h, 101 + i * 2, MG_H2_WAS_OURS);
    }
    assert_int_equal(MG_H2_WAS_UNKNOWN, mg_h2_how_closed(&r->h, 5));
    assert_int_equal(MG_H2_WAS_OURS, mg_h2_how_closed(&r->h, 101));
}

static void knows_what_was_never_open(void **state) {
    rig *r = *state;
    r->h.last_id = 5;
    assert_false(mg_h2_is_idle(&r->h, 3));
    assert_false(mg_h2_is_idle(&r->h, 5));
    assert_true(mg_h2_is_idle(&r->h, 7));
    assert_true(mg_h2_is_idle(&r->h, 2)); // ours: none was opened
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(finds_what_is_open),
        TEST(remembers_how_the_last_were_closed),
        TEST(knows_what_was_never_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
