#include "gate/readiness.h"

#include "unit.h"

#include <string.h>

enum { NUMBER = 5 };

static const mg_place_life starting = {.state = MG_PLACE_STARTING};
static const mg_place_life serving = {.state = MG_PLACE_SERVING};
static const mg_place_life stuck = {.state = MG_PLACE_SERVING, .stuck = true, .stuck_ms = 1200};
static const mg_place_life stopping = {.state = MG_PLACE_STOPPING};
static const mg_place_life crashing = {.state = MG_PLACE_WAITING, .backoff_ms = 200};

static bool may_go(const mg_stand *stands, size_t n, bool first) {
    mg_readiness r = {0};
    for (size_t i = 0; i < n; i++) {
        mg_readiness_add(&r, stands[i]);
    }
    return mg_readiness_may_go(&r, first);
}

static void a_place_loads_once_it_was_asked(void **state) {
    (void)state;
    assert_int_equal(mg_stand_of(&serving, NUMBER, 4, NUMBER), MG_STAND_LOADING);
    assert_int_equal(mg_stand_of(&serving, NUMBER, NUMBER, NUMBER), MG_STAND_READY);
    assert_int_equal(mg_stand_of(&stuck, NUMBER, 4, NUMBER), MG_STAND_LOADING);
}

static void one_that_was_not_asked_is_awaited_if_it_comes_soon(void **state) {
    (void)state;
    assert_int_equal(mg_stand_of(&starting, 0, 0, NUMBER), MG_STAND_COMING);
    assert_int_equal(mg_stand_of(&stuck, 4, 4, NUMBER), MG_STAND_COMING);
    assert_int_equal(mg_stand_of(&stopping, 0, 4, NUMBER), MG_STAND_AWAY);
    assert_int_equal(mg_stand_of(&crashing, 0, 0, NUMBER), MG_STAND_AWAY);
}

static void all_who_are_awaited_have_to_be_ready(void **state) {
    (void)state;
    assert_true(may_go((mg_stand[]){MG_STAND_READY, MG_STAND_READY, MG_STAND_AWAY}, 3, false));
    assert_false(may_go((mg_stand[]){MG_STAND_READY, MG_STAND_LOADING}, 2, false));
    assert_false(may_go((mg_stand[]){MG_STAND_COMING, MG_STAND_READY}, 2, false));
}

static void the_first_one_needs_somebody(void **state) {
    (void)state;
    assert_true(may_go(NULL, 0, false)); // all crash: the new scripts may mend that
    assert_false(may_go(NULL, 0, true));
    assert_true(may_go((mg_stand[]){MG_STAND_READY}, 1, true));
}

static const char *reason(mg_stand stand, const mg_place_life *l) {
    static char text[MG_READINESS_REASON];
    return mg_readiness_reason(stand, l, 2, 1500, text) ? text : "";
}

static void whoever_is_late_is_named(void **state) {
    (void)state;
    assert_string_equal(reason(MG_STAND_READY, &serving), "");
    assert_string_equal(reason(MG_STAND_AWAY, &crashing), "");
    assert_string_equal(reason(MG_STAND_LOADING, &serving),
                        "worker 3 was not ready after 1.5 s (timeouts.reload): does on_start end?");
    assert_string_equal(reason(MG_STAND_COMING, &starting),
                        "worker 3 did not serve again within 1.5 s (timeouts.reload)");
    assert_string_equal(reason(MG_STAND_COMING, &stuck),
                        "worker 3 has been stuck for 1.2 s, the log names the line");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_loads_once_it_was_asked),
        cmocka_unit_test(one_that_was_not_asked_is_awaited_if_it_comes_soon),
        cmocka_unit_test(all_who_are_awaited_have_to_be_ready),
        cmocka_unit_test(the_first_one_needs_somebody),
        cmocka_unit_test(whoever_is_late_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
