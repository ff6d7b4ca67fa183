#include "base/snapshot.h"

#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static mg_error err;

static mg_snapshot *make(const char *const texts[][2], size_t n) {
    mg_snapshot_writer w = {0};
    mg_snapshot *s = NULL;
    for (size_t i = 0; i < n; i++) {
        mg_snapshot_add(&w, mg_str_of(texts[i][0]), mg_str_of(texts[i][1]));
    }
    int fd = mg_snapshot_memfd();
    assert_int_equal(mg_snapshot_write(&w, fd), MG_OK);
    mg_snapshot_writer_deinit(&w);
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_OK);
    return s;
}

static void texts_are_found_by_name(void **state) {
    (void)state;
    const char *const texts[][2] = {
        {"b", "2"}, {"a", "1"}, {"", "none"}, {"b", "late"}, {"aa", ""}};
    mg_snapshot *s = make(texts, 5);
    mg_str text;
    assert_int_equal(mg_snapshot_count(s), 4);
    assert_true(mg_snapshot_find(s, MG_STR("a"), &text));
    assert_text("1", text);
    assert_true(mg_snapshot_find(s, MG_STR("b"), &text));
    assert_text("2", text); // of equal names the first counts
    assert_true(mg_snapshot_find(s, MG_STR(""), &text));
    assert_text("none", text);
    assert_true(mg_snapshot_find(s, MG_STR("aa"), &text));
    assert_text("", text);
    assert_false(mg_snapshot_find(s, MG_STR("ab"), &text));
    mg_str name;
    mg_snapshot_at(s, 1, &name, &text);
    assert_text("a", name);
    assert_ptr_equal(mg_snapshot_ref(s), s);
    mg_snapshot_unref(s);
    mg_snapshot_unref(s);
    mg_snapshot_unref(NULL);
}

static void an_empty_one_is_good(void **state) {
    (void)state;
    mg_snapshot *s = make(NULL, 0);
    mg_str text;
    assert_int_equal(mg_snapshot_count(s), 0);
    assert_false(mg_snapshot_find(s, MG_STR("a"), &text));
    mg_snapshot_unref(s);
}

static void it_cannot_be_written_any_more(void **state) {
    (void)state;
    const char *const texts[][2] = {{"a", "1"}};
    mg_snapshot *s = make(texts, 1);
    assert_int_equal(write(mg_snapshot_fd(s), "x", 1), -1);
    assert_int_equal(ftruncate(mg_snapshot_fd(s), 0), -1);
    mg_snapshot_unref(s);
}

static void what_is_not_sealed_or_malformed_is_refused(void **state) {
    (void)state;
    mg_snapshot *s = NULL;
    int fd = mg_snapshot_memfd();
    assert_int_equal(write(fd, "mgsnap1\0\0\0\0\0\0\0\0\0", 16), 16);
    assert_int_equal(mg_snapshot_open(&s, dup(fd), &err), MG_ESYNTAX);
    assert_non_null(strstr(err.text, "not complete"));
    assert_int_equal(pwrite(fd, "X", 1, 0), 1);
    assert_int_equal(
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_ESYNTAX);
    assert_non_null(strstr(err.text, "malformed"));
    assert_int_equal(mg_snapshot_open(&s, -1, &err), MG_ESYNTAX);
}

static void every_cut_of_it_is_refused_or_harmless(void **state) {
    (void)state;
    const char *const texts[][2] = {{"a", "1"}, {"b", "22"}, {"c", "333"}};
    mg_snapshot *s = make(texts, 3);
    char all[256];
    ssize_t n = pread(mg_snapshot_fd(s), all, sizeof all, 0);
    assert_int_equal(mg_snapshot_check(all, (size_t)n), MG_OK);
    for (ssize_t i = 0; i < n; i++) {
        assert_int_equal(mg_snapshot_check(all, (size_t)i), MG_ESYNTAX);
    }
    mg_snapshot_unref(s);
}

static void note(void *arg, mg_str name, char what) {
    mg_buf_printf(arg, "%c%.*s ", what, (int)name.n, name.p);
}

static void two_are_compared(void **state) {
    (void)state;
    const char *const a[][2] = {{"a", "1"}, {"b", "1"}, {"c", "1"}};
    const char *const b[][2] = {{"b", "2"}, {"c", "1"}, {"d", "1"}};
    mg_snapshot *x = make(a, 3);
    mg_snapshot *y = make(b, 3);
    mg_buf said = {0};
    mg_snapshot_compare(x, y, note, &said);
    assert_text("-a ~b +d ", mg_buf_str(&said));
    mg_buf_clear(&said);
    mg_snapshot_compare(x, x, note, &said);
    assert_int_equal(said.n, 0);
    mg_buf_deinit(&said);
    mg_snapshot_unref(x);
    mg_snapshot_unref(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_found_by_name),
        cmocka_unit_test(an_empty_one_is_good),
        cmocka_unit_test(it_cannot_be_written_any_more),
        cmocka_unit_test(what_is_not_sealed_or_malformed_is_refused),
        cmocka_unit_test(every_cut_of_it_is_refused_or_harmless),
        cmocka_unit_test(two_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
