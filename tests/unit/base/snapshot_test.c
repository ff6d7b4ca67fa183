#include "base/snapshot.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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
    assert_true(mg_snapshot_find(s, (mg_str){NULL, 0}, &text));
    assert_text("none", text);
    mg_str name;
    mg_snapshot_at(s, 1, &name, &text);
    assert_text("a", name);
    assert_ptr_equal(mg_snapshot_ref(s), s);
    mg_snapshot_unref(s);
    mg_snapshot_unref(s);
    mg_snapshot_unref(NULL);
}

// KiB of all snapshots that this process has in memory.
static long resident(void) {
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[300];
    bool ours = false;
    long sum = 0, kib;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strchr(line, '-') != NULL && strchr(line, ':') != NULL && strstr(line, " kB") == NULL) {
            ours = strstr(line, "moongate-snapshot") != NULL;
        } else if (ours && sscanf(line, "Rss: %ld kB", &kib) == 1) {
            sum += kib;
        }
    }
    fclose(f);
    return sum;
}

static void one_that_rests_takes_no_memory_and_is_still_there(void **state) {
    (void)state;
    char *text = malloc(300001);
    memset(text, 'x', 300000);
    text[300000] = '\0';
    const char *const texts[][2] = {{"a", text}};
    mg_snapshot *s = make(texts, 1);
    mg_str found;
    assert_true(mg_snapshot_find(s, MG_STR("a"), &found));
    assert_int_equal(memcmp(found.p, text, found.n), 0);
    assert_true(resident() >= 290);
    mg_snapshot_rest(s);
    assert_int_equal(resident(), 0);
    assert_int_equal(memcmp(found.p, text, 300000), 0);
    mg_snapshot_unref(s);
    free(text);
}

static void a_search_in_vain_leaves_the_text_alone(void **state) {
    (void)state;
    const char *const texts[][2] = {{"b", "2"}, {"d", "4"}, {"dd", "44"}};
    static const char *const missing[] = {"", "a", "bb", "c", "ddd", "e"};
    mg_snapshot *s = make(texts, 3);
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        mg_str text = MG_STR("default");
        assert_false(mg_snapshot_find(s, mg_str_of(missing[i]), &text));
        assert_text("default", text);
    }
    mg_snapshot_unref(s);
}

static void names_and_texts_are_any_bytes(void **state) {
    (void)state;
    mg_snapshot_writer w = {0};
    mg_snapshot *s = NULL;
    mg_str name, text;
    char one[] = "a\0z";
    mg_snapshot_add(&w, (mg_str){"\xff", 1}, (mg_str){"\0", 1});
    mg_snapshot_add(&w, (mg_str){one, 3}, (mg_str){one, 3});
    memset(one, 'x', sizeof one); // what was added is a copy
    mg_snapshot_add(&w, MG_STR("a"), (mg_str){NULL, 0});
    int fd = mg_snapshot_memfd();
    assert_int_equal(mg_snapshot_write(&w, fd), MG_OK);
    mg_snapshot_writer_deinit(&w);
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_OK);
    mg_snapshot_at(s, 0, &name, &text);
    assert_text("a", name);
    assert_int_equal(text.n, 0);
    mg_snapshot_at(s, 1, &name, &text);
    assert_true(mg_str_eq(name, (mg_str){"a\0z", 3}) && mg_str_eq(text, name));
    mg_snapshot_at(s, 2, &name, &text);
    assert_text("\xff", name); // bytes compare unsigned
    assert_true(mg_str_eq(text, (mg_str){"\0", 1}));
    mg_snapshot_unref(s);
}

