#include "gate/reload_queue.h"

#include "unit.h"

static mg_reload_queue queue;

static int set_up(void **state) {
    (void)state;
    queue = (mg_reload_queue){.n = 0};
    return 0;
}

static void reply(void *arg, bool ok, mg_str text) {
    (void)arg;
    (void)ok;
    (void)text;
}

static bool add(const char *who) {
    return mg_reload_queue_add(&queue,
                               &(mg_reload_request){.reply = reply, .arg = (void *)(uintptr_t)who});
}

static bool add_signal(void) {
    return mg_reload_queue_add(&queue, &(mg_reload_request){.reply = NULL});
}

static void whoever_came_first_is_served_first(void **state) {
    mg_reload_request r;
    (void)state;
    assert_true(add("a") && add("b"));
    assert_true(mg_reload_queue_take(&queue, &r));
    assert_string_equal(r.arg, "a");
    assert_true(add("c"));
    assert_true(mg_reload_queue_take(&queue, &r));
    assert_string_equal(r.arg, "b");
    assert_true(mg_reload_queue_take(&queue, &r));
    assert_string_equal(r.arg, "c");
    assert_false(mg_reload_queue_take(&queue, &r));
}

static void a_signal_is_remembered_once(void **state) {
    mg_reload_request r;
    (void)state;
    assert_true(add_signal() && add("a") && add_signal());
    assert_int_equal(queue.n, 2);
    assert_true(mg_reload_queue_take(&queue, &r));
    assert_null(r.reply);
    assert_true(add_signal()); // the first one's reload may have begun before
    assert_int_equal(queue.n, 2);
}

static void too_many_are_refused_but_a_remembered_signal_is_not(void **state) {
    (void)state;
    assert_true(add_signal());
    for (int i = 1; i < MG_RELOADS_WAITING; i++) {
        assert_true(add("a"));
    }
    assert_false(add("b"));
    assert_true(add_signal());
    assert_int_equal(queue.n, MG_RELOADS_WAITING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(whoever_came_first_is_served_first, set_up),
        cmocka_unit_test_setup(a_signal_is_remembered_once, set_up),
        cmocka_unit_test_setup(too_many_are_refused_but_a_remembered_signal_is_not, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
