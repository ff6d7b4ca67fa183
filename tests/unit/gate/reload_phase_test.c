#include "gate/reload_phase.h"

#include "unit.h"

// The phases that a reload goes through, by their first letters.
static const char *way(mg_reload_wish wish) {
    static const char letters[] = "CTSPO.";
    static char text[8];
    size_t n = 0;
    mg_reload_phase phase = MG_RELOAD_COLLECT;
    for (; phase != MG_RELOAD_ENDED; n++) {
        mg_reload_phase next = mg_reload_phase_after(phase, &wish);
        assert_true(mg_reload_may_become(phase, next));
        text[n] = letters[phase];
        phase = next;
    }
    text[n] = '\0';
    return text;
}

static void specs_are_run_if_they_are_wanted(void **state) {
    (void)state;
    assert_string_equal(way((mg_reload_wish){0}), "CTPO");
    assert_string_equal(way((mg_reload_wish){.specs = true}), "CTSPO");
}

static void nothing_that_serves_waits_for_specs_of_the_first_scripts(void **state) {
    (void)state;
    assert_string_equal(way((mg_reload_wish){.specs = true, .first = true}), "CTPO");
}

static void what_cannot_be_loaded_is_not_tested(void **state) {
    (void)state;
    assert_string_equal(way((mg_reload_wish){.specs = true, .faulty = true}), "CTPO");
}

static void a_dry_run_ends_before_anything_is_swapped(void **state) {
    (void)state;
    assert_string_equal(way((mg_reload_wish){.dry_run = true}), "CTP");
    assert_string_equal(way((mg_reload_wish){.dry_run = true, .specs = true}), "CTSP");
}

static void only_what_is_drawn_may_happen(void **state) {
    static const char *const allowed[] = {
        // to: COLLECT, TRIAL, SPECS, PREPARE, COMMIT, ENDED
        [MG_RELOAD_COLLECT] = "010001", [MG_RELOAD_TRIAL] = "001101",  [MG_RELOAD_SPECS] = "000101",
        [MG_RELOAD_PREPARE] = "000011", [MG_RELOAD_COMMIT] = "000001", [MG_RELOAD_ENDED] = "000000",
    };
    (void)state;
    for (mg_reload_phase from = MG_RELOAD_COLLECT; from <= MG_RELOAD_ENDED; from++) {
        for (mg_reload_phase to = MG_RELOAD_COLLECT; to <= MG_RELOAD_ENDED; to++) {
            assert_int_equal(mg_reload_may_become(from, to), allowed[from][to] == '1');
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(specs_are_run_if_they_are_wanted),
        cmocka_unit_test(nothing_that_serves_waits_for_specs_of_the_first_scripts),
        cmocka_unit_test(what_cannot_be_loaded_is_not_tested),
        cmocka_unit_test(a_dry_run_ends_before_anything_is_swapped),
        cmocka_unit_test(only_what_is_drawn_may_happen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
