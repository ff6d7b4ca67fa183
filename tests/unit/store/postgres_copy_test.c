#include "postgres_rig.h"

#include "base/mem.h"

static mg_db_session *open_copy(answer *a, const char *sql, mg_db_copy copy) {
    mg_db_session *s = NULL;
    const mg_db_statement statement = {.sql = mg_str_of(sql), .max_rows = 1, .copy = copy};
    *a = (answer){0};
    inside_start = true;
    assert_int_equal(mg_database_open_rows(&a->call, db, &statement, &s, on_answer, a), MG_OK);
    inside_start = false;
    await(a);
    return s;
}

static void write_bytes(mg_db_session *s, answer *a, mg_str bytes, bool last) {
    *a = (answer){0};
    inside_start = true;
    assert_int_equal(mg_database_write(&a->call, s, bytes, last, on_answer, a), MG_OK);
    inside_start = false;
    await(a);
}

// The connection that was used serves others as before.
static void expect_clean(void) {
    turn_until_quiet();
    assert_int_equal(connections(), 1);
    expect(NULL, "SELECT 7", "(7)");
    expect(NULL,
           "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'",
           "(0)");
}

// --- out ---

static void little_comes_in_one_piece(void **state) {
    (void)state;
    answer a;
    open_copy(&a, "COPY (SELECT 1, 'a b' UNION ALL SELECT 2, NULL) TO STDOUT", MG_DB_COPY_OUT);
    assert_false(a.failed);
    assert_false(a.more);
    // 1 TAB a b LF 2 TAB \N LF
    assert_text("(x'31096120620a32095c4e0a')", mg_buf_str(&a.rows));
    assert_int_equal(a.affected, 2);
    answer_free(&a);
    expect_clean();
}

static void much_comes_in_pieces_as_it_is_asked_for(void **state) {
    (void)state;
    answer a;
    mg_db_session *s =
        open_copy(&a, "COPY (SELECT repeat('x', 999) FROM generate_series(1, 1000)) TO STDOUT",
                  MG_DB_COPY_OUT);
    size_t bytes = 0;
    int pieces = 0;
    for (;;) {
        assert_false(a.failed);
        bytes += a.count > 0 ? (a.rows.n - 5) / 2 : 0; // (x'..')
        pieces++;
        if (!a.more) {
            break;
        }
        assert_int_equal(a.count, 1);
        answer_free(&a);
        assert_int_equal(mg_database_fetch(&a.call, s, 1, on_answer, &a), MG_OK);
        await(&a);
    }
    assert_int_equal(bytes, 1000 * 1000);
    assert_int_equal(a.affected, 1000);
    assert_true(pieces > 10 && pieces < 20);
    answer_free(&a);
    mg_database_drop(s);
    expect_clean();
}

static void what_is_left_in_the_middle_leaves_a_clean_connection(void **state) {
    (void)state;
    answer a;
    mg_db_session *s =
        open_copy(&a, "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT", MG_DB_COPY_OUT);
    assert_true(a.more);
    mg_database_drop(s);
    answer_free(&a);
    expect_clean();
}

// --- in ---

static void what_is_written_is_there_behind_the_end(void **state) {
    (void)state;
    answer a;
    do_sql("CREATE TABLE t(n int, s text)");
    mg_db_session *s = open_copy(&a, "COPY t FROM STDIN", MG_DB_COPY_IN);
    assert_true(a.more);
    answer_free(&a);
    write_bytes(s, &a, MG_STR("1\ta\n2\t"), false);
    assert_true(a.more);
    answer_free(&a);
    write_bytes(s, &a, MG_STR("b\n"), false);
    answer_free(&a);
    write_bytes(s, &a, MG_STR("3\t\\N\n"), true);
    assert_false(a.failed);
    assert_false(a.more);
    assert_int_equal(a.affected, 3);
    answer_free(&a);
    mg_database_drop(s);
    expect(NULL, "SELECT n, s FROM t ORDER BY n", "(1, 'a')(2, 'b')(3, null)");
    expect_clean();
}

