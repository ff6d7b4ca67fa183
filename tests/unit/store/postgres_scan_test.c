#include "store/postgres_scan.h"

#include "unit.h"

// The token at the beginning of `text`.
static void token(const char *text, size_t bytes, bool wants_blank) {
    bool blank = !wants_blank;
    assert_int_equal(mg_pg_scan_token(mg_str_of(text), 0, &blank), bytes);
    assert_int_equal(blank, wants_blank);
}

static void tokens_end_where_the_manual_says(void **state) {
    (void)state;
    token("select", 1, false);
    token(" x", 1, true);
    token(";x", 1, true);
    token("-- a\nx", 5, true);
    token("-- a", 4, true);
    token("/* a /* b */ */x", 15, true);
    token("/* a", 4, true);
    token("'it''s'x", 4, false);
    token("\"a;b\"x", 5, false);
    token("$$a;b$$x", 7, false);
    token("$q$a$$b$q$x", 10, false);
    token("$1", 1, false);
    token("'open", 5, false);
}

static void a_backslash_hides_a_quote_behind_an_e_alone(void **state) {
    (void)state;
    bool blank;
    assert_int_equal(mg_pg_scan_token(MG_STR("E'a\\'b'x"), 1, &blank), 7);
    assert_int_equal(mg_pg_scan_token(MG_STR("='a\\'b'x"), 1, &blank), 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_end_where_the_manual_says),
        cmocka_unit_test(a_backslash_hides_a_quote_behind_an_e_alone),
    };
    return cmocka_run_group_tests_name("store/postgres_scan", tests, NULL, NULL);
}
