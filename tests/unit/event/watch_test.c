#include "event/watch.h"

#include "event/timer.h"
#include "wire.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

enum { PATIENCE_MS = 10000 };

static mg_loop *loop;
static mg_watch *w;
static char *top;    // removed at the end
static char *folder; // watched
static mg_buf told;  // one line for each change
static mg_timer watchdog;
static bool late;

static void on_late(mg_timer *t) {
    (void)t;
    late = true;
}

static void on_change(void *arg, const char *path) {
    assert_ptr_equal(arg, &told);
    assert_int_equal(path[0], '/');
    mg_buf_printf(&told, "%s\n", path);
}

static bool skip_modules(const char *name) {
    return strcmp(name, "modules") == 0;
}

static int open_watch(void) {
    return mg_watch_open(&w, loop, folder, skip_modules, on_change, &told);
}

static int setup(void **state) {
    (void)state;
    late = false;
    loop = new_loop(false);
    char *made = new_folder();
    top = realpath(made, NULL);
    free(made);
    assert_true(asprintf(&folder, "%s/app", top) > 0);
    assert_int_equal(mkdir(folder, 0755), 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    mg_watch_close(w);
    w = NULL;
    mg_timer_stop(&watchdog);
    assert_int_equal(mg_loop_free(loop), 0);
    mg_buf_deinit(&told);
    remove_folder(top);
    free(folder);
    return 0;
}

// Below the watched folder. Of the last four asked for.
static const char *at(const char *name) {
    static char paths[4][PATH_MAX];
    static int i;
    char *path = paths[i++ % 4];
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

static void make_folder(const char *name) {
    assert_int_equal(mkdir(at(name), 0755), 0);
}

static void write_file(const char *name) {
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs("text", f);
    fclose(f);
}

static void move(const char *from, const char *to) {
    assert_int_equal(rename(at(from), at(to)), 0);
}

static bool was_told(const char *name) {
    char line[PATH_MAX + 1];
    int n = snprintf(line, sizeof line, "%s\n", at(name));
    return told.n > 0 && memmem(told.p, told.n, line, (size_t)n) != NULL;
}

// The watchdog also keeps the loop alive, so that a turn waits.
static void turn(void) {
    if (!mg_timer_active(&watchdog)) {
        mg_timer_start(loop, &watchdog, PATIENCE_MS, 0, on_late);
    }
    mg_loop_turn(loop, true, true, UINT64_MAX);
    if (late) {
        fail_msg("nothing came; told so far:\n%.*s", (int)told.n, told.p);
    }
}

static void wait_for(const char *name) {
    while (!was_told(name)) {
        turn();
    }
    mg_timer_stop(&watchdog);
}

// What has come up to now is forgotten.
static void settle(void) {
    write_file("settle");
    wait_for("settle");
    assert_int_equal(unlink(at("settle")), 0);
    turn_times(loop, 3);
    mg_buf_clear(&told);
}

static void tells_of_files_written_in_place(void **state) {
    (void)state;
    write_file("old.lua");
    assert_int_equal(open_watch(), 0);
    turn_times(loop, 3);
    assert_int_equal(told.n, 0);
    write_file("old.lua");
    wait_for("old.lua");
    write_file("new.lua");
    wait_for("new.lua");
}

static void tells_of_removed_files(void **state) {
    (void)state;
    write_file("a.lua");
    assert_int_equal(open_watch(), 0);
    assert_int_equal(unlink(at("a.lua")), 0);
    wait_for("a.lua");
}

static void tells_the_final_name_of_a_temporary_file_renamed_over(void **state) {
    (void)state;
    write_file("a.lua");
    assert_int_equal(open_watch(), 0);
    write_file(".a.lua.tmp");
    wait_for(".a.lua.tmp");
    assert_false(was_told("a.lua"));
    move(".a.lua.tmp", "a.lua");
    wait_for("a.lua");
}

static void tells_of_a_file_that_was_set_aside_and_written_anew(void **state) {
    (void)state;
    write_file("a.lua");
    assert_int_equal(open_watch(), 0);
    move("a.lua", "a.lua~");
    wait_for("a.lua~");
    assert_true(was_told("a.lua"));
    settle();
    write_file("a.lua");
    wait_for("a.lua");
    assert_int_equal(unlink(at("a.lua~")), 0);
    wait_for("a.lua~");
}

static void tells_of_files_in_subfolders(void **state) {
    (void)state;
    make_folder("a");
    make_folder("a/b");
    make_folder("a/b/c");
    assert_int_equal(open_watch(), 0);
    write_file("a/b/c/deep.lua");
    wait_for("a/b/c/deep.lua");
    assert_int_equal(mg_watch_ignored(w), 0);
}

static void a_new_subfolder_is_watched_and_its_files_are_told(void **state) {
    (void)state;
    assert_int_equal(open_watch(), 0);
    make_folder("a");
    make_folder("a/b");
    write_file("a/b/early.lua");
    wait_for("a/b/early.lua");
    settle();
    write_file("a/b/late.lua");
    wait_for("a/b/late.lua");
}

static void a_subfolder_that_is_moved_in_or_renamed_is_watched_under_its_name(void **state) {
    (void)state;
    make_folder("../outside");
    make_folder("../outside/b");
    write_file("../outside/b/x.lua");
    assert_int_equal(open_watch(), 0);
    move("../outside", "a");
    wait_for("a/b/x.lua");
    move("a", "z");
    wait_for("z/b/x.lua");
    assert_true(was_told("a"));
    settle();
    write_file("z/b/y.lua");
    wait_for("z/b/y.lua");
    assert_false(was_told("a/b/y.lua"));
}

static void a_subfolder_that_is_moved_away_is_told_and_no_longer_watched(void **state) {
    (void)state;
    make_folder("a");
    assert_int_equal(open_watch(), 0);
    move("a", "../gone");
    wait_for("a");
    mg_buf_clear(&told);
    write_file("../gone/x.lua");
    write_file("last");
    wait_for("last");
    assert_false(was_told("a/x.lua"));
}

static void a_subfolder_that_is_removed_and_made_again_is_watched_again(void **state) {
    (void)state;
    make_folder("a");
    assert_int_equal(open_watch(), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rmdir(at("a")), 0);
        make_folder("a"); // before anything was heard of it
        wait_for("a");
        settle();
        write_file("a/x.lua");
        wait_for("a/x.lua");
        assert_int_equal(unlink(at("a/x.lua")), 0);
        settle();
    }
    assert_int_equal(rmdir(at("a")), 0);
    wait_for("a");
    assert_false(was_told("a/a"));
    settle();
    make_folder("a");
    settle();
    write_file("a/x.lua");
    wait_for("a/x.lua");
}

static void a_file_may_take_the_place_of_a_folder_and_a_folder_that_of_a_file(void **state) {
    (void)state;
    make_folder("a");
    assert_int_equal(open_watch(), 0);
    assert_int_equal(rmdir(at("a")), 0);
    write_file("a");
    wait_for("a");
    settle();
    assert_int_equal(unlink(at("a")), 0);
    make_folder("a");
    settle();
    write_file("a/x.lua");
    wait_for("a/x.lua");
}

static void the_folder_itself_may_be_removed_and_made_again(void **state) {
    (void)state;
    make_folder("a");
    assert_int_equal(open_watch(), 0);
    assert_int_equal(rmdir(at("a")), 0);
    assert_int_equal(rmdir(folder), 0);
    size_t n = strlen(folder);
    while (told.n < n + 1 || memcmp(told.p + told.n - n - 1, folder, n) != 0) {
        turn();
    }
    assert_int_equal(mkdir(folder, 0755), 0);
    write_file("x.lua");
    wait_for("x.lua");
    settle();
    write_file("y.lua");
    wait_for("y.lua");
}

static void folders_with_a_dot_and_skipped_ones_are_not_looked_into(void **state) {
    (void)state;
    make_folder(".git");
    make_folder("modules");
    assert_int_equal(open_watch(), 0);
    write_file(".git/x.lua");
    write_file("modules/x.lua");
    make_folder("b");
    make_folder("b/modules");
    write_file("b/modules/y.lua");
    make_folder("b/.cache");
    write_file("b/.cache/y.lua");
    write_file("first");
    wait_for("first");
    write_file("b/modules/z.lua");
    write_file(".hidden.lua");
    write_file("modules.lua");
    wait_for("modules.lua");
    assert_true(was_told(".hidden.lua"));
    assert_null(memmem(told.p, told.n, "/.git/", 6));
    assert_null(memmem(told.p, told.n, "/modules/", 9));
    assert_null(memmem(told.p, told.n, "/.cache/", 8));
}

static void a_link_to_a_folder_is_not_followed(void **state) {
    (void)state;
    make_folder("../outside");
    assert_int_equal(symlink("../outside", at("before")), 0);
    assert_int_equal(open_watch(), 0);
    assert_int_equal(symlink("../outside", at("after")), 0);
    wait_for("after");
    write_file("../outside/x.lua");
    write_file("last");
    wait_for("last");
    assert_false(was_told("before/x.lua"));
    assert_false(was_told("after/x.lua"));
}

static void a_file_with_the_name_of_its_folder_is_told(void **state) {
    (void)state;
    make_folder("a");
    write_file("a/a");
    assert_int_equal(open_watch(), 0);
    assert_int_equal(unlink(at("a/a")), 0);
    wait_for("a/a");
    settle();
    assert_int_equal(chmod(at("a"), 0700), 0); // the folder's own event, not one of a file in it
    write_file("last");
    wait_for("last");
    assert_false(was_told("a/a"));
    assert_false(was_told("a"));
}

static void the_name_may_be_relative_or_a_link(void **state) {
    (void)state;
    assert_int_equal(symlink("app", at("../link")), 0);
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(top), 0);
    assert_int_equal(mg_watch_open(&w, loop, "./link/", NULL, on_change, &told), 0);
    assert_int_equal(fchdir(here), 0);
    close(here);
    write_file("a.lua");
    wait_for("a.lua");
}

