#include "base/list.h"

#include "unit.h"

typedef struct item {
    int value;
    mg_link link;
} item;

static void an_empty_list_gives_nothing(void **state) {
    (void)state;
    mg_link head;
    mg_link_init(&head);
    assert_true(mg_link_alone(&head));
    assert_null(mg_link_shift(&head));
}

static void elements_come_out_in_the_order_they_went_in(void **state) {
    (void)state;
    mg_link head;
    mg_link_init(&head);
    item items[3];
    for (int i = 0; i < 3; i++) {
        items[i].value = i;
        mg_link_append(&head, &items[i].link);
    }
    for (int i = 0; i < 3; i++) {
        mg_link *l = mg_link_shift(&head);
        assert_int_equal(MG_OF(l, item, link)->value, i);
        assert_true(mg_link_alone(l));
    }
    assert_true(mg_link_alone(&head));
}

static void removing_the_middle_joins_its_neighbours(void **state) {
    (void)state;
    mg_link head;
    mg_link links[3];
    mg_link_init(&head);
    for (int i = 0; i < 3; i++) {
        mg_link_append(&head, &links[i]);
    }
    mg_link_remove(&links[1]);
    assert_true(mg_link_alone(&links[1]));
    assert_ptr_equal(links[0].next, &links[2]);
    assert_ptr_equal(links[2].prev, &links[0]);
    mg_link_remove(&links[1]);
    assert_ptr_equal(mg_link_shift(&head), &links[0]);
    assert_ptr_equal(mg_link_shift(&head), &links[2]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_gives_nothing),
        cmocka_unit_test(elements_come_out_in_the_order_they_went_in),
        cmocka_unit_test(removing_the_middle_joins_its_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
