#include "store/sqlite.h"

#include "database_rig.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

// --- values ------------------------------------------------------------------

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
    start(&a, "SELECT id, hex(name) AS h, ok, x, b, NULL, 9223372036854775807 FROM t");
    await(&a);
    assert_text("id, h, ok, x, b, NULL, 9223372036854775807", mg_buf_str(&a.names));
    assert_text("(-9223372036854775808, '610062', true, 0.10000000000000001, x'00ff00', null, "
                "9223372036854775807)",
                mg_buf_str(&a.rows));
    assert_int_equal(a.affected, 0);
    assert_int_equal(a.last_id, 0);
    answer_free(&a);
    start(&a, "SELECT name FROM t");
    await(&a);
    assert_int_equal(a.rows.n, strlen("('')") + 3);
    assert_memory_equal(a.rows.p, "('a\0b')", a.rows.n);
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

static void only_columns_declared_so_are_booleans(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a BOOL, b bOOlean, c INTEGER, d BOOL)");
    do_sql("INSERT INTO t VALUES(1, 0, 1, 2)");
    expect(NULL, "SELECT a, b, c, d, a + 0 FROM t", "(true, false, 1, 2, 1)");
}

static void a_result_without_rows_has_names(void **state) {
    (void)state;
    answer a;
    start(&a, "SELECT 1 AS one, 2 AS two WHERE 0");
    await(&a);
    assert_text("one, two", mg_buf_str(&a.names));
    assert_int_equal(a.count, 0);
    answer_free(&a);
}

static void changed_rows_are_counted(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, n)");
    answer a[5];
    start(&a[0], "INSERT INTO t(n) VALUES(1), (2), (3)");
    start(&a[1], "UPDATE t SET n = n + 1 WHERE id > 1");
    start(&a[2], "CREATE TABLE u(x)");
    start(&a[3], "DELETE FROM t");
    start(&a[4], "DELETE FROM t");
    await_all(a, 5);
    const int want[] = {3, 2, 0, 3, 0};
    for (int i = 0; i < 5; i++) {
        assert_false(a[i].failed);
        assert_int_equal(a[i].affected, want[i]);
        assert_int_equal(a[i].last_id, i == 0 ? 3 : 0);
        answer_free(&a[i]);
    }
}

static void a_write_can_return_rows(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, n)");
    expect(NULL, "INSERT INTO t(n) VALUES(7), (8) RETURNING id, n", "(1, 7)(2, 8)");
    expect(NULL, "WITH x AS (SELECT 9 AS n) INSERT INTO t(n) SELECT n FROM x RETURNING id", "(3)");
    expect(NULL, "SELECT sum(n) FROM t", "(24)");
}

// --- text and parameters -----------------------------------------------------

static void parameters_go_by_their_numbers(void **state) {
    (void)state;
    const mg_db_value v[] = {{MG_DB_I64, .i64 = 10}, {MG_DB_I64, .i64 = 20}};
    static const char *const texts[][2] = {
        {"SELECT $2, $1, $2", "(20, 10, 20)"},
        {"SELECT ?, ?", "(10, 20)"},
        {"SELECT ?2, ?1", "(20, 10)"},
        {"SELECT $2", "(20)"},
        {"SELECT $02", "(20)"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (int twice = 0; twice < 2; twice++) {
            answer a;
            start_in(db, NULL, &a, texts[i][0], v, 2);
            await(&a);
            assert_text(texts[i][1], mg_buf_str(&a.rows));
            answer_free(&a);
        }
    }
}

static void check_count(const char *sql, uint32_t count, const char *message) {
    const mg_db_value v[3] = {{.kind = MG_DB_NULL}};
    answer a;
    start_in(db, NULL, &a, sql, v, count);
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, "syntax");
    contains(&a.message, message);
    answer_free(&a);
}

static void missing_and_surplus_parameters_are_named(void **state) {
    (void)state;
    check_count("SELECT $1, $2", 1, "the statement wants 2 parameters, 1 was given");
    check_count("SELECT $1", 3, "the statement wants 1 parameter, 3 were given");
    check_count("SELECT 1", 1, "the statement wants 0 parameters, 1 was given");
    check_count("SELECT :name", 1, "not :name");
    check_count("SELECT $x", 1, "not $x");
    check_count("SELECT $0", 1, "not $0");
}

