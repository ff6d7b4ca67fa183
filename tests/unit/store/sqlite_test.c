#include "store/sqlite.h"

#include "database_rig.h"

static const char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                              "SELECT count(*) FROM n";

// --- statements --------------------------------------------------------------

static void rows_come_back_as_they_were_stored(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, ok BOOLEAN, x REAL, b BLOB)");
    const mg_db_value values[] = {
        {MG_DB_I64, .i64 = INT64_MIN},
        {MG_DB_TEXT, .text = {"a\0b", 3}},
        {MG_DB_BOOL, .i64 = 1},
        {MG_DB_DOUBLE, .number = 0.1},
        {MG_DB_BLOB, .text = {"\0\xff\0", 3}},
    };
    answer a;
    start_in(db, NULL, &a, "INSERT INTO t VALUES($1, $2, $3, $4, $5)", values, 5);
    await(&a);
    assert_false(a.failed);
    assert_int_equal(a.affected, 1);
    assert_true(a.last_id == INT64_MIN);
    answer_free(&a);
    start(&a, "SELECT id, hex(name) AS h, length(b), ok, x, b, NULL, 9223372036854775807 FROM t");
    await(&a);
    assert_text("id, h, length(b), ok, x, b, NULL, 9223372036854775807", mg_buf_str(&a.names));
    assert_text("(-9223372036854775808, '610062', 3, true, 0.10000000000000001, x'00ff00', null, "
                "9223372036854775807)",
                mg_buf_str(&a.rows));
    assert_int_equal(a.affected, 0);
    answer_free(&a);
}

static void empty_texts_are_not_null(void **state) {
    (void)state;
    const mg_db_value values[] = {
        {MG_DB_TEXT, .text = {NULL, 0}}, {MG_DB_BLOB, .text = {NULL, 0}}, {.kind = MG_DB_NULL}};
    answer a;
    start_in(db, NULL, &a, "SELECT $1, $2, $3", values, 3);
    await(&a);
    assert_text("('', x'', null)", mg_buf_str(&a.rows));
    answer_free(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_come_back_as_they_were_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_texts_are_not_null, set_up, tear_down),
    };
    (void)endless;
    (void)begin;
    (void)end;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
