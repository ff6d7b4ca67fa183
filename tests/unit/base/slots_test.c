#include "base/slots.h"

#include "unit.h"

static void a_stale_handle_finds_nothing(void **state) {
    (void)state;
    mg_slots s = {0};
    int a;
    int b;
    uint64_t first = mg_slots_add(&s, &a);
    assert_true(first != 0);
    assert_ptr_equal(mg_slots_get(&s, first), &a);
    mg_slots_remove(&s, first);
    mg_slots_remove(&s, first);
    uint64_t second = mg_slots_add(&s, &b);
    assert_int_equal(mg_slot_index(first), mg_slot_index(second));
    assert_true(first != second);
    assert_null(mg_slots_get(&s, first));
    assert_ptr_equal(mg_slots_get(&s, second), &b);
    assert_null(mg_slots_get(&s, 0));
    assert_null(mg_slots_get(&s, UINT64_MAX));
    mg_slots_deinit(&s);
}

static void a_reserved_place_is_nobody_elses(void **state) {
    (void)state;
    mg_slots s = {0};
    int item;
    uint64_t first = mg_slots_add(&s, &item);
    mg_slots_reserve(&s, first);
    assert_null(mg_slots_get(&s, first));
    uint64_t second = mg_slots_add(&s, &item);
    assert_true(mg_slot_index(first) != mg_slot_index(second));
    mg_slots_remove(&s, first);
    mg_slots_remove(&s, first);
    assert_int_equal(s.used, 1);
    assert_int_equal(mg_slot_index(mg_slots_add(&s, &item)), mg_slot_index(first));
    mg_slots_deinit(&s);
}

static void handles_are_exact_as_lua_numbers(void **state) {
    (void)state;
    mg_slots s = {0};
    int item;
    uint64_t handles[1000];
    for (int i = 0; i < 1000; i++) {
        handles[i] = mg_slots_add(&s, &item);
    }
    s.slots[0].serial = UINT32_MAX - 1;
    handles[0] = (uint64_t)(UINT32_MAX - 1) << 20;
    for (int i = 0; i < 1000; i++) {
        assert_true((uint64_t)(double)handles[i] == handles[i]);
        mg_slots_remove(&s, handles[i]);
    }
    assert_int_equal(s.used, 0);
    mg_slots_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stale_handle_finds_nothing),
        cmocka_unit_test(a_reserved_place_is_nobody_elses),
        cmocka_unit_test(handles_are_exact_as_lua_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
