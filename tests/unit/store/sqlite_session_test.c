// Transactions, rows piece by piece, cancelling and freeing.

#include "store/sqlite.h"

#include "database_rig.h"

#include <sqlite3.h>

// Would run for ever.
static const char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                              "SELECT count(*) FROM n";

static void turn_until_busy(uint32_t n) {
    mg_database_stats stats;
    do {
        mg_loop_turn(loop, false, false, 0);
        mg_database_read_stats(db, &stats);
    } while (stats.busy < n || stats.queued > 0);
}

static void turn_until_quiet(void) {
    mg_database_stats stats;
    do {
        mg_loop_turn(loop, false, false, 0);
        mg_database_read_stats(db, &stats);
    } while (stats.busy > 0 || stats.queued > 0 || stats.sessions > 0);
}

static uint32_t connections(void) {
    mg_database_stats stats;
    mg_database_read_stats(db, &stats);
    return stats.connections;
}

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
    answer a;
    start_in(db, s, &a, "SELECT 1", NULL, 0);
    usleep(20000); // it may finish in its thread; either way it must not be told
    mg_database_drop(s);
    turn_until_quiet();
    assert_int_equal(a.calls, 0);
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
    expect_fault(s, "COMMIT", "error", "db:transaction");
    expect(s, "INSERT INTO t VALUES(2)", "");
    end(s, true);
    expect(NULL, "SELECT count(*) FROM t", "(2)");
}

static void expect_failed_commit(mg_db_session *s, const char *code, const char *part) {
    answer a = {0};
    assert_int_equal(mg_database_end(&a.call, s, true, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, code);
    contains(&a.message, part);
    answer_free(&a);
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
    mg_db_statement statement = {mg_str_of(sql), values, count, 0, NULL};
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

static void opened_rows_that_write_are_kept_at_their_end_only(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    static const char sql[] = "WITH n(i) AS (VALUES(1), (2)) INSERT INTO t SELECT i FROM n "
                              "RETURNING a";
    mg_db_session *s = open_rows(sql, NULL, 0);
    assert_true(fetch(s, 1, "(1)"));
    mg_database_drop(s);
    turn_until_quiet();
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    s = open_rows(sql, NULL, 0);
    assert_false(fetch(s, 3, "(1)(2)"));
    expect(NULL, "SELECT count(*) FROM t", "(2)");
    mg_database_drop(s);
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
    s = open_rows("SELECT 1", NULL, 0);
    expect_fault(s, "SELECT 1", "error", "no transaction");
    mg_database_drop(s);
    turn_until_quiet();
}

// --- giving up ---------------------------------------------------------------

static void a_running_statement_is_cancelled_and_its_connection_usable(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.readers = 1});
    answer a;
    for (int i = 0; i < 20; i++) {
        start(&a, endless);
        if (i % 2 == 0) {
            turn_until_busy(1);
        }
        mg_database_cancel(a.call);
        expect(NULL, "SELECT 1", "(1)"); // only after the endless one has ended
        assert_int_equal(a.calls, 0);
    }
    mg_database_stats stats;
    mg_database_read_stats(db, &stats);
    assert_int_equal(stats.cancelled, 20);
    assert_int_equal(connections(), 2);
}

static void a_waiting_statement_is_cancelled(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    answer a[3];
    start(&a[0], "INSERT INTO t VALUES(1)");
    start(&a[1], "INSERT INTO t VALUES(2)");
    start(&a[2], "INSERT INTO t VALUES(3)");
    mg_database_cancel(a[1].call);
    end(s, true);
    await(&a[0]);
    await(&a[2]);
    assert_int_equal(a[1].calls, 0);
    expect(NULL, "SELECT a FROM t", "(1)(3)");
}

static void a_finished_statement_is_cancelled_before_it_is_told(void **state) {
    (void)state;
    answer a[40];
    for (int i = 0; i < 40; i++) {
        start(&a[i], "SELECT 1");
    }
    usleep(20000); // most of them wait in the finished list now; none may be told
    for (int i = 0; i < 40; i++) {
        mg_database_cancel(a[i].call);
    }
    expect(NULL, "SELECT 2", "(2)");
    for (int i = 0; i < 40; i++) {
        assert_int_equal(a[i].calls, 0);
    }
}

