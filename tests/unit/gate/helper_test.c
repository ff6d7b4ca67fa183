#include "gate/helper.h"

#include "unit.h"

#include "base/buf.h"
#include "base/error.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 60000 };

static mg_loop *loop;
static mg_processes *processes;
static mg_helper *helper;
static mg_buf said;
static int ends, status;

static int set_up(void **state) {
    (void)state;
    alarm(60);
    ends = status = 0;
    said = (mg_buf){0};
    assert_int_equal(mg_loop_new(&loop, &(mg_loop_options){0}), MG_OK);
    return mg_processes_open(&processes, loop);
}

static int tear_down(void **state) {
    (void)state;
    mg_processes_close(processes);
    mg_buf_deinit(&said);
    return mg_loop_free(loop);
}

static void on_end(void *arg, int how, mg_str text) {
    assert_ptr_equal(arg, &ends);
    ends++;
    status = how;
    mg_buf_append_str(&said, text);
}

static int start_with(const char *script, int fd, uint64_t limit_ms) {
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    mg_helper_options o = {.loop = loop,
                           .processes = processes,
                           .file = "/bin/sh",
                           .argv = argv,
                           .fds = &fd,
                           .fd_count = 1,
                           .limit_ms = limit_ms};
    return mg_helper_start(&helper, &o, on_end, &ends);
}

static void wait_for_end(void) {
    while (ends == 0) {
        mg_loop_turn(loop, true, false, 0);
    }
}

static void run(const char *script) {
    assert_int_equal(start_with(script, 0, LONG_MS), MG_OK);
    wait_for_end();
}

static void it_says_how_it_went_and_what_it_said(void **state) {
    (void)state;
    run("echo out; echo err >&2; exit 3");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_text("out\nerr\n", mg_buf_str(&said));
    assert_int_equal(ends, 1);
}

static void one_that_says_nothing_is_good(void **state) {
    (void)state;
    run("true");
    assert_int_equal(status, 0);
    assert_int_equal(said.n, 0);
}

static void of_much_the_end_is_kept(void **state) {
    (void)state;
    run("head -c 200000 /dev/zero; printf last");
    assert_int_equal(said.n, MG_HELPER_SAID_BYTES);
    assert_memory_equal(said.p + said.n - 4, "last", 4);
}

static void it_gets_its_descriptor(void **state) {
    int fds[2];
    char text[8] = "";
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(start_with("echo hello >&3", fds[1], LONG_MS), MG_OK);
    wait_for_end();
    close(fds[1]);
    assert_int_equal(read(fds[0], text, sizeof text), 6);
    close(fds[0]);
}

static void one_that_is_late_is_killed(void **state) {
    (void)state;
    assert_int_equal(start_with("echo begun; exec sleep 600", 0, 1), MG_OK);
    wait_for_end();
    assert_int_equal(status, MG_HELPER_LATE);
    mg_loop_run(loop); // until it has been reaped: its death is no second end
    assert_int_equal(ends, 1);
}

static void nothing_comes_of_one_that_is_dropped(void **state) {
    int fds[2];
    char byte;
    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(start_with("exec sleep 600", fds[1], LONG_MS), MG_OK);
    close(fds[1]);
    mg_helper_drop(helper);
    assert_int_equal(read(fds[0], &byte, 1), 0); // it is dead: its descriptor is closed
    close(fds[0]);
    mg_loop_run(loop); // until it has been reaped
    assert_int_equal(ends, 0);
    mg_helper_drop(NULL);
}

static void what_cannot_be_started_is_told_at_once(void **state) {
    char *argv[] = {"nothing", NULL};
    mg_helper_options o = {.loop = loop,
                           .processes = processes,
                           .file = "/nowhere/nothing",
                           .argv = argv,
                           .limit_ms = LONG_MS};
    (void)state;
    assert_true(mg_helper_start(&helper, &o, on_end, &ends) < 0);
    assert_null(helper);
    assert_int_equal(ends, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_says_how_it_went_and_what_it_said),
        TEST(one_that_says_nothing_is_good),
        TEST(of_much_the_end_is_kept),
        TEST(it_gets_its_descriptor),
        TEST(one_that_is_late_is_killed),
        TEST(nothing_comes_of_one_that_is_dropped),
        TEST(what_cannot_be_started_is_told_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
