#include "store/postgres_words.h"

#include "unit.h"

static void words_stand_behind_comments(void **state) {
    (void)state;
    mg_str words[3];
    mg_pg_words_read(MG_STR(" -- why\n/* a */ Set\tLOCAL;x"), words, 3);
    assert_true(mg_str_eq(words[0], MG_STR("Set")));
    assert_true(mg_str_eq(words[1], MG_STR("LOCAL")));
    assert_true(mg_str_eq(words[2], MG_STR("x")));
    mg_pg_words_read(MG_STR("(SELECT 1)"), words, 2);
    assert_int_equal(words[0].n, 0);
    mg_pg_words_read(MG_STR(""), words, 1);
    assert_int_equal(words[0].n, 0);
}

static void refuses(const char *sql, const char *instead) {
    const char *why = mg_pg_words_refuse(mg_str_of(sql));
    if (why == NULL || strstr(why, instead) == NULL) {
        fail_msg("%s: %s", sql, why);
    }
}

static void what_would_outlive_the_statement_is_refused(void **state) {
    (void)state;
    refuses("BEGIN", "db:transaction");
    refuses("/* so */ commit;", "db:transaction");
    refuses("SAVEPOINT a", "db:transaction");
    refuses("ROLLBACK TO a", "db:transaction");
    refuses("PREPARE TRANSACTION 'x'", "db:transaction");
    refuses("SET search_path = x", "SET LOCAL");
    refuses("reset all", "SET LOCAL");
    refuses("DISCARD ALL", "SET LOCAL");
    refuses("LISTEN c", "db:listen");
    refuses("copy t FROM STDIN", "db:copy_in");
}

static void what_ends_with_it_is_not(void **state) {
    (void)state;
    const char *const good[] = {
        "SELECT 1",
        "SET LOCAL x = 1",
        "SET TRANSACTION READ ONLY",
        "SET CONSTRAINTS ALL DEFERRED",
        "PREPARE p AS SELECT 1",
        "beginning",
        "NOTIFY c",
        "",
        "EXPLAIN SELECT 1",
        "(SELECT 1)",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_null(mg_pg_words_refuse(mg_str_of(good[i])));
    }
}

static void copy_is_wanted_where_it_is(void **state) {
    (void)state;
    assert_null(mg_pg_words_refuse_copy(MG_STR("COPY t TO STDOUT")));
    assert_non_null(mg_pg_words_refuse_copy(MG_STR("SELECT 1")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_stand_behind_comments),
        cmocka_unit_test(what_would_outlive_the_statement_is_refused),
        cmocka_unit_test(what_ends_with_it_is_not),
        cmocka_unit_test(copy_is_wanted_where_it_is),
    };
    return cmocka_run_group_tests_name("store/postgres_words", tests, NULL, NULL);
}
