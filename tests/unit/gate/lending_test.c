#include "gate/lending.h"

#include "unit.h"

static mg_lending lending;
static mg_lending_stand stands[MG_SHM_CELLS];
static char told[4096];

static int set_up(void **state) {
    (void)state;
    mg_lending_init(&lending);
    memset(stands, 0, sizeof stands);
    return 0;
}

static void tell(void *arg, uint32_t to, uint32_t slot, bool on) {
    assert_ptr_equal(arg, &lending);
    size_t n = strlen(told);
    snprintf(told + n, sizeof told - n, "%s%u %c%u", n > 0 ? ", " : "", to, on ? '+' : '-', slot);
}

static const char *settle(void) {
    told[0] = '\0';
    mg_lending_settle(&lending, stands, tell, &lending);
    return told;
}

// "CC-": those of the first three places that can accept
static void places(const char *text) {
    for (size_t i = 0; text[i] != '\0'; i++) {
        stands[i] = text[i] == 'C' ? MG_LENDING_CAN : MG_LENDING_CANNOT;
    }
}

static void nothing_is_lent_while_all_can(void **state) {
    (void)state;
    places("CCC");
    assert_string_equal(settle(), "");
}

static void the_next_one_accepts_for_one_that_cannot(void **state) {
    (void)state;
    places("C-C");
    assert_string_equal(settle(), "2 +1");
    places("CC-");
    assert_string_equal(settle(), "2 -1, 0 +2");
}

static void those_who_recover_get_their_own_back(void **state) {
    (void)state;
    places("-CC");
    settle();
    places("CCC");
    assert_string_equal(settle(), "1 -0");
    assert_string_equal(settle(), "");
}

static void another_one_takes_over_before_the_first_is_told_to_leave(void **state) {
    (void)state;
    places("-CC");
    assert_string_equal(settle(), "1 +0");
    places("--C");
    assert_string_equal(settle(), "2 +0, 1 -0, 2 +1");
}

static void what_is_lent_is_told_again(void **state) {
    (void)state;
    places("-C");
    assert_string_equal(settle(), "1 +0");
    assert_string_equal(settle(), "1 +0"); // it may be another worker by now
}

static void while_nobody_can_all_stays_as_it_is(void **state) {
    (void)state;
    places("-C");
    settle();
    places("--");
    assert_string_equal(settle(), "");
    places("C-");
    assert_string_equal(settle(), "1 -0, 0 +1");
}

static void a_place_that_never_was_has_nothing_to_lend(void **state) {
    (void)state;
    stands[200] = MG_LENDING_CAN;
    assert_string_equal(settle(), "");
    stands[255] = MG_LENDING_CANNOT;
    assert_string_equal(settle(), "200 +255");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_lent_while_all_can, set_up),
        cmocka_unit_test_setup(the_next_one_accepts_for_one_that_cannot, set_up),
        cmocka_unit_test_setup(those_who_recover_get_their_own_back, set_up),
        cmocka_unit_test_setup(another_one_takes_over_before_the_first_is_told_to_leave, set_up),
        cmocka_unit_test_setup(what_is_lent_is_told_again, set_up),
        cmocka_unit_test_setup(while_nobody_can_all_stays_as_it_is, set_up),
        cmocka_unit_test_setup(a_place_that_never_was_has_nothing_to_lend, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