static void exactly_one_statement_is_taken(void **state) {
    (void)state;
    expect(NULL, " \n-- a comment\n/* one * more */ SELECT 1 ; ; -- the end", "(1)");
    expect(NULL, "SELECT ';'", "(';')");
    expect(NULL, "SELECT 1 /* never ends", "(1)");
    expect_fault(NULL, "SELECT 1; SELECT 2", "syntax", "one statement at a time");
    expect_fault(NULL, "SELECT 1;;x", "syntax", "one statement at a time");
    expect_fault(NULL, "", "syntax", "the statement is empty");
    expect_fault(NULL, " -- nothing", "syntax", "the statement is empty");
    expect_fault(NULL, " ;/* nothing", "syntax", "the statement is empty");
}

static void syntax_faults_say_where(void **state) {
    (void)state;
    expect_fault(NULL, "SELECT 1 FORM t WHERE", "syntax", "syntax error (at byte");
    expect_fault(NULL, "SELECT x FROM nowhere", "syntax", "no such table: nowhere");
    expect_fault(NULL, "FLY TO moon", "syntax", "near \"FLY\"");
    answer a = {0};
    mg_db_statement s = {.sql = {"SELECT 1\0 garbage", 18}};
    assert_int_equal(mg_database_query(&a.call, db, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_string_equal(a.code, "syntax");
    answer_free(&a);
}

static void constraints_have_their_code_and_number(void **state) {
    (void)state;
    do_sql("CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
    do_sql("CREATE TABLE c(p INTEGER REFERENCES p)");
    do_sql("INSERT INTO p VALUES(1, 'a')");
    expect_fault(NULL, "INSERT INTO c VALUES(5)", "constraint", "FOREIGN KEY");
    answer a;
    start(&a, "INSERT INTO p VALUES(2, 'a')");
    await(&a);
    assert_string_equal(a.code, "constraint");
    assert_int_equal(a.native, SQLITE_CONSTRAINT_UNIQUE);
    contains(&a.message, "p.name");
    answer_free(&a);
}

static void statements_cannot_change_what_others_share(void **state) {
    (void)state;
    expect_fault(NULL, "BEGIN", "error", "use db:transaction(fn)");
    expect_fault(NULL, "COMMIT", "error", "use db:transaction(fn)");
    expect_fault(NULL, "/* x */ ROLLBACK", "error", "use db:transaction(fn)");
    expect_fault(NULL, "SAVEPOINT a", "error", "use db:transaction(fn)");
    expect_fault(NULL, "ATTACH 'x.db' AS x", "error", "ATTACH");
    expect_fault(NULL, "PRAGMA foreign_keys = OFF", "error", "PRAGMA");
    expect_fault(NULL, "PRAGMA journal_mode = DELETE", "error", "PRAGMA");
    expect_fault(NULL, "PRAGMA query_only = 1", "error", "PRAGMA");
    expect_fault(NULL, "SELECT load_extension('x')", "error", "not authorized");
    expect(NULL, "PRAGMA foreign_keys", "(1)");
    expect(NULL, "PRAGMA journal_mode", "('wal')");
    do_sql("PRAGMA user_version = 7");
    expect(NULL, "PRAGMA user_version", "(7)");
    do_sql("CREATE TABLE t(a)");
    expect(NULL, "SELECT name FROM pragma_table_info('t')", "('a')");
    expect_fault(NULL, "CREATE TEMP TABLE x(a)", "error", "temporary");
    expect_fault(NULL, "CREATE TEMP VIEW x AS SELECT 1", "error", "temporary");
    expect(NULL, "PRAGMA integrity_check", "('ok')");
    do_sql("VACUUM");
    char other[128];
    snprintf(other, sizeof other, "%s/b.db", folder);
    char sql[160];
    snprintf(sql, sizeof sql, "VACUUM INTO '%s'", other);
    expect_fault(NULL, sql, "error", "VACUUM INTO is not allowed");
    expect_fault(NULL, "VACUUM main INTO 'x' || '.db'", "error", "VACUUM INTO is not allowed");
    assert_int_equal(access(other, F_OK), -1);
    expect_fault(NULL, "SELECT load_extension('x.so')", "error", "not authorized");
    expect_fault(NULL, "PRAGMA wal_checkpoint(TRUNCATE)", "error", "PRAGMA");
    expect_fault(NULL, "PRAGMA temp_store_directory = '/tmp'", "error", "PRAGMA");
    do_sql("VACUUM");
}

// --- limits ------------------------------------------------------------------

static void await_limit(const mg_db_statement *s, const char *part) {
    answer a = {0};
    assert_int_equal(mg_database_query(&a.call, db, s, on_answer, &a), MG_OK);
    assert_int_equal(a.calls, 0);
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, "limit");
    contains(&a.message, part);
    answer_free(&a);
}

static void a_large_result_is_a_fault(void **state) {
    (void)state;
    mg_db_statement s = {.sql = MG_STR("SELECT zeroblob(5000)"), .max_bytes = 4000};
    await_limit(&s, "the result is larger than 4000 bytes");
    s.max_bytes = 6000;
    answer a = {0};
    assert_int_equal(mg_database_query(&a.call, db, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    answer_free(&a);
    s = (mg_db_statement){.sql = MG_STR("SELECT zeroblob(40000000), zeroblob(40000000)")};
    await_limit(&s, "67108864");
    s = (mg_db_statement){.sql = MG_STR("SELECT zeroblob(80000000)")};
    await_limit(&s, "too big");
}

static void a_write_whose_rows_are_too_large_changes_nothing(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(x)");
    mg_db_statement s = {.sql = MG_STR("INSERT INTO t VALUES(zeroblob(500)) RETURNING x"),
                         .max_bytes = 400};
    await_limit(&s, "400 bytes");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    do_sql("INSERT INTO t VALUES(1)"); // the writer is free
}

static void a_huge_statement_is_a_fault(void **state) {
    (void)state;
    char *text = mg_malloc(MG_DB_SQL_MAX + 1);
    memset(text, ' ', MG_DB_SQL_MAX + 1);
    mg_db_statement s = {.sql = {text, MG_DB_SQL_MAX + 1}};
    await_limit(&s, "1 MiB");
    mg_db_value *many = mg_calloc(MG_DB_PARAMETERS_MAX + 1, sizeof *many);
    s = (mg_db_statement){
        .sql = MG_STR("SELECT 1"), .values = many, .count = MG_DB_PARAMETERS_MAX + 1};
    await_limit(&s, "parameters");
    mg_free(many);
    mg_free(text);
}

static void a_full_queue_refuses(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.queue = 2});
    mg_db_session *s = begin(true);
    answer a[2];
    start(&a[0], "CREATE TABLE t(a)");
    start(&a[1], "CREATE TABLE u(a)");
    mg_db_call *call = NULL;
    mg_db_session *other = NULL;
    mg_db_statement late = {.sql = MG_STR("SELECT 1")};
    assert_int_equal(mg_database_query(&call, db, &late, on_answer, NULL), MG_ELIMIT);
    assert_int_equal(mg_database_begin(&call, db, true, &other, on_answer, NULL), MG_ELIMIT);
    assert_int_equal(mg_database_open_rows(&call, db, &late, &other, on_answer, NULL), MG_ELIMIT);
    end(s, true); // an end always finds room
    await_all(a, 2);
    expect(NULL, "SELECT 1", "(1)");
}

static void few_prepared_statements_are_kept(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.statements = 2, .readers = 1});
    for (int i = 0; i < 30; i++) {
        char sql[40];
        char want[16];
        snprintf(sql, sizeof sql, "SELECT %d", i % 5);
        snprintf(want, sizeof want, "(%d)", i % 5);
        expect(NULL, sql, want);
    }
}

