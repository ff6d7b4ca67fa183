#include "gate/changes.h"

#include "gate/generation.h"

#include "unit.h"

static mg_changes changes;
static mg_snapshot_writer writer;

static int set_up(void **state) {
    (void)state;
    changes = (mg_changes){.files = 0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_changes_deinit(&changes);
    return 0;
}

static void add(const char *name, const char *text) {
    mg_snapshot_add(&writer, mg_str_of(name), mg_str_of(text));
}

// Of what was added.
static mg_snapshot *snapshot(void) {
    mg_snapshot *s = NULL;
    mg_error err;
    int fd = mg_snapshot_memfd();
    assert_int_equal(mg_snapshot_write(&writer, fd), 0);
    mg_snapshot_writer_deinit(&writer);
    writer = (mg_snapshot_writer){0};
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_OK);
    return s;
}

static const mg_config config = {.root = "/srv/shop"};

static const char *between(mg_snapshot *before, mg_snapshot *after) {
    mg_changes_between(&changes, &(mg_changes_side){before, &config, 2},
                       &(mg_changes_side){after, &config, 2});
    mg_snapshot_unref(before);
    mg_snapshot_unref(after);
    mg_buf_append_char(&changes.text, '\0');
    return changes.text.p;
}

static void files_are_named_below_the_root(void **state) {
    (void)state;
    add("/srv/shop/lua/app.lua", "1");
    add("/srv/shop/lua/old.lua", "1");
    add("/usr/share/x.lua", "1");
    mg_snapshot *before = snapshot();
    add("/srv/shop/lua/app.lua", "2");
    add("/srv/shop/new.lua", "1");
    add("/usr/share/x.lua", "2");
    assert_string_equal(between(before, snapshot()), "  ~ lua/app.lua\n  - lua/old.lua\n"
                                                     "  + new.lua\n  ~ /usr/share/x.lua\n");
    assert_int_equal(changes.files, 4);
}

static void settings_are_told_without_their_text(void **state) {
    (void)state;
    add(MG_SNAPSHOT_CONFIG, "{}");
    mg_snapshot *before = snapshot();
    add(MG_SNAPSHOT_CONFIG, "{\"workers\":3}");
    assert_string_equal(between(before, snapshot()), "  ~ settings\n");
    assert_int_equal(changes.files, 0);
}

static void of_many_files_some_are_shown(void **state) {
    char name[32];
    (void)state;
    mg_snapshot *before = snapshot();
    for (int i = 0; i < 45; i++) {
        snprintf(name, sizeof name, "/srv/shop/%02d.lua", i);
        add(name, "");
    }
    const char *text = between(before, snapshot());
    assert_non_null(strstr(text, "  + 39.lua\n  and 5 more\n"));
    assert_null(strstr(text, "40.lua"));
    assert_int_equal(changes.files, 45);
}

static void workers_and_their_user_are_told(void **state) {
    (void)state;
    const mg_config other = {.root = "/srv/shop", .user = "www-data"};
    mg_snapshot *before = snapshot();
    mg_snapshot *after = snapshot();
    mg_changes_between(&changes, &(mg_changes_side){before, &config, 2},
                       &(mg_changes_side){after, &other, 4});
    assert_text("  ~ workers 2 -> 4\n  ! user: holds for workers that start from now on\n",
                mg_buf_str(&changes.text));
    mg_snapshot_unref(before);
    mg_snapshot_unref(after);
}

static void the_first_scripts_change_nothing(void **state) {
    (void)state;
    add("/srv/shop/lua/app.lua", "1");
    assert_string_equal(between(NULL, snapshot()), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_named_below_the_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_are_told_without_their_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_many_files_some_are_shown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_and_their_user_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_scripts_change_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