static answer neighbours[2];

static void cancel_neighbour(void *arg, const mg_db_rows *rows, const mg_db_fault *fault) {
    answer *a = arg;
    on_answer(a, rows, fault);
    answer *other = &neighbours[a == &neighbours[0]];
    if (other->calls == 0) {
        mg_database_cancel(other->call);
    }
}

static void an_answer_may_cancel_another_call(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        mg_db_statement s = {.sql = MG_STR("SELECT 1")};
        for (int k = 0; k < 2; k++) {
            answer *a = &neighbours[k];
            *a = (answer){0};
            assert_int_equal(mg_database_query(&a->call, db, &s, cancel_neighbour, a), MG_OK);
        }
        while (neighbours[0].calls + neighbours[1].calls == 0) {
            mg_loop_turn(loop, true, true, UINT64_MAX);
        }
        turn_until_quiet();
        assert_int_equal(neighbours[0].calls + neighbours[1].calls, 1);
        answer_free(&neighbours[0]);
        answer_free(&neighbours[1]);
    }
}

static void after_a_cancel_a_transaction_can_only_be_rolled_back(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    answer a;
    start_in(db, s, &a, endless, NULL, 0);
    turn_until_busy(1);
    mg_database_cancel(a.call);
    expect_fault(s, "SELECT 1", "error", "only be rolled back");
    expect_failed_commit(s, "error", "only be rolled back");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    assert_int_equal(a.calls, 0);
}

static void a_cancelled_begin_takes_its_session_with_it(void **state) {
    (void)state;
    mg_db_session *holder = begin(true);
    answer a = {0};
    mg_db_session *s = NULL;
    assert_int_equal(mg_database_begin(&a.call, db, true, &s, on_answer, &a), MG_OK);
    mg_database_cancel(a.call); // waiting
    end(holder, true);
    for (int i = 0; i < 50; i++) { // running, or finished
        assert_int_equal(mg_database_begin(&a.call, db, i % 2 == 0, &s, on_answer, &a), MG_OK);
        if (i % 3 == 0) {
            turn_until_busy(0);
        }
        if (a.calls == 1) {
            mg_database_drop(s);
            a.calls = 0;
            continue;
        }
        if (i % 5 == 0) {
            mg_database_drop(s);
        } else {
            mg_database_cancel(a.call);
        }
    }
    turn_until_quiet();
    assert_int_equal(a.calls, 0);
    do_sql("CREATE TABLE t(a)");
}

static void a_cancelled_end_rolls_back_and_tells_who_still_waited(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    answer a[3] = {{0}};
    start_in(db, s, &a[0], endless, NULL, 0);
    start_in(db, s, &a[1], "SELECT 1", NULL, 0);
    assert_int_equal(mg_database_end(&a[2].call, s, true, on_answer, &a[2]), MG_OK);
    mg_database_cancel(a[2].call);
    mg_database_cancel(a[0].call);
    await(&a[1]);
    assert_true(a[1].failed);
    assert_string_equal(a[1].code, "closed");
    answer_free(&a[1]);
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    turn_until_quiet();
    assert_int_equal(a[0].calls + a[2].calls, 0);
}

static void a_call_that_waits_for_a_foreign_lock_is_cancelled_at_once(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.busy_ms = 3600000});
    do_sql("CREATE TABLE t(a)");
    sqlite3 *holder;
    assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    answer a;
    start(&a, "INSERT INTO t VALUES(1)");
    turn_until_busy(1);
    mg_database_cancel(a.call);
    turn_until_quiet();
    assert_int_equal(a.calls, 0);
    sqlite3_close(holder);
    do_sql("INSERT INTO t VALUES(2)");
    expect(NULL, "SELECT a FROM t", "(2)");
}

static void a_session_may_go_while_a_finished_call_of_it_waits(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        mg_db_session *s = begin(false);
        answer a;
        answer last = {0};
        start_in(db, s, &a, "SELECT 1", NULL, 0);
        assert_int_equal(mg_database_end(&last.call, s, true, on_answer, &last), MG_OK);
        usleep(i % 2 == 0 ? 2000 : 0); // both may have finished in the thread, or not
        mg_database_cancel(a.call);
        if (i % 3 == 0) {
            mg_database_cancel(last.call);
            turn_until_quiet();
        } else {
            await(&last);
        }
        assert_int_equal(a.calls, 0);
        answer_free(&last);
    }
}

