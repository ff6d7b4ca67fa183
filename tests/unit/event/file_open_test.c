#include "event/file_open.h"

#include "wire.h"

#include <errno.h>

static char *folder;
static int folder_fd;

static int set_up(void **state) {
    (void)state;
    char command[1024];
    folder = new_folder();
    snprintf(
        command, sizeof command,
        "cd %s && mkdir -p root/a/b && echo deep > root/a/b/f && echo secret > out && "
        "ln -s ../out root/link && ln -s a root/dir && ln -s /etc root/etc && ln -s f root/a/b/l",
        folder);
    assert_int_equal(system(command), 0);
    char root[64];
    snprintf(root, sizeof root, "%s/root", folder);
    folder_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return folder_fd < 0;
}

static int tear_down(void **state) {
    (void)state;
    close(folder_fd);
    remove_folder(folder);
    return 0;
}

// The descriptor is closed at once: 0 stands for success.
static int walk(const char *path) {
    int fd = mg_file_walk(folder_fd, path);
    if (fd < 0) {
        return fd;
    }
    close(fd);
    return 0;
}

static int open_beneath(const char *path) {
    char root[64];
    struct stat st;
    snprintf(root, sizeof root, "%s/root", folder);
    int fd = mg_file_open_now(root, path, &st);
    if (fd < 0) {
        return fd;
    }
    assert_int_equal(st.st_size, 5);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    return 0;
}

// But for links, the kernel and the walk must agree.
static void assert_both(const char *path, int expected) {
    assert_int_equal(open_beneath(path), expected);
    assert_int_equal(walk(path), expected);
}

static void files_below_are_opened(void **state) {
    (void)state;
    assert_both("a/b/f", 0);
    assert_both("a//b///f", 0);
    assert_both("./a/./b/f", 0);
}

// The walk, for kernels without openat2, is stricter than the kernel: it follows no link at all.
static void links_are_followed_only_inside(void **state) {
    (void)state;
    assert_int_equal(open_beneath("a/b/l"), 0);
    assert_int_equal(open_beneath("dir/b/f"), 0);
    assert_int_equal(open_beneath("link"), -EXDEV);
    assert_int_equal(open_beneath("etc/passwd"), -EXDEV);
    assert_int_equal(walk("a/b/l"), -ELOOP);
    assert_int_equal(walk("dir/b/f"), -ELOOP);
    assert_int_equal(walk("link"), -ELOOP);
    assert_int_equal(walk("etc/passwd"), -ELOOP);
}

static void the_folder_is_not_left(void **state) {
    (void)state;
    assert_both("../out", -EXDEV);
    assert_both("a/../../out", -EXDEV);
    assert_both("/etc/passwd", -EXDEV);
    assert_both("..", -EXDEV);
}

static void what_is_not_there_is_enoent_and_a_file_is_no_folder(void **state) {
    (void)state;
    assert_both("", -ENOENT);
    assert_both("none", -ENOENT);
    assert_both("a/none/f", -ENOENT);
    assert_both("a/b/f/x", -ENOTDIR);
    assert_both("a/b/f/", -ENOTDIR);
}

static void a_name_too_long_is_refused(void **state) {
    (void)state;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_both(name, -ENAMETOOLONG);
}

static void a_folder_is_not_a_file(void **state) {
    (void)state;
    assert_int_equal(open_beneath("a"), -EISDIR);
    assert_int_equal(open_beneath("a/"), -EISDIR);
    assert_int_equal(walk("a/"), 0);
}

static void no_descriptor_is_left_behind(void **state) {
    (void)state;
    int before = dup(0);
    close(before);
    walk("a/b/f");
    walk("a/b/none");
    walk("a/b/../f");
    open_beneath("a/b/f");
    open_beneath("a/b");
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(files_below_are_opened),
        EACH(links_are_followed_only_inside),
        EACH(the_folder_is_not_left),
        EACH(what_is_not_there_is_enoent_and_a_file_is_no_folder),
        EACH(a_name_too_long_is_refused),
        EACH(a_folder_is_not_a_file),
        EACH(no_descriptor_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
