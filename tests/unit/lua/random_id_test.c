#include "lua/random_id.h"

#include "unit.h"

#include <string.h>

static void an_id_is_sixteen_digits_of_hex(void **state) {
    mg_random_ids ids = {0};
    char id[17];
    (void)state;
    mg_random_id(&ids, id);
    assert_int_equal(strlen(id), 16);
    assert_int_equal(strspn(id, "0123456789abcdef"), 16);
}

static void ids_differ_in_more_than_their_end(void **state) {
    mg_random_ids ids = {0};
    char ten[10][17];
    (void)state;
    for (int i = 0; i < 10; i++) {
        mg_random_id(&ids, ten[i]);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(strncmp(ten[i], ten[j], 8), 0);
        }
    }
}

static void another_one_begins_elsewhere(void **state) {
    mg_random_ids a = {0};
    mg_random_ids b = {0};
    char first[17], second[17];
    (void)state;
    mg_random_id(&a, first);
    mg_random_id(&b, second);
    assert_string_not_equal(first, second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_sixteen_digits_of_hex),
        cmocka_unit_test(ids_differ_in_more_than_their_end),
        cmocka_unit_test(another_one_begins_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