// --- free --------------------------------------------------------------------

static void all_kinds_of_work_may_be_under_way_when_it_is_freed(void **state) {
    (void)state;
    for (int round = 0; round < 8; round++) {
        do_sql("CREATE TABLE IF NOT EXISTS t(a)");
        static answer a[16];
        mg_db_session *s[4];
        mg_db_session *idle = round % 2 == 0 ? begin(true) : begin(false);
        expect(idle, "SELECT 1", "(1)");
        mg_db_statement rows = {.sql = MG_STR("SELECT 1")};
        for (int i = 0; i < 4; i++) {
            start(&a[i], endless);
            start(&a[4 + i], "INSERT INTO t VALUES(1)");
            a[8 + i] = a[12 + i] = (answer){0};
            mg_database_begin(&a[8 + i].call, db, i % 2 == 0, &s[i], on_answer, &a[8 + i]);
            mg_database_open_rows(&a[12 + i].call, db, &rows, &s[i], on_answer, &a[12 + i]);
        }
        start_in(db, idle, &a[0], endless, NULL, 0);
        if (round >= 4) {
            mg_database_end(&a[1].call, idle, true, on_answer, &a[1]);
        }
        int before = answered;
        reopen(NULL);
        assert_int_equal(answered, before);
    }
}

static void a_free_ends_a_wait_for_a_foreign_lock(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.busy_ms = 3600000});
    do_sql("CREATE TABLE t(a)");
    sqlite3 *holder;
    assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    answer a;
    start(&a, "INSERT INTO t VALUES(1)");
    turn_until_busy(1);
    mg_database_free(db);
    sqlite3_close(holder);
    db = open_at(path, NULL);
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static void what_was_committed_is_in_the_file_afterwards(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    mg_database_free(db); // the open transaction is lost
    db = open_at(path, NULL);
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    do_sql("INSERT INTO t VALUES(2)");
    mg_database_free(db);
    char log[128];
    snprintf(log, sizeof log, "%s-wal", path);
    assert_int_equal(access(log, F_OK), -1); // moved into the file
    db = open_at(path, NULL);
    expect(NULL, "SELECT a FROM t", "(2)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_commit_shows_what_a_rollback_does_not),
        TEST(a_drop_rolls_back),
        TEST(a_drop_interrupts_what_runs_and_removes_what_waits),
        TEST(a_finished_call_of_a_dropped_session_is_not_heard_of),
        TEST(a_reading_transaction_sees_one_state_and_cannot_write),
        TEST(statements_of_a_session_keep_their_order),
        TEST(transactions_and_statements_wait_in_line),
        TEST(a_fault_leaves_the_transaction_usable),
        TEST(a_failed_commit_rolls_back),
        TEST(a_transaction_that_sqlite_rolled_back_says_so),
        TEST(rows_come_piece_by_piece),
        TEST(a_piece_of_large_rows_is_short),
        TEST(a_fault_while_fetching_is_not_an_end),
        TEST(opened_rows_that_write_are_kept_at_their_end_only),
        TEST(rows_that_cannot_be_opened_are_a_fault),
        TEST(a_running_statement_is_cancelled_and_its_connection_usable),
        TEST(a_waiting_statement_is_cancelled),
        TEST(a_finished_statement_is_cancelled_before_it_is_told),
        TEST(an_answer_may_cancel_another_call),
        TEST(after_a_cancel_a_transaction_can_only_be_rolled_back),
        TEST(a_cancelled_begin_takes_its_session_with_it),
        TEST(a_cancelled_end_rolls_back_and_tells_who_still_waited),
        TEST(a_call_that_waits_for_a_foreign_lock_is_cancelled_at_once),
        TEST(a_session_may_go_while_a_finished_call_of_it_waits),
        TEST(all_kinds_of_work_may_be_under_way_when_it_is_freed),
        TEST(a_free_ends_a_wait_for_a_foreign_lock),
        TEST(what_was_committed_is_in_the_file_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
