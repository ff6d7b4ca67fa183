// Cancelling, dropping and freeing, at any moment.

#include "store/sqlite.h"

#include "database_rig.h"

#include <sqlite3.h>

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
    wait_for_threads(0);
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
    mg_db_session *s = begin(false);
    answer last = {0};
    mg_db_statement one = {.sql = MG_STR("SELECT 1"), .session = s};
    for (int i = 0; i < 2; i++) {
        answer *a = &neighbours[i];
        *a = (answer){0};
        assert_int_equal(mg_database_query(&a->call, db, &one, cancel_neighbour, a), MG_OK);
    }
    assert_int_equal(mg_database_end(&last.call, s, true, on_answer, &last), MG_OK);
    wait_for_threads(0);
    await(&last); // the session is gone when the first cancels the second
    assert_int_equal(neighbours[0].calls, 1);
    assert_int_equal(neighbours[1].calls, 0);
    answer_free(&neighbours[0]);
}

static void an_end_and_a_call_before_it_may_be_cancelled(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        mg_db_session *s = begin(false);
        answer a;
        answer last = {0};
        start_in(db, s, &a, "SELECT 1", NULL, 0);
        assert_int_equal(mg_database_end(&last.call, s, true, on_answer, &last), MG_OK);
        if (i % 2 == 0) {
            wait_for_threads(0);
        }
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

// --- everything at once ------------------------------------------------------

// One user of the database, who does legal things in no sensible order.
typedef struct user {
    mg_db_call *call; // under way
    mg_db_session *session;
    bool opening, rows, ending;
} user;

static void on_told(void *arg, const mg_db_rows *rows, const mg_db_fault *fault) {
    user *u = arg;
    bool none = u->opening && (fault != NULL || (u->rows && !rows->more));
    assert_non_null(u->call); // else it was cancelled
    u->call = NULL;
    if (u->ending || none) {
        u->session = NULL;
    }
    u->opening = u->ending = false;
}

static void begin_something(user *u) {
    static const char *const texts[] = {
        "SELECT count(*) FROM t",
        "INSERT INTO t VALUES(1) RETURNING a",
        "DELETE FROM t",
        "SELECT",
        "WITH x(a) AS (VALUES(1), (2)) INSERT INTO t SELECT a FROM x",
        "UPDATE t SET a = a + 1",
        "SELECT a, b FROM t, json_each('[1,2,3]') AS b",
    };
    mg_db_statement s = {.sql = mg_str_of(texts[rand() % 7])};
    int what = rand() % 8;
    int rc;
    if (what == 0) {
        rc = mg_database_begin(&u->call, db, (unsigned)rand() % 4, &u->session, on_told, u);
    } else if (what == 1) {
        s.nested = rand() % 2 == 0;
        s.max_rows = (uint32_t)rand() % 3;
        rc = mg_database_open_rows(&u->call, db, &s, &u->session, on_told, u);
    } else {
        rc = mg_database_query(&u->call, db, &s, on_told, u);
    }
    u->opening = what < 2;
    u->rows = what == 1;
    assert_int_equal(rc, MG_OK);
}

static void go_on(user *u) {
    mg_db_statement s = {.sql = MG_STR("INSERT INTO t VALUES(3)"), .session = u->session};
    int what = rand() % 6;
    if (what == 0) {
        mg_database_drop(u->session);
        u->session = NULL;
    } else if (what == 1) {
        u->ending = true;
        mg_database_end(&u->call, u->session, rand() % 2 == 0, on_told, u);
    } else if (u->rows) {
        mg_database_fetch(&u->call, u->session, 2, on_told, u);
    } else {
        mg_database_query(&u->call, db, &s, on_told, u);
    }
}

static void give_up(user *u) {
    if (u->session != NULL && !u->ending && rand() % 2 == 0) {
        mg_database_drop(u->session);
        u->session = NULL;
    } else {
        mg_database_cancel(u->call);
        u->session = u->opening || u->ending ? NULL : u->session;
    }
    u->call = NULL;
    u->opening = u->ending = false;
}

static void act(user *u) {
    if (u->call != NULL) {
        if (rand() % 8 == 0) {
            give_up(u);
        }
    } else if (u->session != NULL) {
        go_on(u);
    } else {
        begin_something(u);
    }
}

static void any_order_of_calls_ends_well(void **state) {
    (void)state;
    srand(7);
    reopen(&(mg_sqlite_options){.readers = 2, .statements = 4});
    do_sql("CREATE TABLE t(a)");
    user users[24] = {{0}};
    for (int i = 0; i < 4000; i++) {
        act(&users[rand() % 24]);
        if (rand() % 3 == 0) {
            mg_loop_turn(loop, false, false, 0);
        }
    }
    for (int i = 0; i < 24; i++) {
        if (users[i].call != NULL) {
            mg_database_cancel(users[i].call);
            if (users[i].opening || users[i].ending) {
                continue;
            }
        }
        if (users[i].session != NULL) {
            mg_database_drop(users[i].session);
        }
    }
    turn_until_quiet();
    do_sql("DELETE FROM t");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static void a_call_behind_an_idle_session_does_not_keep_the_loop_running(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    mg_db_session *s = begin(true);
    answer a[2];
    start(&a[0], "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"); // by way of a reader
    start(&a[1], "INSERT INTO t VALUES(1)");
    mg_loop_run(loop);
    assert_int_equal(a[0].calls + a[1].calls, 0);
    end(s, true);
    await_all(a, 2);
    assert_false(a[0].failed || a[1].failed);
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
        TEST(a_running_statement_is_cancelled_and_its_connection_usable),
        TEST(a_waiting_statement_is_cancelled),
        TEST(a_finished_statement_is_cancelled_before_it_is_told),
        TEST(an_answer_may_cancel_another_call),
        TEST(after_a_cancel_a_transaction_can_only_be_rolled_back),
        TEST(a_cancelled_begin_takes_its_session_with_it),
        TEST(a_cancelled_end_rolls_back_and_tells_who_still_waited),
        TEST(a_call_that_waits_for_a_foreign_lock_is_cancelled_at_once),
        TEST(a_session_may_go_while_a_finished_call_of_it_waits),
        TEST(an_end_and_a_call_before_it_may_be_cancelled),
        TEST(any_order_of_calls_ends_well),
        TEST(a_call_behind_an_idle_session_does_not_keep_the_loop_running),
        TEST(all_kinds_of_work_may_be_under_way_when_it_is_freed),
        TEST(a_free_ends_a_wait_for_a_foreign_lock),
        TEST(what_was_committed_is_in_the_file_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
