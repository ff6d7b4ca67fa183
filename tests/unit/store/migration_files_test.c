#include "store/migration_files.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[40];
static mg_arena arena;
static mg_migrations files;
static mg_error err;

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[64];
    mg_arena_deinit(&arena);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void put(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int read_them(void) {
    return mg_migration_files_read(&files, &arena, folder, MG_MIGRATION_SQLITE, &err);
}

static void files_come_in_the_order_of_their_numbers(void **state) {
    (void)state;
    put("10_c.sql", "c");
    put("2-b.sql", "");
    put("0001_a.sql", "SELECT 1;");
    put("20261123150000.sql", "d");
    put("notes.txt", "");
    put(".0003_swap.sql", "");
    put("7_x.sql.orig", "");
    assert_int_equal(read_them(), MG_OK);
    assert_int_equal(files.n, 4);
    assert_string_equal(files.items[0].name, "0001_a.sql");
    assert_text("SELECT 1;", files.items[0].text);
    assert_int_equal(files.items[0].text.p[9], '\0');
    assert_int_equal(files.items[0].state, MG_MIGRATION_PENDING);
    assert_string_equal(files.items[1].name, "2-b.sql");
    assert_text("", files.items[1].text);
    assert_string_equal(files.items[2].name, "10_c.sql");
    assert_true(files.items[3].number == UINT64_C(20261123150000));
}

static void some_are_for_one_kind_of_database(void **state) {
    (void)state;
    put("1_a.sqlite.sql", "here");
    put("1_a.postgres.sql", "there");
    put("2_b.postgres.sql", "there");
    put("3_c.sql", "both");
    put("4.sqlite.sql", "here");
    put("5_mysqlite.sql", "both");
    put("nosqlite.txt", "");
    assert_int_equal(read_them(), MG_OK);
    assert_int_equal(files.n, 4);
    assert_text("here", files.items[0].text);
    assert_string_equal(files.items[1].name, "3_c.sql");
    assert_string_equal(files.items[2].name, "4.sqlite.sql");
    assert_string_equal(files.items[3].name, "5_mysqlite.sql");
    assert_int_equal(mg_migration_files_read(&files, &arena, folder, MG_MIGRATION_POSTGRES, &err),
                     MG_OK);
    assert_int_equal(files.n, 4);
    assert_text("there", files.items[0].text);
    assert_string_equal(files.items[1].name, "2_b.postgres.sql");
}

static void two_of_one_number_are_refused(void **state) {
    (void)state;
    put("1_b.sql", "");
    put("01_a.sql", "");
    assert_int_equal(read_them(), MG_ECONFIG);
    assert_non_null(strstr(err.text, ": 01_a.sql and 1_b.sql have the same number"));
}

static void a_name_without_a_number_is_refused(void **state) {
    (void)state;
    static const char *const names[] = {"users.sql", "1users.sql", "99999999999999999999_a.sql",
                                        "_1.sql"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        put(names[i], "");
        assert_int_equal(read_them(), MG_ECONFIG);
        assert_non_null(strstr(err.text, names[i]));
        assert_non_null(strstr(err.text, "must begin with a number"));
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    assert_int_equal(read_them(), MG_OK);
    assert_int_equal(files.n, 0);
}

static void what_cannot_be_read_is_named(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/1_folder.sql", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(read_them(), MG_ECONFIG);
    assert_non_null(strstr(err.text, "1_folder.sql: "));
    assert_int_equal(mg_migration_files_read(&files, &arena, "/nonexistent", "sqlite", &err),
                     MG_ECONFIG);
    assert_text("/nonexistent: No such file or directory", mg_str_of(err.text));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(files_come_in_the_order_of_their_numbers),
        T(some_are_for_one_kind_of_database),
        T(two_of_one_number_are_refused),
        T(a_name_without_a_number_is_refused),
        T(what_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
