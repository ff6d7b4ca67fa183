#include "gate/app.h"

#include "app_folder.h"

#include "base/buf.h"

static app_folder folder;
static mg_config config;
static mg_error err;

static int set_up(void **state) {
    (void)state;
    app_folder_open(&folder);
    char file[64];
    char json[160];
    snprintf(file, sizeof file, "%s/gate.lua", folder.root);
    snprintf(json, sizeof json, "{\"app\":\"%s\",\"ffi\":true,\"timeouts\":{\"reload\":7}}",
             folder.script);
    mg_buf faults = {0};
    assert_int_equal(mg_config_init(&config, file, mg_str_of(json), &faults), 0);
    mg_buf_deinit(&faults);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_config_deinit(&config);
    app_folder_close(&folder);
    return 0;
}

static void the_app_is_loaded_as_the_configuration_says(void **state) {
    (void)state;
    mg_lua_app_options o = {.worker = 3};
    mg_app_options(&config, &o);
    assert_string_equal(o.root, folder.root);
    assert_string_equal(o.path, folder.script);
    assert_int_equal(o.load_ms, 7000);
    assert_int_equal(o.handler_ms, 30000);
    assert_int_equal(o.memory_bytes, 512 << 20);
    assert_true(o.ffi);
    assert_int_equal(o.worker, 3);
}

static void an_app_that_is_not_there_is_a_fault_of_the_configuration(void **state) {
    (void)state;
    char want[200];
    snprintf(want, sizeof want, "%s/gate.lua: app: %s cannot be read: No such file or directory",
             folder.root, folder.script);
    assert_int_equal(mg_app_check(&config, &err), MG_ECONFIG);
    assert_string_equal(err.text, want);
    app_folder_write(&folder, "return 1\n");
    assert_int_equal(mg_app_check(&config, &err), MG_OK);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_app_is_loaded_as_the_configuration_says),
        TEST(an_app_that_is_not_there_is_a_fault_of_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
