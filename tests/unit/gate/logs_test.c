#include "gate/logs.h"

#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[40];
static char error_file[64], access_file[64];
static mg_config_log config;
static mg_logs logs;
static mg_error err;

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(error_file, sizeof error_file, "%s/error.log", folder);
    snprintf(access_file, sizeof access_file, "%s/access.log", folder);
    config = (mg_config_log){.level = MG_LOG_INFO, .file = error_file, .access = access_file};
    logs = (mg_logs){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_logs_close(&logs);
    unlink(error_file);
    unlink(access_file);
    return rmdir(folder);
}

static void both_are_opened_and_closed(void **state) {
    (void)state;
    assert_int_equal(mg_logs_open(&logs, &config, &err), MG_OK);
    assert_non_null(logs.error);
    assert_non_null(logs.access);
    mg_logs_close(&logs);
    assert_null(logs.error);
    assert_null(logs.access);
    assert_int_equal(access(error_file, F_OK), 0);
    assert_int_equal(access(access_file, F_OK), 0);
}

static void without_an_access_log_none_is_kept(void **state) {
    (void)state;
    config.access = NULL;
    assert_int_equal(mg_logs_open(&logs, &config, &err), MG_OK);
    assert_null(logs.access);
    mg_logs_access(&logs, NULL);
    mg_logs_reopen(&logs);
}

static void one_that_cannot_be_opened_leaves_none(void **state) {
    (void)state;
    config.access = "/nowhere/at/all.log";
    assert_true(mg_logs_open(&logs, &config, &err) < 0);
    assert_null(logs.error);
    assert_null(logs.access);
    assert_non_null(strstr(err.text, "/nowhere/at/all.log"));
}

static void files_that_were_moved_away_are_opened_anew(void **state) {
    char moved[80];
    struct stat s;
    (void)state;
    assert_int_equal(mg_logs_open(&logs, &config, &err), MG_OK);
    mg_log_printf(logs.error, MG_LOG_WARN, "before");
    snprintf(moved, sizeof moved, "%s.1", error_file);
    assert_int_equal(rename(error_file, moved), 0);
    mg_logs_reopen(&logs);
    mg_log_printf(logs.error, MG_LOG_WARN, "after");
    mg_logs_close(&logs);
    assert_int_equal(stat(error_file, &s), 0);
    assert_true(s.st_size > 0);
    unlink(moved);
}

static void what_makes_no_difference_keeps_them(void **state) {
    mg_config_log other = config;
    char same[64];
    (void)state;
    strcpy(same, error_file); // the next configuration's own text
    other.file = same;
    assert_true(mg_logs_same(&config, &other));
    other.level = MG_LOG_DEBUG;
    assert_false(mg_logs_same(&config, &other));
    other = config;
    other.access = NULL;
    assert_false(mg_logs_same(&config, &other));
    assert_false(mg_logs_same(&other, &config));
    other = config;
    other.error_format = MG_CONFIG_JSON;
    assert_false(mg_logs_same(&config, &other));
    other = config;
    other.access_format = MG_CONFIG_JSON;
    assert_false(mg_logs_same(&config, &other));
}

static void files_are_made_for_a_user_by_root_alone(void **state) {
    struct stat s;
    (void)state;
    mg_logs_make_files(&config, NULL);
    assert_int_equal(access(error_file, F_OK), -1);
    mg_logs_make_files(&config, "nobody");
    if (geteuid() != 0) {
        assert_int_equal(access(error_file, F_OK), -1);
        return;
    }
    assert_int_equal(stat(error_file, &s), 0);
    assert_int_not_equal(s.st_uid, 0);
    assert_int_equal(s.st_mode & 0777, 0640);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_are_opened_and_closed),
        TEST(without_an_access_log_none_is_kept),
        TEST(one_that_cannot_be_opened_leaves_none),
        TEST(files_that_were_moved_away_are_opened_anew),
        TEST(what_makes_no_difference_keeps_them),
        TEST(files_are_made_for_a_user_by_root_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