static void what_was_not_ended_is_not_kept(void **state) {
    (void)state;
    answer a;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = open_copy(&a, "COPY t FROM STDIN", MG_DB_COPY_IN);
    answer_free(&a);
    write_bytes(s, &a, MG_STR("1\n2\n"), false);
    answer_free(&a);
    mg_database_drop(s);
    expect_clean();
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static void a_slow_server_is_waited_for(void **state) {
    (void)state;
    answer a;
    do_sql("CREATE TABLE t(s text)");
    mg_db_session *s = open_copy(&a, "COPY t FROM STDIN", MG_DB_COPY_IN);
    answer_free(&a);
    server_does("signal", "STOP");
    enum { BYTES = 8 << 20 };
    char *much = mg_malloc(BYTES);
    memset(much, 'x', BYTES);
    much[BYTES - 1] = '\n';
    a = (answer){0};
    mg_str bytes = {much, BYTES};
    assert_int_equal(mg_database_write(&a.call, s, bytes, false, on_answer, &a), MG_OK);
    for (int i = 0; i < 50; i++) {
        mg_loop_turn(loop, false, false, 0);
    }
    assert_int_equal(a.calls, 0);
    answer other;
    assert_int_equal(mg_database_write(&other.call, s, bytes, false, on_answer, &other),
                     MG_ECLOSED); // one at a time
    server_does("signal", "CONT");
    await(&a);
    assert_false(a.failed);
    answer_free(&a);
    write_bytes(s, &a, MG_STR(""), true);
    assert_int_equal(a.affected, 1);
    answer_free(&a);
    mg_free(much);
    mg_database_drop(s);
    expect_clean();
}

// --- in a transaction ---

// The first piece of it, or that it takes data.
static void copy_inside(mg_db_session *s, answer *a, const char *sql, mg_db_copy copy) {
    const mg_db_statement statement = {
        .sql = mg_str_of(sql), .session = s, .max_rows = 1, .copy = copy};
    *a = (answer){0};
    inside_start = true;
    assert_int_equal(mg_database_query(&a->call, db, &statement, on_answer, a), MG_OK);
    inside_start = false;
    await(a);
}

static void savepoint(mg_db_session *s, const char *sql) {
    answer a = {0};
    const mg_db_statement statement = {.sql = mg_str_of(sql), .session = s, .savepoint = true};
    assert_int_equal(mg_database_query(&a.call, db, &statement, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    answer_free(&a);
}

static void what_a_transaction_copies_is_its_own(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    for (int keeps = 0; keeps < 2; keeps++) {
        answer a;
        answer before;
        mg_db_session *s = begin(true);
        start_in(db, s, &before, "INSERT INTO t VALUES (1)", NULL, 0); // it is waited for
        copy_inside(s, &a, "COPY t FROM STDIN", MG_DB_COPY_IN);
        assert_true(a.more);
        assert_int_equal(before.calls, 1);
        answer_free(&before);
        answer_free(&a);
        write_bytes(s, &a, MG_STR("2\n3\n"), true);
        assert_false(a.more);
        assert_int_equal(a.affected, 2);
        answer_free(&a);
        expect(s, "SELECT sum(n) FROM t", "(6)");
        copy_inside(s, &a, "COPY t TO STDOUT", MG_DB_COPY_OUT);
        assert_false(a.more);
        assert_text("(x'310a320a330a')", mg_buf_str(&a.rows));
        answer_free(&a);
        end(s, keeps);
        expect(NULL, "SELECT count(*) FROM t", keeps ? "(3)" : "(0)");
    }
    expect_clean();
}

static void a_copy_that_is_not_ended_ends_its_transaction(void **state) {
    (void)state;
    static const char *const copies[] = {"COPY t FROM STDIN",
                                         "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT"};
    do_sql("CREATE TABLE t(n int)");
    for (int i = 0; i < 4; i++) {
        answer a;
        mg_db_session *s = begin(true);
        copy_inside(s, &a, copies[i % 2], i % 2 == 0 ? MG_DB_COPY_IN : MG_DB_COPY_OUT);
        assert_true(a.more);
        answer_free(&a);
        expect_fault(s, "SELECT 1", "error", "not at its end");
        if (i < 2) {
            expect_failed_commit(s, "error", "rolled back");
        } else {
            mg_database_drop(s);
        }
        expect_clean();
    }
}

static void a_fault_of_a_copy_is_undone_with_its_part(void **state) {
    (void)state;
    answer a;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    savepoint(s, "SAVEPOINT moongate_1");
    copy_inside(s, &a, "COPY t FROM STDIN", MG_DB_COPY_IN);
    answer_free(&a);
    write_bytes(s, &a, MG_STR("1\nx\n"), true);
    assert_true(a.failed);
    answer_free(&a);
    expect_fault(s, "SELECT 1", "error", "aborted");
    savepoint(s, "ROLLBACK TO SAVEPOINT moongate_1");
    expect(s, "SELECT 1", "(1)");
    end(s, true);
    expect_clean();
}

// --- faults ---

static void faults_tell_the_line_and_leave_a_clean_connection(void **state) {
    (void)state;
    answer a;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = open_copy(&a, "COPY t FROM STDIN", MG_DB_COPY_IN);
    answer_free(&a);
    write_bytes(s, &a, MG_STR("1\nx\n"), true);
    assert_true(a.failed);
    assert_string_equal(a.fields[MG_DB_SQLSTATE], "22P02");
    answer_free(&a);
    mg_database_drop(s);
    expect_clean();
    open_copy(&a, "COPY missing FROM STDIN", MG_DB_COPY_IN);
    assert_true(a.failed);
    assert_string_equal(a.fields[MG_DB_SQLSTATE], "42P01");
    answer_free(&a);
    expect_clean();
}

static void refuses(const char *sql, mg_db_copy copy, const char *why) {
    answer a;
    open_copy(&a, sql, copy);
    assert_true(a.failed);
    contains(&a.message, why);
    answer_free(&a);
    expect_clean();
}

static void what_goes_the_other_way_is_refused(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    refuses("COPY t FROM STDIN", MG_DB_COPY_OUT, "it takes data");
    refuses("COPY (SELECT generate_series(1, 1000000000)) TO STDOUT", MG_DB_COPY_IN,
            "it gives data");
    refuses("SELECT 1", MG_DB_COPY_IN, "COPY ... FROM STDIN");
}

static void a_lost_connection_is_told(void **state) {
    (void)state;
    answer a;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = open_copy(&a, "COPY t FROM STDIN", MG_DB_COPY_IN);
    answer_free(&a);
    server_does("stop", "immediate");
    int rc = MG_OK;
    while (rc == MG_OK) {
        a = (answer){0};
        rc = mg_database_write(&a.call, s, MG_STR("1\n"), false, on_answer, &a);
        if (rc == MG_OK) {
            await(&a);
            rc = a.failed ? MG_ECLOSED : MG_OK;
            answer_free(&a);
        }
    }
    assert_int_equal(rc, MG_ECLOSED);
    mg_database_drop(s);
    start_server();
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static int set_up_one(void **state) {
    int rc = set_up(state);
    reopen("?pool=1");
    return rc;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_one, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(little_comes_in_one_piece),
        TEST(much_comes_in_pieces_as_it_is_asked_for),
        TEST(what_is_left_in_the_middle_leaves_a_clean_connection),
        TEST(what_is_written_is_there_behind_the_end),
        TEST(what_was_not_ended_is_not_kept),
        TEST(a_slow_server_is_waited_for),
        TEST(what_a_transaction_copies_is_its_own),
        TEST(a_copy_that_is_not_ended_ends_its_transaction),
        TEST(a_fault_of_a_copy_is_undone_with_its_part),
        TEST(faults_tell_the_line_and_leave_a_clean_connection),
        TEST(what_goes_the_other_way_is_refused),
        TEST(a_lost_connection_is_told),
    };
    return cmocka_run_group_tests_name("store/postgres_copy", tests, set_up_server,
                                       tear_down_server);
}
