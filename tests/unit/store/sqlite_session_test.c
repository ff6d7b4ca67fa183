// Transactions, and rows piece by piece.

#include "store/sqlite.h"

#include "database_rig.h"

// --- transactions ------------------------------------------------------------

static void a_commit_shows_what_a_rollback_does_not(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    expect(s, "SELECT a FROM t", "(1)");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    end(s, true);
    expect(NULL, "SELECT count(*) FROM t", "(1)");
    s = begin(true);
    expect(s, "DELETE FROM t", "");
    end(s, false);
    expect(NULL, "SELECT count(*) FROM t", "(1)");
}

static void a_drop_rolls_back(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    mg_database_drop(s);
    do_sql("INSERT INTO t VALUES(2)"); // the writer is free again
    expect(NULL, "SELECT a FROM t", "(2)");
    turn_until_quiet();
}

static void a_drop_interrupts_what_runs_and_removes_what_waits(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    answer a[3];
    start_in(db, s, &a[0], endless, NULL, 0);
    start_in(db, s, &a[1], "INSERT INTO t VALUES(2)", NULL, 0);
    start_in(db, s, &a[2], endless, NULL, 0);
    mg_database_drop(s);
    do_sql("INSERT INTO t VALUES(3)");
    expect(NULL, "SELECT a FROM t", "(3)");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].calls, 0);
    }
}

static void a_finished_call_of_a_dropped_session_is_not_heard_of(void **state) {
    (void)state;
    mg_db_session *s = begin(false);
    answer a[2];
    start_in(db, s, &a[0], "SELECT 1", NULL, 0);
    start_in(db, s, &a[1], "SELECT 1", NULL, 0);
    wait_for_threads(1); // the first has finished when the second was taken
    mg_database_drop(s);
    turn_until_quiet();
    assert_int_equal(a[0].calls + a[1].calls, 0);
}

static void a_reading_transaction_sees_one_state_and_cannot_write(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(false);
    expect(s, "SELECT count(*) FROM t", "(0)");
    do_sql("INSERT INTO t VALUES(1)");
    expect(s, "SELECT count(*) FROM t", "(0)");
    expect_fault(s, "INSERT INTO t VALUES(2)", "readonly", "only reads");
    expect(s, "SELECT count(*) FROM t", "(0)");
    end(s, true);
    expect(NULL, "SELECT count(*) FROM t", "(1)");
}

static void one_free_reader_serves_all(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.readers = 2});
    for (int i = 0; i < 100; i++) {
        mg_db_session *s = begin(false);
        answer a[4];
        for (int k = 0; k < 4; k++) {
            start(&a[k], "SELECT 1");
        }
        await_all(a, 4);
        for (int k = 0; k < 4; k++) {
            answer_free(&a[k]);
        }
        mg_database_drop(s);
    }
    assert_int_equal(connections(), 3);
}

static void statements_of_a_session_keep_their_order(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, n)");
    mg_db_session *s = begin(true);
    answer a[20];
    for (int i = 0; i < 20; i++) {
        start_in(db, s, &a[i], "INSERT INTO t(n) SELECT coalesce(max(id), 0) FROM t", NULL, 0);
    }
    answer last = {0};
    assert_int_equal(mg_database_end(&last.call, s, true, on_answer, &last), MG_OK);
    await(&last);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(a[i].calls, 1); // before the end's
        assert_int_equal(a[i].last_id, i + 1);
    }
    expect(NULL, "SELECT count(*) FROM t WHERE n = id - 1", "(20)");
}

static void transactions_and_statements_wait_in_line(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, who)");
    mg_db_session *first = begin(true);
    answer before;
    answer opening = {0};
    answer after;
    mg_db_session *second = NULL;
    start(&before, "INSERT INTO t(who) VALUES('before')");
    assert_int_equal(mg_database_begin(&opening.call, db, true, &second, on_answer, &opening),
                     MG_OK);
    start(&after, "INSERT INTO t(who) VALUES('after')");
    expect(first, "INSERT INTO t(who) VALUES('first')", "");
    assert_int_equal(before.calls + opening.calls + after.calls, 0);
    end(first, true);
    await(&opening);
    assert_int_equal(before.calls, 1);
    expect(second, "INSERT INTO t(who) VALUES('second')", "");
    assert_int_equal(after.calls, 0);
    end(second, true);
    await(&after);
    expect(NULL, "SELECT who FROM t ORDER BY id", "('first')('before')('second')('after')");
}