static void what_is_not_a_folder_is_refused(void **state) {
    (void)state;
    write_file("file");
    assert_int_equal(mg_watch_open(&w, loop, at("file"), NULL, on_change, &told), -ENOTDIR);
    assert_int_equal(mg_watch_open(&w, loop, at("none"), NULL, on_change, &told), -ENOENT);
    assert_null(w);
}

static void an_open_watch_does_not_keep_the_loop_running(void **state) {
    (void)state;
    assert_int_equal(open_watch(), 0);
    mg_loop_run(loop);
    assert_int_equal(mg_loop_turn(loop, true, false, 0), MG_LOOP_IDLE);
}

static void on_change_close(void *arg, const char *path) {
    on_change(arg, path);
    mg_watch_close(w);
    w = NULL;
}

static void it_may_be_closed_while_it_tells(void **state) {
    (void)state;
    make_folder("../outside");
    make_folder("../outside/b");
    write_file("../outside/1.lua");
    write_file("../outside/2.lua");
    write_file("../outside/b/3.lua");
    assert_int_equal(mg_watch_open(&w, loop, folder, NULL, on_change_close, &told), 0);
    move("../outside", "a");
    write_file("b.lua");
    while (w != NULL) {
        turn();
    }
    turn_times(loop, 3);
    size_t lines = 0;
    for (size_t i = 0; i < told.n; i++) {
        lines += told.p[i] == '\n';
    }
    assert_int_equal(lines, 1);
}