static void a_changed_schema_is_noticed(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    do_sql("INSERT INTO t VALUES(1)");
    expect(NULL, "SELECT * FROM t", "(1)");
    do_sql("ALTER TABLE t ADD COLUMN b BOOL DEFAULT 1");
    expect(NULL, "SELECT * FROM t", "(1, true)");
    do_sql("DROP TABLE t");
    answer a;
    start(&a, "SELECT * FROM t");
    await(&a);
    assert_true(a.failed);
    contains(&a.message, "no such table");
    answer_free(&a);
}

// --- files -------------------------------------------------------------------

static void opening_says_what_is_wrong(void **state) {
    (void)state;
    char where[128];
    mg_error err = {""};
    mg_database *d = NULL;
    snprintf(where, sizeof where, "%s/none/a.db", folder);
    assert_true(mg_sqlite_open(&d, loop, &(mg_sqlite_options){.path = where}, &err) < 0);
    assert_non_null(strstr(err.text, where));
    assert_non_null(strstr(err.text, "No such file or directory"));

    snprintf(where, sizeof where, "%s/b.db", folder);
    FILE *f = fopen(where, "w");
    for (int i = 0; i < 100; i++) {
        fputs("this is no database, is it? ", f);
    }
    fclose(f);
    assert_true(mg_sqlite_open(&d, loop, &(mg_sqlite_options){.path = where}, &err) < 0);
    assert_non_null(strstr(err.text, where));
    assert_non_null(strstr(err.text, "file is not a database"));
}

