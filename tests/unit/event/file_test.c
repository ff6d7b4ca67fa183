#include "event/file.h"

#include "wire.h"

#include <errno.h>
#include <sys/stat.h>

static mg_loop *loop;
static char *folder;
static mg_file *file;
static int opens;
static int open_status;
static off_t size;
static int reads;
static int read_status;
static mg_buf got;
static bool close_in_open;
static bool read_on;

static void on_open(void *arg, int status, const struct stat *st) {
    assert_ptr_equal(arg, &got);
    assert_true((st == NULL) == (status != 0));
    opens++;
    open_status = status;
    size = st == NULL ? -1 : st->st_size;
    if (close_in_open) {
        mg_file_close(file);
        file = NULL;
    }
}

static void on_read(void *arg, int status, const char *data, size_t n) {
    assert_ptr_equal(arg, &got);
    reads++;
    read_status = status;
    mg_buf_append(&got, data, n);
    if (read_on && n > 0) {
        assert_int_equal(mg_file_read_at(file, got.n, 3), 0);
        assert_int_equal(mg_file_read_at(file, got.n, 3), MG_EAGAIN);
    } else if (read_on) {
        mg_file_close(file);
        file = NULL;
    }
}

static const mg_file_events events = {on_open, on_read};

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_file(const char *name, const char *text) {
    FILE *f = fopen(path_of(name), "we");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(true);
    folder = new_folder();
    file = NULL;
    opens = reads = 0;
    close_in_open = read_on = false;
    make_file("hello", "hello world");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_file_close(file);
    mg_buf_deinit(&got);
    remove_folder(folder);
    return mg_loop_free(loop);
}

static int open_and_wait(const char *beneath, const char *path) {
    mg_file_close(file);
    opens = 0;
    assert_int_equal(mg_file_open(&file, loop, beneath, path, &events, &got), 0);
    assert_int_equal(opens, 0);
    turn_until(loop, &opens, 1);
    return open_status;
}

static void a_file_is_opened_and_read_in_pieces(void **state) {
    (void)state;
    assert_int_equal(open_and_wait(folder, "hello"), 0);
    assert_int_equal(size, 11);
    assert_int_equal(mg_file_read_at(file, 6, 3), 0);
    turn_until(loop, &reads, 1);
    assert_int_equal(got.n, 3);
    assert_memory_equal(got.p, "wor", 3);
    assert_int_equal(mg_file_read_at(file, 9, 262144), 0);
    turn_until(loop, &reads, 2);
    assert_memory_equal(got.p, "world", 5);
    assert_int_equal(mg_file_read_at(file, 11, 5), 0);
    turn_until(loop, &reads, 3);
    assert_int_equal(read_status, 0);
    assert_int_equal(got.n, 5);
}

static void the_next_piece_may_be_asked_for_inside_on_read(void **state) {
    (void)state;
    assert_int_equal(open_and_wait(NULL, path_of("hello")), 0);
    read_on = true;
    assert_int_equal(mg_file_read_at(file, 0, 3), 0);
    mg_loop_run(loop);
    assert_int_equal(reads, 5);
    assert_memory_equal(got.p, "hello world", 11);
}

static void one_operation_at_a_time(void **state) {
    (void)state;
    assert_int_equal(mg_file_open(&file, loop, NULL, path_of("hello"), &events, &got), 0);
    assert_int_equal(mg_file_read_at(file, 0, 1), MG_EAGAIN);
    turn_until(loop, &opens, 1);
    assert_int_equal(open_status, 0);
}

static void a_file_that_did_not_open_cannot_be_read(void **state) {
    (void)state;
    assert_int_equal(open_and_wait(folder, "none"), -ENOENT);
    assert_int_equal(mg_file_read_at(file, 0, 1), -EBADF);
}

static void only_regular_files_are_opened(void **state) {
    (void)state;
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(open_and_wait(folder, "fifo"), -EINVAL);
    assert_int_equal(open_and_wait(NULL, path_of("fifo")), -EINVAL);
    assert_int_equal(open_and_wait(folder, "sub"), -EISDIR);
    assert_int_equal(open_and_wait(NULL, folder), -EISDIR);
    assert_int_equal(open_and_wait(NULL, "/dev/null"), -EINVAL);
}

static void nothing_outside_the_folder_is_reached(void **state) {
    (void)state;
    assert_int_equal(symlink("hello", path_of("link")), 0);
    assert_int_equal(open_and_wait(folder, "link"), 0);
    assert_int_equal(open_and_wait(folder, "../etc/passwd"), -EXDEV);
    assert_int_equal(open_and_wait(folder, "/etc/passwd"), -EXDEV);
    assert_int_equal(open_and_wait(NULL, path_of("link")), 0);
}

static void no_event_comes_after_close(void **state) {
    (void)state;
    assert_int_equal(mg_file_open(&file, loop, NULL, path_of("hello"), &events, &got), 0);
    mg_file_close(file);
    mg_loop_run(loop);
    assert_int_equal(opens, 0);
    file = NULL;
}

static void closing_while_a_thread_reads_or_inside_an_event_is_allowed(void **state) {
    (void)state;
    assert_int_equal(open_and_wait(NULL, path_of("hello")), 0);
    assert_int_equal(mg_file_read_at(file, 0, 5), 0);
    mg_file_close(file);
    mg_loop_run(loop);
    assert_int_equal(reads, 0);
    file = NULL;
    close_in_open = true;
    assert_int_equal(open_and_wait(NULL, path_of("hello")), 0);
    assert_null(file);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_file_is_opened_and_read_in_pieces),
        EACH(the_next_piece_may_be_asked_for_inside_on_read),
        EACH(one_operation_at_a_time),
        EACH(a_file_that_did_not_open_cannot_be_read),
        EACH(only_regular_files_are_opened),
        EACH(nothing_outside_the_folder_is_reached),
        EACH(no_event_comes_after_close),
        EACH(closing_while_a_thread_reads_or_inside_an_event_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
