// A word and a reason for how a server is.
#include "proxy/state.h"

#include "proxy/balance.h"
#include "proxy/outlier.h"
#include "proxy/verdict.h"

#include "../unit.h"

static mg_server_cell cell;
static const mg_server_hold hold = {.cell = &cell};

static void is_told(const char *state, const char *why) {
    char text[MG_STATE_WHY_BYTES];
    assert_string_equal(mg_server_state_text(&cell, 1000, text), state);
    assert_string_equal(text, why);
}

static void a_server_of_which_nothing_is_known_is_up(void **state) {
    (void)state;
    cell = (mg_server_cell){0};
    is_told("up", "");
}

static void what_drains_says_why(void **state) {
    (void)state;
    cell = (mg_server_cell){.draining = MG_DRAIN_ASKED};
    is_told("draining", "a script said so");
    cell.draining = MG_DRAIN_GONE;
    is_told("draining", "it is not among the servers any more");
}

static void a_health_check_says_what_it_found(void **state) {
    (void)state;
    const mg_health_options o = {.on = true, .up = 1, .down = 1};
    cell = (mg_server_cell){0};
    assert_true(mg_health_tell(&o, &hold, MG_FOUND_STATUS, 503, 900));
    is_told("down", "the status was 503");
}

static void who_fails_says_so(void **state) {
    (void)state;
    cell = (mg_server_cell){0};
    mg_balance_tell(&cell, true, 900);
    is_told("up", "its last try failed");
    mg_balance_tell(&cell, false, 950);
    is_told("up", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_of_which_nothing_is_known_is_up),
        cmocka_unit_test(what_drains_says_why),
        cmocka_unit_test(a_health_check_says_what_it_found),
        cmocka_unit_test(who_fails_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
