#include "gate/dev.h"

#include "unit.h"

#include "base/error.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTLE_MS = 15 };

static mg_loop *loop;
static mg_dev *dev;
static char root[40];
static char own[80];
static int saved;

static void on_saved(void *arg) {
    assert_ptr_equal(arg, &saved);
    saved++;
}

static const char *at(const char *name) {
    static char path[80];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static int set_up(void **state) {
    (void)state;
    saved = 0;
    strcpy(root, "/tmp/moongate_test.XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){.virtual_clock = true}), MG_OK);
    snprintf(own, sizeof own, "%s", at("own.lua"));
    assert_int_equal(mg_dev_open(&dev, loop, root, own, on_saved, &saved), MG_OK);
    return 0;
}

static int tear_down(void **state) {
    static const char *const made[] = {"app.lua",    "app.lua~",  "build/x.lua",
                                       "build",      "own.lua",   "notes.txt",
                                       "page.etlua", "style.css", "index.html"};
    (void)state;
    mg_dev_close(dev);
    assert_int_equal(mg_loop_free(loop), 0);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        remove(at(made[i]));
    }
    return rmdir(root);
}

static void write_file(const char *name) {
    FILE *f = fopen(at(name), "we");
    assert_non_null(f);
    fputs("return 1\n", f);
    assert_int_equal(fclose(f), 0);
}

// The kernel has told of it already.
static void pass(uint64_t ms) {
    mg_loop_turn(loop, false, false, 0);
    mg_loop_set_now(loop, mg_loop_now_ms(loop) + ms);
    mg_loop_turn(loop, false, false, 0);
}

static void what_the_server_writes_itself_is_not_told(void **state) {
    (void)state;
    write_file("own.lua");
    pass(1000);
    assert_int_equal(saved, 0);
    write_file("app.lua");
    pass(1000);
    assert_int_equal(saved, 1);
}

static void a_script_that_is_saved_is_told_once_it_has_settled(void **state) {
    (void)state;
    write_file("app.lua");
    pass(SETTLE_MS - 1);
    assert_int_equal(saved, 0);
    pass(1);
    assert_int_equal(saved, 1);
    pass(1000);
    assert_int_equal(saved, 1);
}

static void what_an_editor_does_within_a_moment_is_told_once(void **state) {
    (void)state;
    write_file("app.lua~");
    write_file("app.lua");
    pass(SETTLE_MS - 5);
    write_file("app.lua");
    pass(SETTLE_MS - 5);
    assert_int_equal(saved, 0);
    pass(5);
    assert_int_equal(saved, 1);
}

static void a_template_or_style_that_is_saved_is_told(void **state) {
    static const char *const names[] = {"page.etlua", "style.css", "index.html"};
    (void)state;
    for (int i = 0; i < 3; i++) {
        write_file(names[i]);
        pass(SETTLE_MS);
        assert_int_equal(saved, i + 1);
    }
}

static void what_is_no_script_is_not_told(void **state) {
    (void)state;
    write_file("notes.txt");
    assert_int_equal(mkdir(at("build"), 0755), 0);
    write_file("build/x.lua");
    pass(SETTLE_MS);
    pass(SETTLE_MS);
    assert_int_equal(saved, 0);
}

static void a_folder_that_is_not_there_cannot_be_watched(void **state) {
    mg_dev *other;
    (void)state;
    assert_true(mg_dev_open(&other, loop, "/nowhere/at/all", NULL, on_saved, &saved) < 0);
    assert_null(other);
    mg_dev_close(other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_script_that_is_saved_is_told_once_it_has_settled),
        TEST(what_an_editor_does_within_a_moment_is_told_once),
        TEST(a_template_or_style_that_is_saved_is_told),
        TEST(what_is_no_script_is_not_told),
        TEST(what_the_server_writes_itself_is_not_told),
        TEST(a_folder_that_is_not_there_cannot_be_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
