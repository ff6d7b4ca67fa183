#include "postgres_rig.h"

#include <math.h>

// --- values ---

static void values_keep_their_types(void **state) {
    (void)state;
    expect(NULL,
           "SELECT 9223372036854775807::int8, 7::int2, 1.5::float8, true, NULL, 'x'::text, "
           "'\\x00ff'::bytea, 12345678901234567890.10::numeric, '2024-02-29 12:00:00'::timestamp",
           "(9223372036854775807, 7, 1.5, true, null, 'x', x'00ff', '12345678901234567890.10', "
           "'2024-02-29 12:00:00')");
}

static void json_and_arrays_are_json(void **state) {
    (void)state;
    expect(NULL,
           "SELECT '{\"a\": [1, null]}'::jsonb, ARRAY[1, NULL, 3], ARRAY['a b', 'c\"d', NULL]",
           "({\"a\": [1, null]}, [1,null,3], [\"a b\",\"c\\\"d\",null])");
    expect(NULL, "SELECT ARRAY[[1, 2], [3, 4]], ARRAY[true, false], '{}'::int[], ARRAY[1.10]",
           "([[1,2],[3,4]], [true,false], [], [\"1.10\"])");
}

static void what_has_no_type_of_lua_is_text(void **state) {
    (void)state;
    expect(NULL,
           "SELECT '[1,5)'::int4range, '{\"[1,2)\"}'::int4range[], 'a0eebc99-9c0b-4ef8-bb6d-"
           "6bb9bd380a11'::uuid, '1 day'::interval",
           "('[1,5)', [\"[1,2)\"], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1 day')");
}

static void types_are_left_as_text_if_that_is_wished(void **state) {
    (void)state;
    static const uint32_t raw[] = {3802, 23}; // jsonb, int4
    const mg_db_statement s = {
        .sql = MG_STR("SELECT 7::int4, 8::int8, '{\"a\":1}'::jsonb, NULL::int4"),
        .raw = raw,
        .raw_count = 2,
    };
    answer a = {0};
    assert_int_equal(mg_database_query(&a.call, db, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_text("('7', 8, '{\"a\": 1}', null)", mg_buf_str(&a.rows));
    answer_free(&a);
}

static void parameters_arrive_as_they_are(void **state) {
    (void)state;
    const mg_db_value values[] = {
        {MG_DB_I64, .i64 = INT64_MIN},
        {MG_DB_TEXT, .text = {"it's", 4}},
        {MG_DB_BOOL, .i64 = 1},
        {MG_DB_DOUBLE, .number = 0.1},
        {MG_DB_BLOB, .text = {"\0\xff\0", 3}},
        {.kind = MG_DB_NULL},
        {MG_DB_TEXT, .text = {NULL, 0}},
        {MG_DB_DOUBLE, .number = 0.1},
        {MG_DB_DOUBLE, .number = -INFINITY},
    };
    answer a;
    start_in(db, NULL, &a,
             "SELECT $1::int8, $2::text, $3::bool, $4::float8, $5::bytea, $6::int, $7, "
             "$8::numeric, $9::float8",
             values, 9);
    await(&a);
    assert_text("(-9223372036854775808, 'it's', true, 0.10000000000000001, x'00ff00', null, '', "
                "'0.1', -inf)",
                mg_buf_str(&a.rows));
    answer_free(&a);
}

static void a_text_with_a_nul_is_refused(void **state) {
    (void)state;
    const mg_db_value value = {MG_DB_TEXT, .text = {"a\0b", 3}};
    answer a;
    start_in(db, NULL, &a, "SELECT $1", &value, 1);
    await(&a);
    assert_true(a.failed);
    contains(&a.message, "moongate.blob");
    answer_free(&a);
}

static void changed_rows_are_counted(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id serial PRIMARY KEY, n int)");
    answer a[4];
    start(&a[0], "INSERT INTO t(n) VALUES(1), (2), (3)");
    await(&a[0]);
    start(&a[1], "UPDATE t SET n = n + 1 WHERE id > 1");
    await(&a[1]);
    start(&a[2], "SELECT n FROM t ORDER BY id");
    await(&a[2]);
    start(&a[3], "DELETE FROM t RETURNING id");
    await(&a[3]);
    const int want[] = {3, 2, 0, 3};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(a[i].affected, want[i]);
        answer_free(&a[i]);
    }
}

// --- faults ---