static void remove_files(const char *where) {
    char file[128];
    const char *const ends[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s%s", where, ends[i]);
        unlink(file);
    }
}

static void open_in_a_child(const char *where, const int gate[2]) {
    if (fork() != 0) {
        return;
    }
    close(gate[1]); // the others of it go with the test's own
    char c;
    mg_loop *own = NULL;
    mg_database *d = NULL;
    mg_error err = {""};
    bool good = read(gate[0], &c, 1) == 0 && mg_loop_new(&own, NULL) == 0 &&
                mg_sqlite_open(&d, own, &(mg_sqlite_options){.path = where}, &err) == 0;
    fprintf(stderr, "%s", err.text);
    _exit(good ? 0 : 1);
}

static void workers_may_make_the_same_file_at_once(void **state) {
    (void)state;
    mg_database_free(db); // a fork takes no threads along
    db = NULL;
    for (int round = 0; round < 20; round++) {
        char where[128];
        snprintf(where, sizeof where, "%s/b.db", folder);
        int gate[2];
        assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
        for (int i = 0; i < 6; i++) {
            open_in_a_child(where, gate);
        }
        close(gate[0]);
        close(gate[1]);
        int status;
        while (wait(&status) > 0) {
            assert_int_equal(status, 0);
        }
        remove_files(where);
    }
}

static void a_removed_file_is_a_fault_at_most(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    remove_files(path);
    answer a[2];
    start(&a[0], "SELECT * FROM t"); // its reader has not opened the file yet
    start(&a[1], "INSERT INTO t VALUES(1)");
    await_all(a, 2);
    assert_true(a[0].failed);
    assert_string_equal(a[0].code, "error");
    contains(&a[0].message, "unable to open");
    answer_free(&a[0]);
    answer_free(&a[1]);
}

static void a_corrupt_file_is_a_fault(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    do_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
           "INSERT INTO t SELECT hex(randomblob(50)) FROM n");
    mg_database_free(db);
    int fd = open(path, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    for (off_t at = 4096; at + 4096 <= size; at += 4096) {
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    }
    close(fd);
    db = open_at(path, NULL);
    expect_fault(NULL, "SELECT sum(length(a)) FROM t", "error", "malformed");
    expect_fault(NULL, "INSERT INTO t VALUES(1)", "error", "malformed");
    expect(NULL, "SELECT 1", "(1)");
}

static void a_full_disk_is_a_fault(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    struct rlimit old;
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){200000, old.rlim_max});
    answer a;
    start(&a, "INSERT INTO t VALUES(zeroblob(1000000))");
    await(&a);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(a.failed);
    assert_string_equal(a.code, "error");
    answer_free(&a);
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    do_sql("INSERT INTO t VALUES(zeroblob(1000000))"); // there is room again
    expect(NULL, "SELECT count(*) FROM t", "(1)");
}

static void another_holder_of_the_lock_makes_it_busy(void **state) {
    (void)state;
    reopen(&(mg_sqlite_options){.busy_ms = 30});
    do_sql("CREATE TABLE t(a)");
    sqlite3 *holder;
    assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    expect_fault(NULL, "INSERT INTO t VALUES(1)", "busy", "locked");
    answer a = {0};
    mg_db_session *s = NULL;
    assert_int_equal(mg_database_begin(&a.call, db, true, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, "busy");
    answer_free(&a);
    expect(NULL, "SELECT count(*) FROM t", "(0)"); // readers do not care
    sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL);
    do_sql("INSERT INTO t VALUES(1)");
    sqlite3_close(holder);
}

