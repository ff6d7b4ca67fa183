#include "gate/app.h"

#include "app_folder.h"

#include "base/buf.h"

static app_folder folder;
static mg_loop *loop;
static mg_config config;
static mg_error err;
static mg_lua_app *app;

static int set_up(void **state) {
    (void)state;
    app_folder_open(&folder);
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), 0);
    char file[64];
    char json[100];
    snprintf(file, sizeof file, "%s/gate.lua", folder.root);
    snprintf(json, sizeof json, "{\"app\":\"%s\"}", folder.script);
    mg_buf faults = {0};
    assert_int_equal(mg_config_init(&config, file, mg_str_of(json), &faults), 0);
    mg_buf_deinit(&faults);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_lua_app_free(app);
    mg_config_deinit(&config);
    app_folder_close(&folder);
    return mg_loop_free(loop);
}

static void the_app_of_the_configuration_is_loaded(void **state) {
    (void)state;
    app_folder_write(&folder, "return require('moongate').app()\n");
    assert_int_equal(mg_app_of_config(&app, loop, &config, &err), MG_OK);
    assert_non_null(app);
}

static void an_app_that_is_not_there_is_a_fault_of_the_configuration(void **state) {
    (void)state;
    char want[200];
    snprintf(want, sizeof want, "%s/gate.lua: app: %s cannot be read: No such file or directory",
             folder.root, folder.script);
    app = (mg_lua_app *)&err;
    assert_int_equal(mg_app_of_config(&app, loop, &config, &err), MG_ECONFIG);
    assert_null(app);
    assert_string_equal(err.text, want);
}

static void a_fault_in_the_script_is_told_with_its_line(void **state) {
    (void)state;
    app_folder_write(&folder, "\nerror('no good')\n");
    assert_int_equal(mg_app_of_config(&app, loop, &config, &err), MG_ELUA);
    assert_null(app);
    assert_non_null(strstr(err.text, "app.lua:2: no good"));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_app_of_the_configuration_is_loaded),
        TEST(an_app_that_is_not_there_is_a_fault_of_the_configuration),
        TEST(a_fault_in_the_script_is_told_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