static void faults_tell_what_the_server_said(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(id int CONSTRAINT only_one PRIMARY KEY, name text NOT NULL)");
    do_sql("INSERT INTO t VALUES(1, 'a')");
    answer a;
    start(&a, "INSERT INTO t VALUES(1, 'b')");
    await(&a);
    assert_string_equal(a.code, "constraint");
    assert_string_equal(a.fields[MG_DB_SQLSTATE], "23505");
    assert_string_equal(a.fields[MG_DB_CONSTRAINT], "only_one");
    assert_string_equal(a.fields[MG_DB_TABLE], "t");
    assert_string_equal(a.fields[MG_DB_DETAIL], "Key (id)=(1) already exists.");
    answer_free(&a);
    start(&a, "INSERT INTO t VALUES(2, NULL)");
    await(&a);
    assert_string_equal(a.fields[MG_DB_COLUMN], "name");
    answer_free(&a);
    const mg_db_value superfluous = {.kind = MG_DB_I64, .i64 = 1};
    start_in(db, NULL, &a, "SELECT 1", &superfluous, 1);
    await(&a);
    assert_string_equal(a.code,
                        "error"); // the server's word for it is of a lost connection's class
    assert_string_equal(a.fields[MG_DB_SQLSTATE], "08P01");
    answer_free(&a);
    start(&a, "SELECT nothing");
    await(&a);
    assert_string_equal(a.code, "syntax");
    assert_string_equal(a.fields[MG_DB_POSITION], "8");
    answer_free(&a);
}

static void a_fault_is_none_of_the_neighbours(void **state) {
    (void)state;
    reopen("?pool=1");
    answer a[30];
    for (int i = 0; i < 30; i++) {
        start(&a[i], i % 3 == 1 ? "SELECT wrong" : i % 3 == 2 ? "SELECT 1/0" : "SELECT 1");
    }
    await_all(a, 30);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(a[i].failed, i % 3 != 0);
        answer_free(&a[i]);
    }
    assert_int_equal(connections(), 1);
}

static void exactly_one_statement_is_taken(void **state) {
    (void)state;
    expect_fault(NULL, "SELECT 1; SELECT 2", "syntax", "multiple commands");
    expect_fault(NULL, "", "syntax", "empty");
    expect_fault(NULL, "COPY (SELECT 1) TO STDOUT", "error", "COPY");
    expect(NULL, "SELECT 1", "(1)");
}

static void a_result_beyond_its_limit_fails(void **state) {
    (void)state;
    answer a = {0};
    const mg_db_statement s = {
        .sql = MG_STR("SELECT repeat('x', 1000), generate_series(1, 1000000)"),
        .max_bytes = 100000,
    };
    assert_int_equal(mg_database_query(&a.call, db, &s, on_answer, &a), MG_OK);
    await(&a);
    assert_string_equal(a.code, "limit");
    contains(&a.message, "larger than 100000 bytes");
    answer_free(&a);
}

// --- prepared statements ---

static void statements_are_prepared_once_and_kept_in_bounds(void **state) {
    (void)state;
    reopen("?pool=1&statements=4");
    char sql[40];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10; i++) {
            snprintf(sql, sizeof sql, "SELECT %d", i);
            answer a;
            start(&a, sql);
            await(&a);
            assert_false(a.failed);
            answer_free(&a);
        }
    }
    expect(NULL, "SELECT count(*) FROM pg_prepared_statements", "(4)");
    expect(NULL, "SELECT count(*) FROM pg_prepared_statements", "(4)");
}

static void a_plan_that_fits_no_more_is_made_anew(void **state) {
    (void)state;
    reopen("?pool=1");
    do_sql("CREATE TABLE t(a int)");
    do_sql("INSERT INTO t VALUES(1)");
    expect(NULL, "SELECT * FROM t", "(1)");
    do_sql("ALTER TABLE t ADD COLUMN b text");
    expect(NULL, "SELECT * FROM t", "(1, null)");
    expect(NULL, "SELECT 7", "(7)");
    do_sql("DEALLOCATE ALL");
    expect(NULL, "SELECT 7", "(7)");
}

static void without_preparing_nothing_stays_at_the_server(void **state) {
    (void)state;
    reopen("?pool=1&prepare=false");
    const mg_db_value value = {MG_DB_I64, .i64 = 7};
    answer a;
    start_in(db, NULL, &a, "SELECT $1::int", &value, 1);
    await(&a);
    assert_text("(7)", mg_buf_str(&a.rows));
    answer_free(&a);
    expect(NULL, "SELECT count(*) FROM pg_prepared_statements", "(0)");
}

// --- transactions ---

