#include "store/sqlite_migrate.h"

#include "unit.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[40];
static char path[64];

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/app.db", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static mg_migration file(uint64_t number, const char *name, const char *text) {
    return (mg_migration){.number = number, .name = name, .path = name, .text = mg_str_of(text)};
}

static int64_t ask(const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

static size_t bytes(const char *sql) {
    return mg_sqlite_statement_bytes(mg_str_of(sql));
}

static void statements_end_at_their_own_semicolon(void **state) {
    (void)state;
    assert_int_equal(bytes("SELECT 1; SELECT 2"), 9);
    assert_int_equal(bytes(" SELECT 2"), 9);
    assert_int_equal(bytes("SELECT ';' -- ;\n, /* ; */ 1; x"), 28);
    assert_int_equal(bytes("-- a;\n\nSELECT 1;"), 16);
    assert_int_equal(bytes("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END; x"),
                     65);
    assert_int_equal(bytes("SELECT 'never closed;"), 21);
}

static void comments_and_space_alone_are_no_statement(void **state) {
    (void)state;
    assert_int_equal(bytes(""), 0);
    assert_int_equal(bytes(" ;; \n\t"), 0);
    assert_int_equal(bytes("-- SELECT 1;"), 0);
    assert_int_equal(bytes("/* SELECT 1; */ -- b\n ; /* never closed"), 0);
}

static void what_was_applied_is_not_applied_again(void **state) {
    (void)state;
    mg_error err;
    mg_migration files[] = {file(1, "1_a.sql", "CREATE TABLE a (n); INSERT INTO a VALUES (1);"),
                            file(2, "2_b.sql", "\xef\xbb\xbfUPDATE a SET n = n + 1")};
    mg_migrations m = {.items = files, .n = 1};
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_OK);
    assert_int_equal(files[0].state, MG_MIGRATION_DONE);
    m.n = 2;
    files[0].state = MG_MIGRATION_PENDING;
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_OK);
    assert_int_equal(files[0].state, MG_MIGRATION_APPLIED);
    assert_int_equal(strlen(files[0].applied_at), 19);
    assert_int_equal(files[1].state, MG_MIGRATION_DONE);
    assert_int_equal(ask("SELECT n FROM a"), 2);
}

static void a_fault_takes_its_file_back_and_names_the_line(void **state) {
    (void)state;
    mg_error err;
    mg_migration files[] = {file(1, "1_a.sql", "CREATE TABLE a (n);"),
                            file(2, "2_b.sql", "INSERT INTO a VALUES (1);\n\nINSERT\n INTO b;"),
                            file(3, "3_c.sql", "INSERT INTO a VALUES (3);")};
    mg_migrations m = {.items = files, .n = 3};
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_ESYNTAX);
    assert_text("2_b.sql:4: near \";\": syntax error", mg_str_of(err.text));
    assert_int_equal(files[0].state, MG_MIGRATION_DONE);
    assert_int_equal(files[1].state, MG_MIGRATION_PENDING);
    assert_int_equal(files[2].state, MG_MIGRATION_PENDING);
    assert_int_equal(ask("SELECT count(*) FROM a"), 0);
}

static void what_changed_or_is_gone_is_told(void **state) {
    (void)state;
    mg_error err;
    mg_buf gone = {0};
    mg_migration files[] = {file(1, "1_a.sql", "SELECT 1;"), file(2, "2_b.sql", "SELECT 2;")};
    mg_migrations m = {.items = files, .n = 2};
    assert_int_equal(mg_sqlite_migrations_read(path, &m, &gone, &err), MG_OK);
    assert_int_equal(files[0].state, MG_MIGRATION_PENDING);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_OK);
    files[0].text = MG_STR("SELECT 3;");
    m.n = 1;
    assert_int_equal(mg_sqlite_migrations_read(path, &m, &gone, &err), MG_OK);
    assert_int_equal(files[0].state, MG_MIGRATION_CHANGED);
    assert_text("2_b.sql\n", mg_buf_str(&gone));
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_ESYNTAX);
    assert_non_null(strstr(err.text, "1_a.sql: it was applied on "));
    mg_buf_deinit(&gone);
}

static void tables_can_be_rebuilt_but_no_reference_may_break(void **state) {
    (void)state;
    mg_error err;
    mg_migration files[] = {
        file(1, "1_a.sql",
             "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1);"
             "CREATE TABLE b (a REFERENCES a); INSERT INTO b VALUES (1);"),
        file(2, "2_b.sql",
             "CREATE TABLE new_a (id INTEGER PRIMARY KEY, n); INSERT INTO new_a SELECT id, 2 "
             "FROM a; DROP TABLE a; ALTER TABLE new_a RENAME TO a;"),
        file(3, "3_c.sql", "DELETE FROM a;")};
    mg_migrations m = {.items = files, .n = 3};
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_ESYNTAX);
    assert_text("3_c.sql: rows of b refer to rows that a has not", mg_str_of(err.text));
    assert_int_equal(files[1].state, MG_MIGRATION_DONE);
    assert_int_equal(ask("SELECT n FROM a"), 2);
}

static void a_lock_of_another_process_is_waited_for(void **state) {
    (void)state;
    mg_error err;
    sqlite3 *db;
    mg_migration files[] = {file(1, "1_a.sql", "SELECT 1;")};
    mg_migrations m = {.items = files, .n = 1, .busy_ms = 20};
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_OK);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    files[0] = file(2, "2_b.sql", "SELECT 1;");
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_ESYNTAX);
    assert_text("2_b.sql: database is locked", mg_str_of(err.text));
    sqlite3_close(db);
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_OK);
}

static void a_file_that_is_no_database_is_refused(void **state) {
    (void)state;
    mg_error err;
    mg_migrations m = {0};
    FILE *f = fopen(path, "we");
    fputs("this is no database, but long enough to be looked at as one, with a header of 100 bytes "
          "and more",
          f);
    fclose(f);
    assert_int_equal(mg_sqlite_migrate(path, &m, &err), MG_ESYNTAX);
    assert_non_null(strstr(err.text, "file is not a database"));
    assert_int_equal(mg_sqlite_migrations_read(path, &m, NULL, &err), MG_ESYNTAX);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_end_at_their_own_semicolon),
        cmocka_unit_test(comments_and_space_alone_are_no_statement),
        T(what_was_applied_is_not_applied_again),
        T(a_fault_takes_its_file_back_and_names_the_line),
        T(what_changed_or_is_gone_is_told),
        T(tables_can_be_rebuilt_but_no_reference_may_break),
        T(a_lock_of_another_process_is_waited_for),
        T(a_file_that_is_no_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
