#include "h2_rig.h"

#include <stdlib.h>

typedef struct scene {
    rig r;
    mg_h2_stream *s[4];
} scene;

// Four answers that have begun.
static int setup(void **state) {
    scene *v = malloc(sizeof *v);
    rig_serve(&v->r, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        mg_buf b = {0};
        put_headers(&v->r, &b, RIG_ENDS, i * 2 + 1, rig_get);
        rig_take(&v->r, &b);
        v->s[i] = v->r.stream;
    }
    *state = v;
    return 0;
}

static int teardown(void **state) {
    rig_close(&((scene *)*state)->r);
    free(*state);
    return 0;
}

static void want(scene *v) {
    for (int i = 0; i < 4; i++) {
        mg_h2_want(&v->r.h, v->s[i], true);
    }
}

// Sends `count` bytes, one a frame; the ids of their streams are the text.
static void assert_turns(const char *turns, scene *v, size_t count) {
    mg_buf text = {0};
    size_t room;
    for (size_t i = 0; i < count; i++) {
        mg_h2_stream *s = mg_h2_next(&v->r.h, &room);
        if (s == NULL) {
            break;
        }
        assert_true(room > 0);
        mg_buf_append_u64(&text, s->id);
        mg_h2_send_data(&v->r.h, s, &v->r.out, MG_STR("x"), false);
    }
    assert_text(turns, mg_buf_str(&text));
    mg_buf_deinit(&text);
}

static void all_take_turns(void **state) {
    scene *v = *state;
    want(v);
    assert_turns("135713571", v, 9);
}

static void the_urgent_go_first(void **state) {
    scene *v = *state;
    mg_h2_prioritize(&v->r.h, v->s[2], MG_STR("u=1"));
    want(v);
    mg_h2_prioritize(&v->r.h, v->s[3], MG_STR("u=5, i"));
    assert_turns("555", v, 3);
    mg_h2_want(&v->r.h, v->s[2], false);
    assert_turns("1313", v, 4);
    mg_h2_want(&v->r.h, v->s[0], false);
    mg_h2_want(&v->r.h, v->s[1], false);
    assert_turns("77", v, 2);
}

static void who_is_not_incremental_is_sent_whole(void **state) {
    scene *v = *state;
    for (int i = 0; i < 4; i++) {
        mg_h2_prioritize(&v->r.h, v->s[i], i < 2 ? MG_STR("u=3") : MG_STR("i"));
    }
    want(v);
    assert_turns("111", v, 3);
    mg_h2_want(&v->r.h, v->s[0], false);
    assert_turns("33", v, 2);
}

static void who_has_no_window_waits_for_it(void **state) {
    scene *v = *state;
    want(v);
    v->s[0]->send_window = 1;
    mg_h2_want(&v->r.h, v->s[2], false);
    mg_h2_want(&v->r.h, v->s[3], false);
    assert_turns("1333", v, 4);
    mg_buf b = {0};
    put_u32_frame(&b, MG_H2_WINDOW_UPDATE_FRAME, 1, 2);
    rig_take(&v->r, &b);
    assert_turns("31313", v, 5);
}

static void nobody_sends_without_the_connections_window(void **state) {
    scene *v = *state;
    want(v);
    v->r.h.send_window = 2;
    assert_turns("13", v, 4);
}

static void the_room_is_the_least_of_all_limits(void **state) {
    scene *v = *state;
    size_t room;
    mg_h2_want(&v->r.h, v->s[0], true);
    assert_non_null(mg_h2_next(&v->r.h, &room));
    assert_int_equal(MG_H2_FRAME_MAX, room);
    v->s[0]->send_window = 700;
    mg_h2_next(&v->r.h, &room);
    assert_int_equal(700, room);
    v->r.h.send_window = 30;
    mg_h2_next(&v->r.h, &room);
    assert_int_equal(30, room);
}

static void a_closed_stream_has_no_turn(void **state) {
    scene *v = *state;
    want(v);
    mg_h2_send_reset(&v->r.h, v->s[0], &v->r.out, MG_H2_CANCEL);
    assert_turns("357", v, 3);
    mg_h2_want(&v->r.h, v->s[0], true);
    assert_turns("357", v, 3);
}

// RFC 9218 section 4, structured fields: what is not understood counts for nothing.
static void reads_priorities(void **state) {
    scene *v = *state;
    static const struct {
        const char *text;
        int urgency;
        bool incremental;
    } cases[] = {
        {"u=0", 0, false},
        {"u=7, i", 7, true},
        {"i", 3, true},
        {"", 3, false},
        {"u=8", 3, false},
        {"u=-1", 3, false},
        {"u=1,u=2", 2, false},
        {"i=?1, i=?0", 3, false},
        {"i=1", 3, false},
        {"U=1", 3, false},
        {"u=10", 3, false},
        {"x=1, u=6;a=b, i;q", 6, true},
        {"\x80\xff,,,", 3, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_h2_prioritize(&v->r.h, v->s[0], mg_str_of(cases[i].text));
        if (v->s[0]->urgency != cases[i].urgency || v->s[0]->incremental != cases[i].incremental) {
            fail_msg("%s: %d", cases[i].text, v->s[0]->urgency);
        }
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(all_take_turns),
        TEST(the_urgent_go_first),
        TEST(who_is_not_incremental_is_sent_whole),
        TEST(who_has_no_window_waits_for_it),
        TEST(nobody_sends_without_the_connections_window),
        TEST(the_room_is_the_least_of_all_limits),
        TEST(a_closed_stream_has_no_turn),
        TEST(reads_priorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