static void a_transaction_is_seen_when_it_is_committed(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    end(s, true);
    expect(NULL, "SELECT count(*) FROM t", "(1)");
    s = begin(true);
    expect(s, "INSERT INTO t VALUES(2)", "");
    end(s, false);
    expect(NULL, "SELECT count(*) FROM t", "(1)");
}

static void a_transaction_that_only_reads_cannot_write(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(false);
    expect_fault(s, "INSERT INTO t VALUES(1)", "readonly", "read-only");
    end(s, false);
}

static void a_transaction_is_isolated_as_it_was_begun(void **state) {
    (void)state;
    static const struct {
        unsigned flags;
        const char *isolation;
    } wanted[] = {
        {MG_DB_WRITE, "('read committed')"},
        {MG_DB_WRITE | MG_DB_READ_COMMITTED, "('read committed')"},
        {MG_DB_REPEATABLE_READ, "('repeatable read')"},
        {MG_DB_SERIALIZABLE | MG_DB_DEFERRABLE, "('serializable')"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        answer a = {0};
        mg_db_session *s = NULL;
        assert_int_equal(mg_database_begin(&a.call, db, wanted[i].flags, &s, on_answer, &a), MG_OK);
        await(&a);
        expect(s, "SHOW transaction_isolation", wanted[i].isolation);
        bool defers = (wanted[i].flags & MG_DB_DEFERRABLE) != 0;
        expect(s, "SHOW transaction_deferrable", defers ? "('on')" : "('off')");
        end(s, false);
        answer_free(&a);
    }
}

static void save(mg_db_session *s, const char *sql) {
    answer a = {0};
    const mg_db_statement save = {.sql = mg_str_of(sql), .session = s, .savepoint = true};
    assert_int_equal(mg_database_query(&a.call, db, &save, on_answer, &a), MG_OK);
    await(&a);
    assert_false(a.failed);
    answer_free(&a);
}

static void what_follows_a_savepoint_can_be_undone_alone(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    save(s, "SAVEPOINT a");
    expect(s, "INSERT INTO t VALUES(2)", "");
    expect_fault(s, "SELECT wrong", "syntax", "wrong");
    save(s, "ROLLBACK TO SAVEPOINT a");
    expect(s, "INSERT INTO t VALUES(3)", "");
    end(s, true);
    expect(NULL, "SELECT n FROM t ORDER BY n", "(1)(3)");
}

static void statements_make_no_transactions_and_no_settings(void **state) {
    (void)state;
    expect_fault(NULL, "BEGIN", "error", "db:transaction");
    expect_fault(NULL, "SET search_path = x", "error", "SET LOCAL");
    mg_db_session *s = begin(true);
    expect_fault(s, "COMMIT", "error", "db:transaction");
    expect(s, "SET LOCAL search_path = x", "");
    end(s, true);
}

static void a_commit_after_a_fault_says_that_it_rolled_back(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    expect_fault(s, "SELECT wrong", "syntax", "wrong");
    expect_failed_commit(s, "error", "rolled back");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
}

static void a_dropped_transaction_is_rolled_back(void **state) {
    (void)state;
    reopen("?pool=2");
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    answer a;
    start_in(db, s, &a, "SELECT pg_sleep(60)", NULL, 0);
    mg_database_drop(s);
    turn_until_quiet();
    assert_int_equal(a.calls, 0);
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    answer_free(&a);
}

static void a_dropped_transaction_rolls_back_behind_what_was_cancelled_before(void **state) {
    (void)state;
    reopen("?pool=1");
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    answer a;
    start_in(db, s, &a, "INSERT INTO t SELECT 1 FROM pg_sleep(0.05)", NULL, 0);
    mg_database_cancel(a.call);
    mg_database_drop(s);
    turn_until_quiet();
    assert_int_equal(a.calls, 0);
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    answer_free(&a);
}

static void a_dropped_transaction_tells_nothing_of_what_it_had_refused(void **state) {
    (void)state;
    const mg_db_value value = {MG_DB_TEXT, .text = {"a\0b", 3}};
    mg_db_session *s = begin(true);
    answer a;
    start_in(db, s, &a, "SELECT $1", &value, 1);
    mg_database_drop(s);
    turn_until_quiet();
    expect(NULL, "SELECT 1", "(1)");
    assert_int_equal(a.calls, 0);
}

static void transactions_wait_for_a_connection_and_statements_do_not(void **state) {
    (void)state;
    reopen("?pool=2");
    mg_db_session *held = begin(true);
    mg_db_session *waiting = NULL;
    answer a = {0};
    assert_int_equal(mg_database_begin(&a.call, db, MG_DB_WRITE, &waiting, on_answer, &a), MG_OK);
    expect(NULL, "SELECT 1", "(1)");
    assert_int_equal(a.calls, 0);
    end(held, true);
    await(&a);
    end(waiting, false);
    answer_free(&a);
}

static void who_holds_one_gets_another_or_is_refused(void **state) {
    (void)state;
    reopen("?pool=1");
    mg_db_session *held[8];
    held[0] = begin(true);
    uint32_t n = 1;
    answer a;
    do {
        a = (answer){0};
        unsigned flags = MG_DB_WRITE | MG_DB_NESTED;
        assert_int_equal(mg_database_begin(&a.call, db, flags, &held[n], on_answer, &a), MG_OK);
        await(&a);
        n += !a.failed;
    } while (!a.failed && n < 8);
    assert_int_equal(n, 5);
    assert_string_equal(a.code, "limit");
    answer_free(&a);
    while (n > 0) {
        end(held[--n], false);
    }
}

// --- rows piece by piece ---

static void rows_come_in_pieces_of_the_size_asked_for(void **state) {
    (void)state;
    const mg_db_statement s = {.sql = MG_STR("SELECT generate_series(1, 25)"), .max_rows = 10};
    mg_db_session *session = NULL;
    answer a = {0};
    assert_int_equal(mg_database_open_rows(&a.call, db, &s, &session, on_answer, &a), MG_OK);
    await(&a);
    uint32_t total = a.count;
    assert_int_equal(a.count, 10);
    assert_true(a.more);
    while (a.more) {
        answer_free(&a);
        assert_int_equal(mg_database_fetch(&a.call, session, 10, on_answer, &a), MG_OK);
        await(&a);
        total += a.count;
    }
    assert_int_equal(total, 25);
    mg_database_drop(session);
    answer_free(&a);
    expect(NULL, "SELECT 1", "(1)");
}

static void few_rows_need_no_session(void **state) {
    (void)state;
    const mg_db_statement s = {.sql = MG_STR("SELECT 1"), .max_rows = 10};
    mg_db_session *session = NULL;
    answer a = {0};
    assert_int_equal(mg_database_open_rows(&a.call, db, &s, &session, on_answer, &a), MG_OK);
    await(&a);
    assert_int_equal(a.count, 1);
    assert_false(a.more);
    answer_free(&a);
    turn_until_quiet();
}

static void rows_that_nobody_reads_on_are_interrupted(void **state) {
    (void)state;
    reopen("?pool=2");
    const mg_db_statement s = {
        .sql = MG_STR("SELECT repeat('x', 1000), generate_series(1, 1000000000)"),
        .max_rows = 10,
    };
    mg_db_session *session = NULL;
    answer a = {0};
    assert_int_equal(mg_database_open_rows(&a.call, db, &s, &session, on_answer, &a), MG_OK);
    await(&a);
    assert_true(a.more);
    mg_database_drop(session);
    turn_until_quiet();
    answer_free(&a);
    expect(NULL, "SELECT 1", "(1)");
}

// --- cancellation ---

static void a_cancelled_statement_is_interrupted_and_no_other_is(void **state) {
    (void)state;
    reopen("?pool=1");
    answer a[5];
    start(&a[0], "SELECT pg_sleep(60)");
    turn_until_busy(1);
    mg_database_cancel(a[0].call);
    for (int i = 1; i < 5; i++) {
        start(&a[i], "SELECT pg_sleep(0.02)");
    }
    await_all(a + 1, 4);
    for (int i = 1; i < 5; i++) {
        assert_false(a[i].failed);
        answer_free(&a[i]);
    }
    assert_int_equal(a[0].calls, 0);
    answer_free(&a[0]);
}

static void canaries_survive_a_storm_of_cancellations(void **state) {
    (void)state;
    reopen("?pool=4");
    unsigned seed = 7;
    for (int round = 0; round < 40; round++) {
        answer victims[25];
        answer canaries[10];
        for (int i = 0; i < 25; i++) {
            start(&victims[i], rand_r(&seed) % 2 ? "SELECT pg_sleep(0.03)" : "SELECT 1");
            if (i < 10) {
                start(&canaries[i], "SELECT pg_sleep(0.001)");
            }
        }
        for (int i = 0; i < 25; i++) {
            if (rand_r(&seed) % 2 && victims[i].calls == 0) {
                mg_database_cancel(victims[i].call);
                victims[i].calls = 1;
            }
            mg_loop_turn(loop, false, false, 0);
        }
        await_all(canaries, 10);
        for (int i = 0; i < 25; i++) {
            await(&victims[i]);
            assert_false(victims[i].failed);
            answer_free(&victims[i]);
        }
        for (int i = 0; i < 10; i++) {
            if (canaries[i].failed) {
                fail_msg("a canary was hit: %s", canaries[i].message.p);
            }
            answer_free(&canaries[i]);
        }
    }
}

static void a_transaction_whose_statement_was_cancelled_rolls_back(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    mg_db_session *s = begin(true);
    expect(s, "INSERT INTO t VALUES(1)", "");
    answer a;
    start_in(db, s, &a, "SELECT pg_sleep(60)", NULL, 0);
    mg_database_cancel(a.call);
    expect_fault(s, "SELECT 1", "error", "given up");
    expect_failed_commit(s, "error", "rolled back");
    expect(NULL, "SELECT count(*) FROM t", "(0)");
    answer_free(&a);
}

// --- servers that fail ---

static void a_server_that_says_no_is_not_waited_for(void **state) {
    (void)state;
    mg_database_free(db);
    char url[128];
    mg_error err;
    snprintf(url, sizeof url, "postgres://moongate:secret@127.0.0.1:%d/missing", server_port);
    assert_int_equal(mg_postgres_open(&db, loop, &(mg_postgres_options){.url = url}, &err), MG_OK);
    expect_fault(NULL, "SELECT 1", "closed", "database \"missing\" does not exist");
    answer a;
    start(&a, "SELECT 1");
    await(&a);
    assert_null(memmem(a.message.p, a.message.n, "secret", 6));
    answer_free(&a);
}

static void a_name_that_is_none_is_told(void **state) {
    (void)state;
    mg_database_free(db);
    mg_error err;
    const mg_postgres_options o = {.url = "postgres://nobody.invalid/x?wait=1",
                                   .nameservers = "127.0.0.1:1"};
    assert_int_equal(mg_postgres_open(&db, loop, &o, &err), MG_OK);
    expect_fault(NULL, "SELECT 1", "closed", "nobody.invalid");
}

static void the_second_host_serves_when_the_first_does_not(void **state) {
    (void)state;
    mg_database_free(db);
    char url[128];
    mg_error err;
    snprintf(url, sizeof url, "postgres://moongate@127.0.0.1:1,127.0.0.1:%d/postgres", server_port);
    assert_int_equal(mg_postgres_open(&db, loop, &(mg_postgres_options){.url = url}, &err), MG_OK);
    expect(NULL, "SELECT 1", "(1)");
}

static void what_ran_when_the_server_went_fails_once_and_the_pool_returns(void **state) {
    (void)state;
    do_sql("CREATE TABLE t(n int)");
    answer a;
    start(&a, "INSERT INTO t SELECT 1 FROM pg_sleep(60)");
    turn_until_busy(1);
    mg_db_session *s = begin(true);
    server_does("stop", "immediate");
    await(&a);
    assert_true(a.failed);
    assert_string_equal(a.code, "closed");
    answer_free(&a);
    while (mg_loop_turn(loop, false, false, 0) != MG_LOOP_IDLE) {
    }
    answer waits;
    start(&waits, "SELECT count(*) FROM t");
    start_server();
    await(&waits);
    assert_text("(0)", mg_buf_str(&waits.rows));
    answer_free(&waits);
    mg_db_statement in_lost = {.sql = MG_STR("SELECT 1"), .session = s};
    assert_int_equal(mg_database_query(&a.call, db, &in_lost, on_answer, &a), MG_ECLOSED);
    mg_database_drop(s);
}

static void a_frozen_server_holds_nobody_back(void **state) {
    (void)state;
    reopen("?pool=2&wait=1");
    expect(NULL, "SELECT 1", "(1)");
    server_does("signal", "STOP");
    answer a[2];
    start(&a[0], "SELECT 1");
    start(&a[1], "SELECT 2");
    uint64_t turns = 0;
    while (turns++ < 100) {
        mg_loop_turn(loop, false, false, 0);
    }
    mg_database_cancel(a[0].call);
    mg_database_cancel(a[1].call);
    server_does("signal", "CONT");
    turn_until_quiet();
    expect(NULL, "SELECT 3", "(3)");
    answer_free(&a[0]);
    answer_free(&a[1]);
}

static void who_waits_in_vain_is_told_what_for(void **state) {
    (void)state;
    int port;
    int silent = open_silent(&port);
    char url[128];
    mg_error err;
    mg_database *unanswered;
    snprintf(url, sizeof url, "postgres://moongate@127.0.0.1:%d/postgres?wait=1", port);
    assert_int_equal(mg_postgres_open(&unanswered, loop, &(mg_postgres_options){.url = url}, &err),
                     MG_OK);
    reopen("?pool=1&wait=1");
    expect(NULL, "SELECT 1", "(1)");
    server_does("signal", "STOP");
    answer a[3];
    start(&a[0], "SELECT 1");
    usleep(30000); // behind one that has taken so long nothing is put
    mg_loop_turn(loop, false, false, 0);
    start(&a[1], "SELECT 2");
    start_in(unanswered, NULL, &a[2], "SELECT 3", NULL, 0);
    await(&a[1]);
    await(&a[2]);
    server_does("signal", "CONT");
    await(&a[0]);
    assert_string_equal(a[1].code, "limit");
    contains(&a[1].message, "no connection within 1 s: 1 of 1 are in use, the oldest for ");
    contains(&a[1].message, "; the server has said nothing for ");
    assert_string_equal(a[2].code, "closed");
    contains(&a[2].message, "no connection within 1 s: the server has not answered yet");
    mg_database_free(unanswered);
    close(silent);
    for (int i = 0; i < 3; i++) {
        answer_free(&a[i]);
    }
}

static void idle_connections_go_and_the_least_stay(void **state) {
    (void)state;
    reopen("?pool=4&min=1&idle=1");
    answer a[4];
    for (int i = 0; i < 4; i++) {
        start(&a[i], "SELECT pg_sleep(0.1)");
    }
    await_all(a, 4);
    for (int i = 0; i < 4; i++) {
        answer_free(&a[i]);
    }
    while (connections() > 1) {
        mg_loop_turn(loop, false, true, UINT64_MAX);
    }
    expect(NULL, "SELECT 1", "(1)");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(values_keep_their_types),
        TEST(json_and_arrays_are_json),
        TEST(what_has_no_type_of_lua_is_text),
        TEST(types_are_left_as_text_if_that_is_wished),
        TEST(parameters_arrive_as_they_are),
        TEST(a_text_with_a_nul_is_refused),
        TEST(changed_rows_are_counted),
        TEST(faults_tell_what_the_server_said),
        TEST(a_fault_is_none_of_the_neighbours),
        TEST(exactly_one_statement_is_taken),
        TEST(a_result_beyond_its_limit_fails),
        TEST(statements_are_prepared_once_and_kept_in_bounds),
        TEST(a_plan_that_fits_no_more_is_made_anew),
        TEST(without_preparing_nothing_stays_at_the_server),
        TEST(a_transaction_is_seen_when_it_is_committed),
        TEST(a_transaction_that_only_reads_cannot_write),
        TEST(a_transaction_is_isolated_as_it_was_begun),
        TEST(what_follows_a_savepoint_can_be_undone_alone),
        TEST(statements_make_no_transactions_and_no_settings),
        TEST(a_commit_after_a_fault_says_that_it_rolled_back),
        TEST(a_dropped_transaction_is_rolled_back),
        TEST(a_dropped_transaction_rolls_back_behind_what_was_cancelled_before),
        TEST(a_dropped_transaction_tells_nothing_of_what_it_had_refused),
        TEST(transactions_wait_for_a_connection_and_statements_do_not),
        TEST(who_holds_one_gets_another_or_is_refused),
        TEST(rows_come_in_pieces_of_the_size_asked_for),
        TEST(few_rows_need_no_session),
        TEST(rows_that_nobody_reads_on_are_interrupted),
        TEST(a_cancelled_statement_is_interrupted_and_no_other_is),
        TEST(canaries_survive_a_storm_of_cancellations),
        TEST(a_transaction_whose_statement_was_cancelled_rolls_back),
        TEST(a_server_that_says_no_is_not_waited_for),
        TEST(a_name_that_is_none_is_told),
        TEST(the_second_host_serves_when_the_first_does_not),
        TEST(what_ran_when_the_server_went_fails_once_and_the_pool_returns),
        TEST(a_frozen_server_holds_nobody_back),
        TEST(who_waits_in_vain_is_told_what_for),
        TEST(idle_connections_go_and_the_least_stay),
    };
    return cmocka_run_group_tests_name("store/postgres", tests, set_up_server, tear_down_server);
}
