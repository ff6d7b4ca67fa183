#include "event/file.h"

#include "wire.h"

#include <errno.h>
#include <sys/stat.h>

static mg_loop *loop;
static char *folder;
static mg_file_read *reading;
static int dones;
static int done_status;
static mg_buf got;

static void on_done(void *arg, int status, const char *data, size_t n) {
    assert_ptr_equal(arg, &got);
    dones++;
    done_status = status;
    mg_buf_append(&got, data, n);
}

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int read_and_wait(const char *path, size_t max_bytes) {
    dones = 0;
    mg_buf_clear(&got);
    assert_int_equal(mg_file_read_all(&reading, loop, path, max_bytes, on_done, &got), 0);
    assert_int_equal(dones, 0);
    mg_loop_run(loop);
    assert_int_equal(dones, 1);
    return done_status;
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(true);
    folder = new_folder();
    FILE *f = fopen(path_of("hello"), "we");
    assert_non_null(f);
    fputs("hello world", f);
    fclose(f);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&got);
    remove_folder(folder);
    return mg_loop_free(loop);
}

static void a_whole_file_arrives(void **state) {
    (void)state;
    assert_int_equal(read_and_wait(path_of("hello"), 11), 0);
    assert_int_equal(got.n, 11);
    assert_memory_equal(got.p, "hello world", 11);
}

static void one_byte_beyond_the_limit_is_too_much(void **state) {
    (void)state;
    assert_int_equal(read_and_wait(path_of("hello"), 10), -EFBIG);
    assert_int_equal(got.n, 0);
}

static void a_file_without_a_size_is_read_to_its_end_and_limited_too(void **state) {
    (void)state;
    assert_int_equal(read_and_wait("/proc/self/status", 1 << 20), 0);
    assert_true(got.n > 100);
    assert_int_equal(read_and_wait("/proc/self/status", 100), -EFBIG);
}

static void an_empty_file_is_good(void **state) {
    (void)state;
    fclose(fopen(path_of("empty"), "we"));
    assert_int_equal(read_and_wait(path_of("empty"), 0), 0);
    assert_int_equal(got.n, 0);
}

static void what_is_no_regular_file_is_refused(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(read_and_wait(path_of("none"), 100), -ENOENT);
    assert_int_equal(read_and_wait(path_of("fifo"), 100), -EINVAL);
    assert_int_equal(read_and_wait(folder, 100), -EISDIR);
}

static void a_cancelled_read_says_so_once(void **state) {
    (void)state;
    dones = 0;
    assert_int_equal(mg_file_read_all(&reading, loop, path_of("hello"), 100, on_done, &got), 0);
    mg_file_read_cancel(reading);
    assert_int_equal(dones, 0);
    mg_loop_run(loop);
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, MG_ECANCELLED);
    assert_int_equal(got.n, 0);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_whole_file_arrives),
        EACH(one_byte_beyond_the_limit_is_too_much),
        EACH(a_file_without_a_size_is_read_to_its_end_and_limited_too),
        EACH(an_empty_file_is_good),
        EACH(what_is_no_regular_file_is_refused),
        EACH(a_cancelled_read_says_so_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