static void too_many_folders_are_left_out_and_counted(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < MG_WATCH_FOLDERS; i++) {
        snprintf(name, sizeof name, "%d", i);
        make_folder(name);
    }
    assert_int_equal(open_watch(), 0);
    assert_in_range(mg_watch_ignored(w), 1, MG_WATCH_FOLDERS);
    write_file("a.lua");
    wait_for("a.lua");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(tells_of_files_written_in_place),
        TEST(tells_of_removed_files),
        TEST(tells_the_final_name_of_a_temporary_file_renamed_over),
        TEST(tells_of_a_file_that_was_set_aside_and_written_anew),
        TEST(tells_of_files_in_subfolders),
        TEST(a_new_subfolder_is_watched_and_its_files_are_told),
        TEST(a_subfolder_that_is_moved_in_or_renamed_is_watched_under_its_name),
        TEST(a_subfolder_that_is_moved_away_is_told_and_no_longer_watched),
        TEST(a_subfolder_that_is_removed_and_made_again_is_watched_again),
        TEST(a_file_may_take_the_place_of_a_folder_and_a_folder_that_of_a_file),
        TEST(the_folder_itself_may_be_removed_and_made_again),
        TEST(folders_with_a_dot_and_skipped_ones_are_not_looked_into),
        TEST(a_link_to_a_folder_is_not_followed),
        TEST(a_file_with_the_name_of_its_folder_is_told),
        TEST(the_name_may_be_relative_or_a_link),
        TEST(what_is_not_a_folder_is_refused),
        TEST(an_open_watch_does_not_keep_the_loop_running),
        TEST(it_may_be_closed_while_it_tells),
        TEST(too_many_folders_are_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