static void many_are_sorted_and_found(void **state) {
    (void)state;
    enum { MANY = 1000 };
    char name[16], text[32];
    mg_snapshot_writer w = {0};
    mg_snapshot *s = NULL;
    for (int i = 0; i < 2 * MANY; i++) { // each twice, in a stirred order
        snprintf(name, sizeof name, "%d", i * 7919 % MANY);
        snprintf(text, sizeof text, "%s %d", name, i / MANY);
        mg_snapshot_add(&w, mg_str_of(name), mg_str_of(text));
    }
    assert_text("919", mg_snapshot_writer_name(&w, 1));
    int fd = mg_snapshot_memfd();
    assert_int_equal(mg_snapshot_write(&w, fd), MG_OK);
    mg_snapshot_writer_deinit(&w);
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_OK);
    assert_int_equal(mg_snapshot_count(s), MANY);
    for (int i = 0; i < MANY; i++) {
        mg_str found;
        snprintf(name, sizeof name, "%d", i);
        snprintf(text, sizeof text, "%d 0", i);
        assert_true(mg_snapshot_find(s, mg_str_of(name), &found));
        assert_text(text, found);
    }
    mg_snapshot_unref(s);
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
    int fd = mg_snapshot_fd(s);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    assert_ptr_equal(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    mg_snapshot_writer w = {0};
    assert_int_equal(mg_snapshot_write(&w, fd), -EPERM);
    assert_int_equal(mg_snapshot_write(&w, -1), -EBADF);
    mg_snapshot_writer_deinit(&w);
    mg_snapshot_unref(s);
}

static void *hold_for_a_moment(void *arg) {
    for (int i = 0; i < 10000; i++) {
        mg_snapshot_unref(mg_snapshot_ref(arg));
    }
    mg_snapshot_unref(arg);
    return NULL;
}

static void the_last_of_many_threads_frees_it(void **state) {
    (void)state;
    const char *const texts[][2] = {{"a", "1"}};
    mg_snapshot *s = make(texts, 1);
    int fd = mg_snapshot_fd(s);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hold_for_a_moment, mg_snapshot_ref(s)),
                         0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    mg_str text;
    assert_true(mg_snapshot_find(s, MG_STR("a"), &text));
    assert_true(fcntl(fd, F_GETFD) >= 0);
    mg_snapshot_unref(s);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

enum { ALL_SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL };

static int file_of(const char *p, size_t n, int seals) {
    int fd = mg_snapshot_memfd();
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void assert_refused(int fd, const char *why) {
    mg_snapshot *s = (mg_snapshot *)&err;
    assert_int_equal(mg_snapshot_open(&s, fd, &err), MG_ESYNTAX);
    assert_null(s);
    assert_string_equal(err.text, why);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void what_is_not_sealed_is_refused(void **state) {
    (void)state;
    static const char empty[16] = "mgsnap1";
    static const int each[] = {F_SEAL_WRITE, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_SEAL};
    mg_snapshot *s = NULL;
    assert_int_equal(mg_snapshot_open(&s, file_of(empty, 16, ALL_SEALS), &err), MG_OK);
    mg_snapshot_unref(s);
    for (size_t i = 0; i < 4; i++) {
        assert_refused(file_of(empty, 16, ALL_SEALS & ~each[i]), "the snapshot is not complete");
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_refused(ends[0], "the snapshot is not complete");
    close(ends[1]);
    assert_refused(-1, "the snapshot is not complete");
}

static void what_is_malformed_is_refused(void **state) {
    (void)state;
    assert_refused(file_of("", 0, ALL_SEALS), "the snapshot is not complete");
    assert_refused(file_of("mgsnap1", 8, ALL_SEALS), "the snapshot is malformed");
    assert_refused(file_of("mgsnap2\0\0\0\0\0\0\0\0", 16, ALL_SEALS), "the snapshot is malformed");
    assert_refused(file_of("mgsnap1\0\1\0\0\0\0\0\0", 16, ALL_SEALS), "the snapshot is malformed");
}

// At the end of a block of memory, so that a read beyond it is seen.
static int check(const void *p, size_t n) {
    char *copy = malloc(n + 1);
    memcpy(copy + 1, p, n);
    int rc = mg_snapshot_check(copy + 1, n);
    free(copy);
    return rc;
}

static void every_cut_of_it_is_refused(void **state) {
    (void)state;
    const char *const texts[][2] = {{"a", "1"}, {"b", "22"}, {"c", "333"}};
    mg_snapshot *s = make(texts, 3);
    char all[256];
    ssize_t n = pread(mg_snapshot_fd(s), all, sizeof all, 0);
    assert_int_equal(check(all, (size_t)n), MG_OK);
    for (ssize_t i = 0; i < n; i++) {
        assert_int_equal(check(all, (size_t)i), MG_ESYNTAX);
    }
    mg_snapshot_unref(s);
}

// The format of two texts: a is "12", b is "3".
typedef struct two_texts {
    char magic[8];
    uint32_t count, zero;
    uint32_t places[2][4]; // name's place and length, text's place and length
    char bytes[8];
} two_texts;

static const two_texts good = {"mgsnap1", 2, 0, {{48, 1, 49, 2}, {51, 1, 52, 1}}, "a12b3..."};

static void places_lie_inside(void **state) {
    (void)state;
    assert_int_equal(check(&good, sizeof good), MG_OK);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++) {
            static const uint32_t wrong[] = {57, 4096, INT32_MAX, UINT32_MAX - 1, UINT32_MAX};
            for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
                two_texts bad = good;
                bad.places[i][j] = wrong[k];
                assert_int_equal(check(&bad, sizeof bad), MG_ESYNTAX);
            }
        }
    }
    two_texts last = good;
    last.places[1][2] = 55; // the last byte
    assert_int_equal(check(&last, sizeof last), MG_OK);
    last.places[1][3] = 2;
    assert_int_equal(check(&last, sizeof last), MG_ESYNTAX);
    last.places[1][2] = 56; // nothing, behind it
    last.places[1][3] = 0;
    assert_int_equal(check(&last, sizeof last), MG_OK);
}