static void a_fault_leaves_the_transaction_usable(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a UNIQUE)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    expect_fault(s, "INSERT INTO t VALUES(1)", "constraint", "UNIQUE");
    expect_fault(s, "INSERT INTO t VALUES(1) RETURNING a", "constraint", "UNIQUE");
    expect_fault(s, "COMMIT", "error", "db:transaction");
    expect(s, "INSERT INTO t VALUES(2)", "");
    end(s, true);
    expect(NULL, "SELECT count(*) FROM t", "(2)");
}

static void changes_that_could_not_be_shown_are_not_committed(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    mg_db_statement large = {.sql = MG_STR("INSERT INTO t VALUES(zeroblob(500)) RETURNING a"),
                             .max_bytes = 400,
                             .session = s};
    answer a = {0};
    assert_int_equal(mg_database_query(&a.call, db, &large, on_answer, &a), MG_OK);
    await(&a);
    assert_string_equal(a.code, "limit");
    answer_free(&a);
    expect_failed_commit(s, "error", "only be rolled back");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static void a_failed_commit_rolls_back(void **state) {
    (void)state;
    do_sql("CREATE TABLE p(id INTEGER PRIMARY KEY)");
    do_sql("CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO c VALUES(5)", "");
    expect_failed_commit(s, "constraint", "FOREIGN KEY");
    expect(NULL, "SELECT count(*) FROM c", "(0)");
    do_sql("INSERT INTO p VALUES(1)");
}

static void a_transaction_that_sqlite_rolled_back_says_so(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a UNIQUE ON CONFLICT ROLLBACK)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    expect_fault(s, "INSERT INTO t VALUES(1)", "constraint", "UNIQUE");
    expect_fault(s, "INSERT INTO t VALUES(2)", "error", "has been rolled back");
    expect_failed_commit(s, "error", "has been rolled back");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

// --- rows piece by piece -----------------------------------------------------

static mg_db_session *open_rows(const char *sql, const mg_db_value *values, uint32_t count) {
    answer a = {0};
    mg_db_session *s = NULL;
    mg_db_statement statement = {.sql = mg_str_of(sql), .values = values, .count = count};
    assert_int_equal(mg_database_open_rows(&a.call, db, &statement, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    assert_true(a.more);
    answer_free(&a);
    return s;
}

static bool fetch(mg_db_session *s, uint32_t max, const char *rows) {
    answer a = {0};
    assert_int_equal(mg_database_fetch(&a.call, s, max, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    assert_text(rows, mg_buf_str(&a.rows));
    bool more = a.more;
    answer_free(&a);
    return more;
}

static void rows_come_piece_by_piece(void **state) {
    (void)state;
    const mg_db_value v = {MG_DB_TEXT, .text = {"x", 1}};
    mg_db_session *s = open_rows("SELECT value, $1 FROM json_each('[1,2,3,4,5]')", &v, 1);
    assert_true(fetch(s, 2, "(1, 'x')(2, 'x')"));
    expect(NULL, "SELECT 1", "(1)"); // others go on
    assert_true(fetch(s, 2, "(3, 'x')(4, 'x')"));
    assert_false(fetch(s, 2, "(5, 'x')"));
    assert_false(fetch(s, 2, ""));
    mg_database_drop(s);
    turn_until_quiet();
}

static void a_piece_of_large_rows_is_short(void **state) {
    (void)state;
    mg_db_session *s = open_rows("SELECT zeroblob(400000) FROM json_each('[1,2,3,4,5]')", NULL, 0);
    answer a = {0};
    assert_int_equal(mg_database_fetch(&a.call, s, 100, on_answer, &a), MG_OK);
    await(&a);
    assert_int_equal(a.count, 3);
    assert_true(a.more);
    answer_free(&a);
    assert_int_equal(mg_database_fetch(&a.call, s, 100, on_answer, &a), MG_OK);
    await(&a);
    assert_int_equal(a.count, 2);
    assert_false(a.more);
    answer_free(&a);
    mg_database_drop(s);
}

static void a_fault_while_fetching_is_not_an_end(void **state) {
    (void)state;
    mg_db_session *s =
        open_rows("SELECT json_extract(value, '$') FROM json_each('[\"1\", \"x\"]')", NULL, 0);
    assert_true(fetch(s, 1, "(1)"));
    for (int i = 0; i < 2; i++) {
        answer a = {0};
        assert_int_equal(mg_database_fetch(&a.call, s, 1, on_answer, &a), MG_OK);
        await(&a);
        assert_true(a.failed);
        assert_string_equal(a.code, "error");
        answer_free(&a);
    }
    mg_database_drop(s);
    expect(NULL, "SELECT 1", "(1)");
}

// Opens rows of which all come at once: there is no session.
static void expect_whole_rows(const char *sql, uint32_t max_rows, const char *rows) {
    answer a = {0};
    mg_db_session *s = NULL;
    mg_db_statement statement = {.sql = mg_str_of(sql), .max_rows = max_rows};
    assert_int_equal(mg_database_open_rows(&a.call, db, &statement, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed || a.more);
    assert_text(rows, mg_buf_str(&a.rows));
    answer_free(&a);
    turn_until_quiet();
}

static void rows_that_come_at_once_hold_nothing(void **state) {
    (void)state;
    expect_whole_rows("VALUES(1), (2)", 3, "(1)(2)");
    expect_whole_rows("SELECT 1 WHERE 0", 1, "");
    mg_db_session *s = NULL;
    answer a = {0};
    mg_db_statement rows = {.sql = MG_STR("VALUES(1), (2), (3)"), .max_rows = 2};
    assert_int_equal(mg_database_open_rows(&a.call, db, &rows, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.more);
    assert_text("(1)(2)", mg_buf_str(&a.rows));
    answer_free(&a);
    assert_false(fetch(s, 2, "(3)"));
    mg_database_drop(s);
    turn_until_quiet();
}

static void opened_rows_that_write_are_committed_and_hold_nothing(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    static const char sql[] = "WITH n(i) AS (VALUES(1), (2)) INSERT INTO t SELECT i FROM n "
                              "RETURNING a";
    expect_whole_rows(sql, 1, "(1)(2)");
    expect(NULL, "SELECT count(*) FROM t", "(2)");
    expect_whole_rows("DELETE FROM t", 1, "");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static void rows_of_a_database_in_memory_hold_nothing(void **state) {
    (void)state;
    mg_database_free(db);
    db = open_at(":memory:", NULL);
    expect_whole_rows("VALUES(1), (2), (3)", 1, "(1)(2)(3)");
}

// NULL: it is refused, since there is no connection left.
static mg_db_session *open_nested(const mg_db_statement *rows) {
    answer a = {0};
    mg_db_session *s = NULL;
    assert_int_equal(mg_database_open_rows(&a.call, db, rows, &s, on_answer, &a), MG_OK);
    await(&a);
    if (a.failed) {
        assert_string_equal(a.code, "limit");
        s = NULL;
    }
    answer_free(&a);
    return s;
}

static void statements_go_on_whatever_sessions_hold(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.readers = 2});
    mg_db_session *held[2];
    held[0] = begin(false);
    held[1] = open_rows("VALUES(1), (2)", NULL, 0);
    expect(NULL, "SELECT 1", "(1)");
    answer waits = {0};
    mg_db_session *third = NULL;
    assert_int_equal(mg_database_begin(&waits.call, db, 0, &third, on_answer, &waits), MG_OK);
    expect(NULL, "SELECT 2", "(2)");
    assert_int_equal(waits.calls, 0); // the reserve takes no session
    mg_database_drop(held[0]);
    await(&waits);
    expect(NULL, "SELECT 3", "(3)");
    assert_int_equal(connections(), 4);
    mg_database_drop(third);
    mg_database_drop(held[1]);
    turn_until_quiet();
}

static void statements_that_waited_for_the_last_reader_go_to_the_reserve(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.readers = 1});
    answer a[3];
    mg_db_session *s = NULL;
    start(&a[0], "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) "
                 "SELECT count(*) FROM n");
    a[1] = (answer){0};
    assert_int_equal(mg_database_begin(&a[1].call, db, 0, &s, on_answer, &a[1]), MG_OK);
    start(&a[2], "SELECT 1");
    await_all(a, 3);
    for (int i = 0; i < 3; i++) {
        answer_free(&a[i]);
    }
    mg_database_drop(s);
    turn_until_quiet();
}

static void nested_sessions_never_wait_for_others(void **state) {
    (void)state;
    enum { LEAST = 16, MOST = 17 }; // one may be the reader's, if it sleeps already
    reopen(&(mg_sqlite_options){.readers = 1});
    const mg_db_statement rows = {.sql = MG_STR("VALUES(1), (2)"), .nested = true};
    mg_db_session *s[MOST + 1];
    int n = 0;
    while (n <= MOST && (s[n] = open_nested(&rows)) != NULL) {
        assert_true(fetch(s[n++], 1, "(1)"));
    }
    assert_in_range(n, LEAST, MOST);
    expect(NULL, "SELECT 1", "(1)");
    mg_database_drop(s[3]);
    while ((s[3] = open_nested(&rows)) == NULL) { // until that thread is idle
    }
    for (int i = 0; i < n; i++) {
        mg_database_drop(s[i]);
    }
    turn_until_quiet();
}

static void rows_that_cannot_be_opened_are_a_fault(void **state) {
    (void)state;
    answer a = {0};
    mg_db_session *s = NULL;
    mg_db_statement bad = {.sql = MG_STR("SELECT * FROM nowhere")};
    assert_int_equal(mg_database_open_rows(&a.call, db, &bad, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_string_equal(a.code, "syntax");
    answer_free(&a);
    s = begin(false);
    mg_db_session *rows = NULL;
    mg_db_statement inside = {.sql = MG_STR("SELECT 1"), .session = s};
    assert_int_equal(mg_database_open_rows(&a.call, db, &inside, &rows, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.failed);
    answer_free(&a);
    end(s, true);
    s = begin(false);
    assert_int_equal(mg_database_fetch(&a.call, s, 1, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.failed);
    answer_free(&a);
    end(s, true);
    s = open_rows("SELECT 1", NULL, 0);
    expect_fault(s, "SELECT 1", "error", "no transaction");
    mg_database_drop(s);
    turn_until_quiet();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_commit_shows_what_a_rollback_does_not),
        TEST(a_drop_rolls_back),
        TEST(a_drop_interrupts_what_runs_and_removes_what_waits),
        TEST(a_finished_call_of_a_dropped_session_is_not_heard_of),
        TEST(a_reading_transaction_sees_one_state_and_cannot_write),
        TEST(one_free_reader_serves_all),
        TEST(statements_of_a_session_keep_their_order),
        TEST(transactions_and_statements_wait_in_line),
        TEST(a_fault_leaves_the_transaction_usable),
        TEST(changes_that_could_not_be_shown_are_not_committed),
        TEST(a_failed_commit_rolls_back),
        TEST(a_transaction_that_sqlite_rolled_back_says_so),
        TEST(rows_come_piece_by_piece),
        TEST(a_piece_of_large_rows_is_short),
        TEST(a_fault_while_fetching_is_not_an_end),
        TEST(rows_that_come_at_once_hold_nothing),
        TEST(opened_rows_that_write_are_committed_and_hold_nothing),
        TEST(rows_of_a_database_in_memory_hold_nothing),
        TEST(statements_go_on_whatever_sessions_hold),
        TEST(statements_that_waited_for_the_last_reader_go_to_the_reserve),
        TEST(nested_sessions_never_wait_for_others),
        TEST(rows_that_cannot_be_opened_are_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
