#include "config/path.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[64]; // of this test alone
static mg_arena arena;

static void sh(const char *command) {
    char line[256];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    assert_int_equal(system(line), 0);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moongate-conf-XXXXXX");
    assert_non_null(mkdtemp(folder));
    sh("mkdir -p etc/name releases/1/conf app && ln -s ../etc/name app/conf && "
       "ln -s releases/1 current");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char line[96];
    mg_arena_deinit(&arena);
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line);
}

static const char *below(const char *name) {
    static char out[2][160];
    static int turn;
    turn = !turn;
    snprintf(out[turn], sizeof out[turn], "%s%s", folder, name);
    return out[turn];
}

static void named(const char *file, const char *want) {
    assert_string_equal(mg_config_named(&arena, below(file)), below(want));
}

static void root(const char *file, const char *want) {
    assert_string_equal(mg_config_root(&arena, below(file)), below(want));
}

static void a_path_keeps_its_links_but_no_dots(void **state) {
    (void)state;
    named("/current/conf/m.lua", "/current/conf/m.lua");
    named("//./app/.//x/../m.lua", "/app/m.lua");
    named("/current/../m.lua", "/releases/m.lua"); // as the kernel has it
    assert_string_equal(mg_config_named(&arena, "/../x/.."), "/");
}

static void the_root_is_the_folder_above_one_named_conf(void **state) {
    (void)state;
    root("/app/conf/m.lua", "/app");
    root("/current/conf/m.lua", "/releases/1");
    root("/releases/1/conf/./m.lua", "/releases/1");
    root("/none/conf/m.lua", "/none");
    assert_string_equal(mg_config_root(&arena, "/conf/m.lua"), "/");
}

static void without_a_folder_named_conf_it_is_the_files_own(void **state) {
    (void)state;
    root("/app/m.lua", "/app");
    root("/etc/name/m.lua", "/etc/name");
    sh("ln -s releases/1/conf settings");
    root("/settings/m.lua", "/releases/1"); // it is one
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_path_keeps_its_links_but_no_dots),
        T(the_root_is_the_folder_above_one_named_conf),
        T(without_a_folder_named_conf_it_is_the_files_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