static void names_rise(void **state) {
    (void)state;
    two_texts bad = good;
    bad.bytes[0] = 'b';
    assert_int_equal(check(&bad, sizeof bad), MG_ESYNTAX);
    bad.bytes[0] = 'c';
    assert_int_equal(check(&bad, sizeof bad), MG_ESYNTAX);
    bad.places[0][1] = 0; // the empty name is the first
    assert_int_equal(check(&bad, sizeof bad), MG_OK);
    bad.places[1][1] = 0;
    assert_int_equal(check(&bad, sizeof bad), MG_ESYNTAX);
}

static void the_count_is_bound_by_the_size(void **state) {
    (void)state;
    static const uint32_t wrong[] = {3, 4, INT32_MAX, UINT32_MAX};
    two_texts bad = good;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bad.count = wrong[i];
        assert_int_equal(check(&bad, sizeof bad), MG_ESYNTAX);
    }
}

static void note(void *arg, mg_str name, char what) {
    mg_buf_printf(arg, "%c%.*s ", what, (int)name.n, name.p);
}

static void compares(const mg_snapshot *x, const mg_snapshot *y, const char *want) {
    mg_buf said = {0};
    mg_snapshot_compare(x, y, note, &said);
    assert_text(want, mg_buf_str(&said));
    mg_buf_deinit(&said);
}

static void two_are_compared(void **state) {
    (void)state;
    const char *const a[][2] = {{"a", "1"}, {"b", "1"}, {"c", "1"}};
    const char *const b[][2] = {{"b", "2"}, {"c", "1"}, {"d", "1"}};
    mg_snapshot *x = make(a, 3);
    mg_snapshot *y = make(b, 3);
    mg_snapshot *none = make(NULL, 0);
    compares(x, y, "-a ~b +d ");
    compares(y, x, "+a ~b -d ");
    compares(x, x, "");
    compares(none, x, "+a +b +c ");
    compares(x, none, "-a -b -c ");
    compares(none, none, "");
    mg_snapshot_unref(x);
    mg_snapshot_unref(y);
    mg_snapshot_unref(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_found_by_name),
        cmocka_unit_test(one_that_rests_takes_no_memory_and_is_still_there),
        cmocka_unit_test(a_search_in_vain_leaves_the_text_alone),
        cmocka_unit_test(names_and_texts_are_any_bytes),
        cmocka_unit_test(many_are_sorted_and_found),
        cmocka_unit_test(an_empty_one_is_good),
        cmocka_unit_test(it_cannot_be_written_any_more),
        cmocka_unit_test(the_last_of_many_threads_frees_it),
        cmocka_unit_test(what_is_not_sealed_is_refused),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(every_cut_of_it_is_refused),
        cmocka_unit_test(places_lie_inside),
        cmocka_unit_test(names_rise),
        cmocka_unit_test(the_count_is_bound_by_the_size),
        cmocka_unit_test(two_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
