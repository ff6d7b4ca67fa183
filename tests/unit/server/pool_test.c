#include "server/pool.h"

#include "base/mem.h"

#include "unit.h"

// What a wire keeps beside an exchange.
typedef struct larger {
    mg_exchange x;
    int own;
} larger;

static const mg_wire wire = {.exchange_bytes = sizeof(larger)};

static void an_exchange_is_as_new_each_time(void **state) {
    (void)state;
    mg_exchange_pool pool = {0};
    larger *first = (larger *)mg_exchange_take(&pool, NULL, &wire);
    assert_ptr_equal(first->x.wire, &wire);
    first->own = 7;
    first->x.status = 200;
    first->x.body_complete = true;
    mg_buf_append(&first->x.content, "x", 1);
    mg_exchange_give(&pool, &first->x);
    assert_int_equal(pool.count, 1);
    larger *second = (larger *)mg_exchange_take(&pool, NULL, &wire);
    assert_ptr_equal(second, first);
    assert_int_equal(pool.count, 0);
    assert_int_equal(second->own, 0);
    assert_int_equal(second->x.status, 0);
    assert_false(second->x.body_complete);
    assert_int_equal(second->x.content.n, 0);
    mg_exchange_give(&pool, &second->x);
    mg_exchange_pool_deinit(&pool);
    assert_int_equal(pool.count, 0);
}

static void exchanges_are_kept_up_to_a_number(void **state) {
    (void)state;
    static mg_exchange *taken[MG_EXCHANGE_POOL + 10];
    mg_exchange_pool pool = {0};
    for (int i = 0; i < MG_EXCHANGE_POOL + 10; i++) {
        taken[i] = mg_exchange_take(&pool, NULL, &wire);
        mg_arena_alloc(&taken[i]->arena, 10);
    }
    for (int i = 0; i < MG_EXCHANGE_POOL + 10; i++) {
        mg_exchange_give(&pool, taken[i]);
    }
    assert_int_equal(pool.count, MG_EXCHANGE_POOL);
    mg_exchange_pool_deinit(&pool);
}

static void output_is_kept_up_to_a_number_and_a_size(void **state) {
    (void)state;
    mg_output *outputs[MG_OUTPUT_POOL + 10];
    mg_output_pool pool = {0};
    for (int i = 0; i < MG_OUTPUT_POOL + 10; i++) {
        outputs[i] = mg_output_take(&pool);
        mg_buf_append(&outputs[i]->bytes, "x", 1);
    }
    mg_buf_reserve(&outputs[0]->bytes, 1 << 20); // too large to be kept
    mg_output_give(&pool, outputs[0]);
    assert_int_equal(pool.count, 0);
    for (int i = 1; i < MG_OUTPUT_POOL + 10; i++) {
        mg_output_give(&pool, outputs[i]);
    }
    assert_int_equal(pool.count, MG_OUTPUT_POOL);
    mg_output *o = mg_output_take(&pool);
    assert_int_equal(o->bytes.n, 0);
    mg_output_give(&pool, o);
    mg_output_pool_deinit(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange_is_as_new_each_time),
        cmocka_unit_test(exchanges_are_kept_up_to_a_number),
        cmocka_unit_test(output_is_kept_up_to_a_number_and_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
