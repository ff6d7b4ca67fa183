#include "base/mem.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void strings_are_copied_with_their_end(void **state) {
    (void)state;
    char *all = mg_strdup("abc");
    char *part = mg_strndup("abc", 2);
    assert_string_equal(all, "abc");
    assert_string_equal(part, "ab");
    mg_free(all);
    mg_free(part);
    mg_free(NULL);
}

static void nothing_is_something_to_free(void **state) {
    (void)state;
    void *p = mg_malloc(0);
    p = mg_realloc(p, 0);
    mg_free(p);
    mg_free(mg_calloc(0, 8));
}

#ifndef __SANITIZE_ADDRESS__

enum { BLOCKS = 4096, BLOCK = 8192 };

static size_t resident_bytes(void) {
    size_t all = 0;
    size_t resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &all, &resident), 2);
    fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void what_was_freed_is_given_back_once_it_is_much(void **state) {
    (void)state;
    static void *blocks[BLOCKS];
    mg_mem_begin();
    mg_mem_tend();
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = memset(mg_malloc(BLOCK), 1, BLOCK);
    }
    void *last = mg_malloc(BLOCK); // the heap does not shrink by itself
    size_t full = resident_bytes();
    assert_false(mg_mem_tend());
    for (int i = 0; i < BLOCKS; i++) {
        mg_free(blocks[i]);
    }
    assert_true(resident_bytes() > full - (BLOCKS * BLOCK) / 4);
    assert_true(mg_mem_tend());
    assert_true(resident_bytes() < full - (BLOCKS * BLOCK) * 3 / 4);
    assert_false(mg_mem_tend());
    mg_free(last);
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_copied_with_their_end),
        cmocka_unit_test(nothing_is_something_to_free),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(what_was_freed_is_given_back_once_it_is_much),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
