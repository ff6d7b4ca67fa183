#include "gate/scripts.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64]; // of this test alone
static char root[96];   // the project in it
static mg_snapshot_writer writer;
static mg_scripts scripts;

static void sh(const char *command) {
    char line[512];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    assert_int_equal(system(line), 0);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moongate-scripts-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(root, sizeof root, "%s/app", folder);
    sh("mkdir -p app/lua app/conf out && echo 1 > app/lua/a.lua && echo 2 > out/x.lua");
    scripts = (mg_scripts){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_scripts_deinit(&scripts);
    mg_snapshot_writer_deinit(&writer);
    char line[96];
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line);
}

static const char *below(const char *name) {
    static char out[160];
    snprintf(out, sizeof out, "%s/%s", folder, name);
    return out;
}

// The time that reading may take begins with the first.
static void add(const char *name) {
    if (scripts.writer == NULL) {
        mg_scripts_init(&scripts, &writer);
    }
    assert_int_equal(mg_scripts_add(&scripts, below(name)), MG_OK);
}

// The text that is kept under that name, without its line end; NULL: there is none.
static const char *text_of(const char *name) {
    static char out[64];
    for (size_t i = 0; i < writer.count; i++) {
        if (mg_str_eq(mg_snapshot_writer_name(&writer, i), mg_str_of(below(name)))) {
            mg_str text = mg_snapshot_writer_text(&writer, i);
            snprintf(out, sizeof out, "%.*s", (int)text.n - 1, text.p);
            return out;
        }
    }
    return NULL;
}

static void said(const char *part) {
    mg_buf_append_char(&scripts.left_out, '\0');
    if (strstr(scripts.left_out.p, part) == NULL) {
        fail_msg("%s: not in: %s", part, scripts.left_out.p);
    }
    scripts.left_out.n--;
}

static void said_nothing(void) {
    assert_text("", mg_buf_str(&scripts.left_out));
}

static void scripts_of_all_folders_are_read_but_not_hidden_ones(void **state) {
    (void)state;
    sh("cd app && mkdir -p x/y .git build node_modules && echo 3 > x/y/b.lua && echo 4 > c.txt && "
       "touch .git/d.lua build/e.lua node_modules/f.lua .g.lua && mkfifo pipe.lua");
    add("app");
    mg_scripts_follow_links(&scripts);
    assert_string_equal(text_of("app/lua/a.lua"), "1");
    assert_string_equal(text_of("app/x/y/b.lua"), "3");
    assert_int_equal(writer.count, 2);
    said_nothing();
}

static void what_is_too_large_is_left_out(void **state) {
    (void)state;
    sh("truncate -s 9M app/big.lua && truncate -s 8M app/large.lua");
    add("app");
    assert_int_equal(writer.count, 2);
    said("/app/big.lua (larger than 8 MiB)");
    mg_error err;
    assert_int_equal(mg_scripts_add_file(&scripts, below("app/big.lua"), &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, "big.lua: larger than 8 MiB"));
}

static void what_is_too_much_is_left_out(void **state) {
    (void)state;
    sh("for i in $(seq 20); do truncate -s 8M app/$i.lua; done");
    add("app");
    mg_scripts_follow_links(&scripts);
    said("(more than 20,000 scripts or 128 MiB of them), ");
    said(" and ");
    said(" more");
    assert_true(writer.count <= 17);
}

static void too_deep_a_folder_is_left_out(void **state) {
    (void)state;
    sh("d=app; for i in $(seq 40); do d=$d/d; done; mkdir -p $d && touch $d/x.lua");
    add("app");
    assert_int_equal(writer.count, 1);
    said("(more than 32 folders deep)");
}

static void folders_that_link_to_each_other_are_read_once(void **state) {
    (void)state;
    sh("cd app && for i in 1 2 3 4 5 6 7 8 9 a b c; do mkdir $i && echo $i > $i/m.lua; done && "
       "for i in 1 2 3 4 5 6 7 8 9 a b c; do for k in 1 2 3 4 5 6 7 8 9 a b c; do "
       "ln -s ../$k $i/to_$k; done; done && ln -s . self && ln -s .. up");
    add("app");
    mg_scripts_follow_links(&scripts);
    assert_string_equal(text_of("app/1/to_c/m.lua"), "c");
    assert_int_equal(writer.count, 1 + 12 + 12 * 11);
    said("/app/up (a link to the outside");
    assert_int_equal(scripts.left_out_count, 1);
}

static void links_are_followed_inside_but_not_to_the_outside(void **state) {
    (void)state;
    sh("cd app && ln -s lua/a.lua b.lua && ln -s lua libs && ln -s ../out/x.lua x.lua && "
       "ln -s ../out out && ln -s / all && ln -s nowhere gone.lua && ln -s ../out/y.txt y.txt && "
       "mkdir build && echo 5 > build/made.lua && ln -s build made");
    add("app");
    mg_scripts_follow_links(&scripts);
    assert_string_equal(text_of("app/b.lua"), "1");
    assert_string_equal(text_of("app/libs/a.lua"), "1");
    assert_string_equal(text_of("app/made/made.lua"), "5");
    assert_int_equal(writer.count, 4);
    assert_int_equal(scripts.left_out_count, 3);
    said("/app/out (a link to the outside: name it in `scripts`)");
}

static void what_is_named_may_lie_outside(void **state) {
    (void)state;
    sh("cd app && ln -s ../out libs && ln -s libs/x.lua x.lua");
    add("app/libs");
    add("app");
    add("app");
    add("app/lua");
    mg_scripts_follow_links(&scripts);
    assert_string_equal(text_of("app/libs/x.lua"), "2");
    assert_string_equal(text_of("app/x.lua"), "2");
    assert_int_equal(writer.count, 3);
    said_nothing();
    assert_int_equal(mg_scripts_add(&scripts, below("none")), -ENOENT);
}

static void what_cannot_be_read_is_left_out(void **state) {
    (void)state;
    if (geteuid() == 0) {
        skip();
    }
    sh("chmod 0 app/lua/a.lua && mkdir -m 0 app/closed");
    add("app");
    sh("chmod 700 app/closed");
    assert_int_equal(writer.count, 0);
    said("a.lua (Permission denied)");
    assert_int_equal(scripts.left_out_count, 1);
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(scripts_of_all_folders_are_read_but_not_hidden_ones),
        T(what_is_too_large_is_left_out),
        T(what_is_too_much_is_left_out),
        T(too_deep_a_folder_is_left_out),
        T(folders_that_link_to_each_other_are_read_once),
        T(links_are_followed_inside_but_not_to_the_outside),
        T(what_is_named_may_lie_outside),
        T(what_cannot_be_read_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
