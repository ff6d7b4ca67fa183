#include "base/arena.h"

#include "unit.h"

static void pieces_are_aligned_and_apart(void **state) {
    (void)state;
    mg_arena a = {0};
    char *before = NULL;
    for (size_t n = 1; n <= 64; n++) {
        char *p = mg_arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % 8, 0);
        assert_true(p != before);
        memset(p, (int)n, n);
        if (before != NULL) {
            assert_int_equal(before[n - 2], n - 1);
        }
        before = p;
    }
    mg_arena_deinit(&a);
}

static void an_empty_piece_of_an_empty_arena_has_an_address(void **state) {
    (void)state;
    mg_arena a = {0};
    void *p = mg_arena_alloc(&a, 0);
    assert_int_equal((uintptr_t)p % 8, 0);
    assert_non_null(a.newest);
    mg_arena_deinit(&a);
}

static void a_piece_may_be_larger_than_a_block(void **state) {
    (void)state;
    mg_arena a = {0};
    char *small = mg_arena_copy(&a, MG_STR("small"));
    char *large = mg_arena_alloc(&a, 100000);
    memset(large, 'x', 100000);
    char *after = mg_arena_copy(&a, MG_STR("after"));
    assert_string_equal(small, "small");
    assert_string_equal(after, "after");
    assert_int_equal(large[99999], 'x');
    mg_arena_deinit(&a);
    assert_null(a.newest);
}

static void the_last_piece_may_shrink(void **state) {
    (void)state;
    mg_arena a = {0};
    char *p = mg_arena_alloc(&a, 64);
    mg_arena_shrink(&a, p, 64, 9);
    char *next = mg_arena_alloc(&a, 8);
    assert_ptr_equal(next, p + 16);
    mg_arena_shrink(&a, p, 16, 8); // no longer the last one
    assert_ptr_equal(mg_arena_alloc(&a, 8), next + 8);
    mg_arena_deinit(&a);
}

static void reset_keeps_a_block_for_all_that_was_taken(void **state) {
    (void)state;
    mg_arena a = {0};
    mg_arena_reset(&a);
    for (int i = 0; i < 3; i++) {
        mg_arena_alloc(&a, 900); // more than the first block has
    }
    mg_arena_block *kept = a.newest;
    mg_arena_reset(&a);
    assert_ptr_equal(a.newest, kept);
    for (int i = 0; i < 2; i++) {
        mg_arena_alloc(&a, 900);
        assert_ptr_equal(a.newest, kept);
    }
    mg_arena_deinit(&a);
    mg_arena_deinit(&a);
}

static void reset_gives_large_blocks_back(void **state) {
    (void)state;
    mg_arena a = {0};
    char *first = mg_arena_alloc(&a, 16);
    mg_arena_alloc(&a, 100000);
    mg_arena_reset(&a);
    assert_ptr_equal(mg_arena_alloc(&a, 16), first);
    mg_arena_deinit(&a);
    mg_arena_alloc(&a, 100000);
    mg_arena_reset(&a);
    assert_null(a.newest);
}

static void room_that_was_reserved_is_in_one_block(void **state) {
    (void)state;
    mg_arena a = {0};
    mg_arena_alloc(&a, 16);
    mg_arena_block *first = a.newest;
    mg_arena_reserve(&a, 64); // there is
    assert_ptr_equal(a.newest, first);
    mg_arena_reserve(&a, 1000);
    mg_arena_block *second = a.newest;
    assert_ptr_not_equal(second, first);
    assert_int_equal(a.end - a.at, 1000);
    char *p = mg_arena_alloc(&a, 600);
    assert_ptr_equal(mg_arena_alloc(&a, 400), p + 600);
    assert_ptr_equal(a.newest, second);
    mg_arena_deinit(&a);
}

static void copies_are_terminated(void **state) {
    (void)state;
    mg_arena a = {0};
    assert_string_equal(mg_arena_copy(&a, (mg_str){0}), "");
    assert_string_equal(mg_arena_copy(&a, (mg_str){"abcdefgh", 3}), "abc");
    mg_arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(an_empty_piece_of_an_empty_arena_has_an_address),
        cmocka_unit_test(a_piece_may_be_larger_than_a_block),
        cmocka_unit_test(the_last_piece_may_shrink),
        cmocka_unit_test(reset_keeps_a_block_for_all_that_was_taken),
        cmocka_unit_test(reset_gives_large_blocks_back),
        cmocka_unit_test(room_that_was_reserved_is_in_one_block),
        cmocka_unit_test(copies_are_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
