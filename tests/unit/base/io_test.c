#include "base/io.h"

#include "base/error.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int file;

static int setup(void **state) {
    (void)state;
    file = memfd_create("io", MFD_CLOEXEC);
    return file < 0;
}

static int teardown(void **state) {
    (void)state;
    return close(file);
}

// The kernel takes what fits below the limit, and says so without an error.
static void a_write_that_takes_some_is_gone_on_with_until_it_fails(void **state) {
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 3;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = mg_io_write(file, MG_STR("gates"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, -EFBIG);
    assert_int_equal(lseek(file, 0, SEEK_END), 3);
}

static void what_was_written_is_read_from_anywhere(void **state) {
    (void)state;
    char text[4];
    assert_int_equal(mg_io_write(file, MG_STR("moongate")), MG_OK);
    assert_int_equal(mg_io_write(file, (mg_str){NULL, 0}), MG_OK);
    assert_int_equal(mg_io_read_at(file, text, 4, 4), MG_OK);
    assert_memory_equal(text, "gate", 4);
    assert_int_equal(mg_io_read_at(file, NULL, 0, 100), MG_OK);
}

static void a_file_that_ends_too_early_is_an_error(void **state) {
    (void)state;
    char text[4];
    assert_int_equal(mg_io_write(file, MG_STR("moon")), MG_OK);
    assert_int_equal(mg_io_read_at(file, text, 4, 1), -EIO);
    assert_int_equal(mg_io_read_at(-1, text, 4, 0), -EBADF);
    assert_int_equal(mg_io_write(-1, MG_STR("x")), -EBADF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_that_takes_some_is_gone_on_with_until_it_fails,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_written_is_read_from_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_ends_too_early_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
