#include "event/file_work.h"

#include "event/file_now.h"
#include "wire.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

static mg_loop *loop;
static char *folder;
static mg_file_work *work;
static int dones;
static int done_status;
static mg_file_info info;
static mg_buf names; // of a list, each with its kind's number and its size

static void on_done(void *arg, const mg_file_result *result) {
    assert_ptr_equal(arg, &names);
    dones++;
    done_status = result->status;
    info = result->info;
    for (size_t i = 0; i < result->count; i++) {
        const mg_file_entry *e = &result->entries[i];
        mg_buf_printf(&names, "%s %d %d;", e->name, (int)e->kind, (int)e->size);
    }
}

static const char *path_of(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int run(const mg_file_order *order) {
    dones = 0;
    mg_buf_clear(&names);
    assert_int_equal(mg_file_work_start(&work, loop, order, on_done, &names), 0);
    assert_int_equal(dones, 0);
    mg_loop_run(loop);
    assert_int_equal(dones, 1);
    return done_status;
}

static mg_file_order write_order(const char *name, const char *text) {
    return (mg_file_order){
        .verb = MG_FILE_WRITE, .path = path_of(name), .data = mg_str_of(text), .mode = -1};
}

static int write_text(const char *name, const char *text) {
    mg_file_order order = write_order(name, text);
    return run(&order);
}

static int order_for(mg_file_verb verb, const char *name) {
    mg_file_order order = {.verb = verb, .path = path_of(name), .max = 100, .mode = -1};
    return run(&order);
}

static void assert_content(const char *name, const char *text) {
    char got[256] = "";
    FILE *f = fopen(path_of(name), "re");
    assert_non_null(f);
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(got, text);
}

static mode_t mode_of(const char *name) {
    struct stat st;
    assert_int_equal(lstat(path_of(name), &st), 0);
    return st.st_mode & 07777;
}

static int count_entries(void) {
    DIR *d = opendir(folder);
    int n = -2;
    while (readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n;
}

static int count_descriptors(void) {
    int fd = dup(0);
    close(fd);
    return fd;
}

static int set_up(void **state) {
    (void)state;
    alarm(60);
    umask(022);
    loop = new_loop(true);
    folder = new_folder();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_buf_deinit(&names);
    remove_folder(folder);
    return mg_loop_free(loop);
}

static void a_new_file_is_written_and_an_old_one_replaced(void **state) {
    (void)state;
    assert_int_equal(write_text("a", "one"), 0);
    assert_content("a", "one");
    assert_int_equal(mode_of("a"), 0644);
    ino_t before, after;
    struct stat st;
    assert_int_equal(stat(path_of("a"), &st), 0);
    before = st.st_ino;
    assert_int_equal(write_text("a", ""), 0);
    assert_content("a", "");
    assert_int_equal(stat(path_of("a"), &st), 0);
    after = st.st_ino;
    assert_int_not_equal(before, after);
    assert_int_equal(count_entries(), 1);
}

static void the_mode_is_kept_or_set_exactly(void **state) {
    (void)state;
    umask(077);
    assert_int_equal(write_text("new", "x"), 0);
    assert_int_equal(mode_of("new"), 0600);
    assert_int_equal(chmod(path_of("new"), 0640), 0);
    assert_int_equal(write_text("new", "y"), 0);
    assert_int_equal(mode_of("new"), 0640);
    mg_file_order order = write_order("new", "z");
    order.mode = 0666;
    assert_int_equal(run(&order), 0);
    assert_int_equal(mode_of("new"), 0666);
    order = write_order("other", "z");
    order.mode = 0755;
    assert_int_equal(run(&order), 0);
    assert_int_equal(mode_of("other"), 0755);
}

static void what_no_write_could_open_is_not_replaced(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(write_text("sub", "x"), -EISDIR);
    assert_int_equal(write_text("sub/", "x"), -EISDIR);
    assert_int_equal(write_text("none/", "x"), -EISDIR);
    assert_int_equal(write_text("fifo", "x"), -EINVAL);
    assert_int_equal(write_text("none/a", "x"), -ENOENT);
    assert_int_equal(write_text("fifo/a", "x"), -ENOTDIR);
    char name[400];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(write_text(name, "x"), -ENAMETOOLONG);
    name[255] = '\0';
    assert_int_equal(write_text(name, "x"), 0);
    assert_int_equal(count_entries(), 3);
}

static void a_link_stays_and_what_it_leads_to_is_replaced(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(symlink("sub/target", path_of("link")), 0);
    assert_int_equal(write_text("sub/target", "old"), 0);
    assert_int_equal(write_text("link", "new"), 0);
    assert_content("sub/target", "new");
    struct stat st;
    assert_int_equal(lstat(path_of("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void a_link_that_leads_nowhere_becomes_a_file(void **state) {
    (void)state;
    assert_int_equal(symlink("none", path_of("lost")), 0);
    assert_int_equal(write_text("lost", "new"), 0);
    assert_content("lost", "new");
    assert_int_equal(count_entries(), 1);
}

// A file system that is full fails likewise.
static void a_write_that_fails_leaves_the_old_content_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(write_text("a", "old"), 0);
    struct rlimit old, small = {10, 10};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int before = count_descriptors();
    int status = write_text("a", "more than ten bytes");
    int after = count_descriptors();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, -EFBIG);
    assert_int_equal(before, after);
    assert_content("a", "old");
    assert_int_equal(count_entries(), 1);
}

static void missing_folders_are_made_if_wanted(void **state) {
    (void)state;
    mg_file_order order = write_order("x/y//a", "1");
    order.make_folders = order.sync = true;
    assert_int_equal(run(&order), 0);
    assert_content("x/y/a", "1");
    order = write_order("x/y/a/b", "1");
    order.make_folders = true;
    assert_int_equal(run(&order), -ENOTDIR);
}

static void appending_adds_to_the_end(void **state) {
    (void)state;
    mg_file_order order = write_order("a", "1");
    order.verb = MG_FILE_APPEND;
    order.sync = true;
    assert_int_equal(run(&order), 0);
    order.data = mg_str_of("23");
    assert_int_equal(run(&order), 0);
    assert_content("a", "123");
    order.path = folder;
    assert_int_equal(run(&order), -EISDIR);
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    order.path = path_of("fifo");
    assert_int_equal(run(&order), -EINVAL);
}

static void a_stopped_write_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(write_text("a", "old"), 0);
    atomic_bool stop = true;
    mg_file_order order = write_order("a", "new");
    for (int unnamed = 0; unnamed < 2; unnamed++) {
        order.data = mg_str_of("new");
        assert_int_equal(mg_file_write_now(&order, &stop, unnamed), -ECANCELED);
        order.data.n = 0;
        assert_int_equal(mg_file_write_now(&order, &stop, unnamed), -ECANCELED);
    }
    assert_content("a", "old");
    assert_int_equal(count_entries(), 1);
}

static void where_each_file_needs_a_name_it_works_too(void **state) {
    (void)state;
    atomic_bool stop = false;
    mg_file_order order = write_order("a", "new");
    assert_int_equal(mg_file_write_now(&order, &stop, false), 0);
    assert_int_equal(mode_of("a"), 0644);
    order.data = mg_str_of("newer");
    order.mode = 0600;
    assert_int_equal(mg_file_write_now(&order, &stop, false), 0);
    assert_content("a", "newer");
    assert_int_equal(mode_of("a"), 0600);
    assert_int_equal(count_entries(), 1);
}

static void cancelled_work_says_so_once_and_happens_wholly_or_not_at_all(void **state) {
    (void)state;
    enum { BYTES = 3000000 };
    char *big = malloc(BYTES);
    assert_non_null(big);
    memset(big, 'n', BYTES);
    assert_int_equal(write_text("a", "old"), 0);
    for (int i = 0; i < 30; i++) {
        mg_file_order order = write_order("a", "");
        order.data = (mg_str){big, BYTES};
        dones = 0;
        assert_int_equal(mg_file_work_start(&work, loop, &order, on_done, &names), 0);
        usleep((useconds_t)(i * 100)); // to meet it at any stage; none is asked for
        mg_file_work_cancel(work);
        mg_loop_run(loop);
        assert_int_equal(dones, 1);
        assert_int_equal(done_status, MG_ECANCELLED);
        struct stat st;
        assert_int_equal(stat(path_of("a"), &st), 0);
        assert_true(st.st_size == 3 || st.st_size == BYTES);
        assert_int_equal(count_entries(), 1);
    }
    free(big);
}

static void info_tells_what_is_there(void **state) {
    (void)state;
    assert_int_equal(write_text("a", "12345"), 0);
    assert_int_equal(symlink("a", path_of("link")), 0);
    struct timespec times[2] = {{1, 0}, {1234567, 500000000}};
    assert_int_equal(utimensat(AT_FDCWD, path_of("a"), times, 0), 0);
    assert_int_equal(order_for(MG_FILE_INFO, "a"), 0);
    assert_int_equal(info.kind, MG_FILE_REGULAR);
    assert_int_equal(info.size, 5);
    assert_int_equal(info.mode, 0644);
    assert_true(info.modified_s == 1234567.5);
    assert_int_equal(order_for(MG_FILE_INFO, "link"), 0);
    assert_int_equal(info.kind, MG_FILE_LINK);
    mg_file_order order = {.verb = MG_FILE_INFO, .path = path_of("link"), .follow = true};
    assert_int_equal(run(&order), 0);
    assert_int_equal(info.kind, MG_FILE_REGULAR);
    assert_int_equal(order_for(MG_FILE_INFO, ""), 0);
    assert_int_equal(info.kind, MG_FILE_FOLDER);
    assert_int_equal(order_for(MG_FILE_INFO, "none"), -ENOENT);
}

static void a_list_is_sorted_and_limited(void **state) {
    (void)state;
    assert_int_equal(order_for(MG_FILE_LIST, ""), 0);
    assert_int_equal(names.n, 0);
    assert_int_equal(write_text("b", "12"), 0);
    assert_int_equal(write_text(".a", ""), 0);
    assert_int_equal(mkdir(path_of("c"), 0700), 0);
    assert_int_equal(symlink("none", path_of("d")), 0);
    assert_int_equal(order_for(MG_FILE_LIST, ""), 0);
    mg_buf_append_char(&names, '\0');
    assert_string_equal(names.p, ".a 0 0;b 0 2;c 1 -1;d 2 -1;");
    mg_file_order order = {.verb = MG_FILE_LIST, .path = folder, .max = 4};
    assert_int_equal(run(&order), 0);
    order.max = 3;
    assert_int_equal(run(&order), -EFBIG);
    assert_int_equal(order_for(MG_FILE_LIST, "b"), -ENOTDIR);
    assert_int_equal(order_for(MG_FILE_LIST, "none"), -ENOENT);
}

static void a_list_of_hundreds_is_complete(void **state) {
    (void)state;
    for (int i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "%03d", i);
        assert_int_equal(mkdir(path_of(name), 0700), 0);
    }
    mg_file_order order = {.verb = MG_FILE_LIST, .path = folder, .max = 1000};
    assert_int_equal(run(&order), 0);
    assert_int_equal(names.n, 300 * strlen("000 1 -1;"));
    assert_memory_equal(names.p + 299 * strlen("000 1 -1;"), "299 1 -1;", 9);
}

static void files_are_deleted_and_renamed(void **state) {
    (void)state;
    assert_int_equal(write_text("a", "1"), 0);
    assert_int_equal(write_text("b", "2"), 0);
    mg_file_order order = {.verb = MG_FILE_RENAME, .path = path_of("a"), .to = path_of("b")};
    assert_int_equal(run(&order), 0);
    assert_content("b", "1");
    assert_int_equal(run(&order), -ENOENT);
    assert_int_equal(order_for(MG_FILE_DELETE, "b"), 0);
    assert_int_equal(order_for(MG_FILE_DELETE, "b"), -ENOENT);
    assert_int_equal(count_entries(), 0);
}

static void folders_are_made_and_deleted(void **state) {
    (void)state;
    assert_int_equal(order_for(MG_FILE_MAKE_FOLDER, "x/y"), 0);
    assert_int_equal(order_for(MG_FILE_MAKE_FOLDER, "x/y/"), 0);
    assert_int_equal(order_for(MG_FILE_DELETE, "x"), -EISDIR);
    assert_int_equal(order_for(MG_FILE_DELETE_FOLDER, "x"), -ENOTEMPTY);
    assert_int_equal(order_for(MG_FILE_DELETE_FOLDER, "x/y"), 0);
    assert_int_equal(write_text("x/a", ""), 0);
    assert_int_equal(order_for(MG_FILE_MAKE_FOLDER, "x/a"), -EEXIST);
    assert_int_equal(order_for(MG_FILE_MAKE_FOLDER, "x/a/b"), -ENOTDIR);
    assert_int_equal(mg_file_make_folders_now(""), -ENOENT);
    assert_int_equal(mg_file_make_folders_now("/"), 0);
}

static void a_new_folder_may_lie_below_one_that_is_read_only(void **state) {
    (void)state;
    assert_int_equal(mg_file_make_folders_now("/proc/self/task"), 0);
    assert_true(mg_file_make_folders_now("/proc/self/none") < 0);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(a_new_file_is_written_and_an_old_one_replaced),
        EACH(the_mode_is_kept_or_set_exactly),
        EACH(what_no_write_could_open_is_not_replaced),
        EACH(a_link_stays_and_what_it_leads_to_is_replaced),
        EACH(a_link_that_leads_nowhere_becomes_a_file),
        EACH(a_write_that_fails_leaves_the_old_content_and_nothing_else),
        EACH(missing_folders_are_made_if_wanted),
        EACH(appending_adds_to_the_end),
        EACH(a_stopped_write_changes_nothing),
        EACH(where_each_file_needs_a_name_it_works_too),
        EACH(cancelled_work_says_so_once_and_happens_wholly_or_not_at_all),
        EACH(info_tells_what_is_there),
        EACH(a_list_is_sorted_and_limited),
        EACH(a_list_of_hundreds_is_complete),
        EACH(files_are_deleted_and_renamed),
        EACH(folders_are_made_and_deleted),
        EACH(a_new_folder_may_lie_below_one_that_is_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