static void a_lock_that_is_released_in_time_is_no_fault(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(a)");
    sqlite3 *holder;
    assert_int_equal(sqlite3_open(path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    answer a;
    start(&a, "INSERT INTO t VALUES(1)");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    assert_int_equal(a.calls, 0);
    sqlite3_exec(holder, "COMMIT", NULL, NULL, NULL);
    await(&a);
    assert_false(a.failed);
    sqlite3_close(holder);
}

static void in_memory_one_connection_does_all(void **state) {
    (void)state;
    mg_database_free(db);
    db = open_at(":memory:", NULL);
    do_sql("CREATE TABLE t(a)");
    do_sql("INSERT INTO t VALUES(1)");
    expect(NULL, "SELECT a FROM t", "(1)");
    mg_db_session *s = begin(false);
    answer a;
    start(&a, "SELECT a + 1 FROM t"); // waits for the session
    expect(s, "SELECT a FROM t", "(1)");
    expect_fault(s, "DELETE FROM t", "readonly", "only reads");
    assert_int_equal(a.calls, 0);
    mg_database_drop(s);
    await(&a);
    assert_text("(2)", mg_buf_str(&a.rows));
    answer_free(&a);
    mg_database_stats stats;
    mg_database_read_stats(db, &stats);
    assert_int_equal(stats.connections, 1);
}

static void two_databases_at_once_are_two(void **state) {
    (void)state;
    char where[128];
    snprintf(where, sizeof where, "%s/b.db", folder);
    mg_database *other = open_at(where, NULL);
    do_sql("CREATE TABLE t AS SELECT 'a' AS name");
    answer a[2];
    start_in(other, NULL, &a[0], "CREATE TABLE t AS SELECT 'b' AS name", NULL, 0);
    await(&a[0]);
    start_in(other, NULL, &a[1], "SELECT name FROM t", NULL, 0);
    await(&a[1]);
    assert_text("('b')", mg_buf_str(&a[1].rows));
    expect(NULL, "SELECT name FROM t", "('a')");
    answer_free(&a[1]);
    mg_database_free(other);
    expect(NULL, "SELECT name FROM t", "('a')");
}

// --- many at once ------------------------------------------------------------

static void two_hundred_calls_at_once_all_come_back(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id INTEGER PRIMARY KEY, n)");
    static answer a[200];
    for (int i = 0; i < 200; i++) {
        const mg_db_value v = {MG_DB_I64, .i64 = i};
        start_in(db, NULL, &a[i], i % 2 == 0 ? "INSERT INTO t(n) VALUES($1)" : "SELECT $1", &v, 1);
    }
    await_all(a, 200);
    for (int i = 0; i < 200; i++) {
        assert_false(a[i].failed);
        if (i % 2 == 0) {
            assert_int_equal(a[i].last_id, i / 2 + 1); // in the order of their start
        }
        answer_free(&a[i]);
    }
    expect(NULL, "SELECT count(*), sum(n) FROM t", "(100, 9900)");
    mg_database_stats stats;
    mg_database_read_stats(db, &stats);
    assert_int_equal(stats.statements, 202);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.busy, 0);
    assert_int_equal(stats.faults, 0);
}

static void a_read_after_a_write_sees_it(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n)");
    do_sql("INSERT INTO t VALUES(0)");
    for (int i = 1; i <= 50; i++) {
        char want[16];
        snprintf(want, sizeof want, "(%d)", i);
        do_sql("UPDATE t SET n = n + 1");
        expect(NULL, "SELECT n FROM t", want);
    }
}

static void a_call_keeps_the_loop_running(void **state) {
    (void)state;
    answer a;
    start(&a, "SELECT 1");
    mg_loop_run(loop);
    assert_int_equal(a.calls, 1);
    answer_free(&a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_come_back_as_they_were_stored),
        TEST(empty_texts_are_not_null),
        TEST(only_columns_declared_so_are_booleans),
        TEST(a_result_without_rows_has_names),
        TEST(changed_rows_are_counted),
        TEST(a_write_can_return_rows),
        TEST(parameters_go_by_their_numbers),
        TEST(missing_and_surplus_parameters_are_named),
        TEST(exactly_one_statement_is_taken),
        TEST(syntax_faults_say_where),
        TEST(constraints_have_their_code_and_number),
        TEST(statements_cannot_change_what_others_share),
        TEST(a_large_result_is_a_fault),
        TEST(a_write_whose_rows_are_too_large_changes_nothing),
        TEST(a_huge_statement_is_a_fault),
        TEST(a_full_queue_refuses),
        TEST(few_prepared_statements_are_kept),
        TEST(a_changed_schema_is_noticed),
        TEST(opening_says_what_is_wrong),
        TEST(workers_may_make_the_same_file_at_once),
        TEST(a_removed_file_is_a_fault_at_most),
        TEST(a_corrupt_file_is_a_fault),
        TEST(a_full_disk_is_a_fault),
        TEST(another_holder_of_the_lock_makes_it_busy),
        TEST(a_lock_that_is_released_in_time_is_no_fault),
        TEST(in_memory_one_connection_does_all),
        TEST(two_databases_at_once_are_two),
        TEST(two_hundred_calls_at_once_all_come_back),
        TEST(a_read_after_a_write_sees_it),
        TEST(a_call_keeps_the_loop_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
