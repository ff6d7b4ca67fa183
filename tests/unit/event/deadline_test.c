#include "event/deadline.h"

#include "base/mem.h"
#include "wire.h"

typedef struct entry {
    mg_deadline deadline;
    char name;
} entry;

static mg_loop *loop;
static mg_deadlines queue;
static mg_deadlines other;
static mg_buf order;
static entry *stop_when_late;
static entry *start_when_late;

static void on_late(mg_deadlines *q, mg_deadline *d) {
    assert_true(mg_link_alone(&d->link));
    assert_true(d->at_ms <= mg_loop_now_ms(loop));
    mg_buf_append_char(&order, MG_OF(d, entry, deadline)->name);
    if (stop_when_late != NULL) {
        mg_deadline_stop(&stop_when_late->deadline);
        stop_when_late = NULL;
    }
    if (start_when_late != NULL) {
        mg_deadline_start(q, &start_when_late->deadline);
        start_when_late = NULL;
    }
}

static void start_at(uint64_t ms, mg_deadlines *q, entry *e, char name) {
    mg_loop_set_now(loop, ms);
    e->name = name;
    mg_deadline_start(q, &e->deadline);
}

static void assert_order(const char *expected) {
    mg_buf_append_char(&order, '\0');
    assert_string_equal(order.p, expected);
    mg_buf_clear(&order);
}

static void init(entry *e, int n) {
    for (int i = 0; i < n; i++) {
        mg_deadline_init(&e[i].deadline);
    }
}

static int set_up(void **state) {
    (void)state;
    alarm(30);
    loop = new_loop(true);
    mg_deadlines_init(&queue, loop, 100, on_late);
    mg_deadlines_init(&other, loop, 1000, on_late);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    mg_deadlines_deinit(&queue);
    mg_deadlines_deinit(&other);
    mg_buf_deinit(&order);
    return mg_loop_free(loop);
}

static void entries_fire_in_order_each_at_its_own_time(void **state) {
    (void)state;
    entry e[3];
    init(e, 3);
    start_at(0, &queue, &e[0], 'a');
    start_at(10, &queue, &e[1], 'b');
    start_at(10, &queue, &e[2], 'c');
    assert_int_equal(mg_loop_turn(loop, false, true, 99), MG_LOOP_IDLE);
    assert_int_equal(mg_loop_turn(loop, false, true, 100), MG_LOOP_JUMPED);
    assert_order("a");
    mg_loop_run(loop);
    assert_order("bc");
    assert_int_equal(mg_loop_now_ms(loop), 110);
}

static void starting_again_postpones(void **state) {
    (void)state;
    entry e[2];
    init(e, 2);
    start_at(0, &queue, &e[0], 'a');
    start_at(50, &queue, &e[1], 'b');
    start_at(60, &queue, &e[0], 'a');
    mg_loop_run(loop);
    assert_order("ba");
    assert_int_equal(mg_loop_now_ms(loop), 160);
}

static void a_single_entry_started_again_never_fires_early(void **state) {
    (void)state;
    entry e;
    init(&e, 1);
    start_at(0, &queue, &e, 'a');
    start_at(99, &queue, &e, 'a');
    mg_loop_set_now(loop, 198);
    turn_times(loop, 2);
    assert_int_equal(order.n, 0);
    mg_loop_run(loop);
    assert_order("a");
    assert_int_equal(mg_loop_now_ms(loop), 199);
}

static void an_empty_queue_keeps_no_timer(void **state) {
    (void)state;
    entry e[2];
    init(e, 2);
    start_at(0, &queue, &e[0], 'a');
    start_at(0, &queue, &e[1], 'b');
    mg_deadline_stop(&e[0].deadline);
    mg_deadline_stop(&e[0].deadline);
    assert_true(mg_timer_active(&queue.timer));
    mg_deadline_stop(&e[1].deadline);
    assert_false(mg_timer_active(&queue.timer));
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_IDLE);
}

static void an_entry_moves_from_one_queue_to_another(void **state) {
    (void)state;
    entry e;
    init(&e, 1);
    start_at(0, &queue, &e, 'a');
    start_at(10, &other, &e, 'a');
    assert_false(mg_timer_active(&queue.timer));
    mg_loop_run(loop);
    assert_order("a");
    assert_int_equal(mg_loop_now_ms(loop), 1010);
}

static void an_entry_stopped_or_started_inside_on_late_is_obeyed(void **state) {
    (void)state;
    entry e[3];
    init(e, 3);
    start_at(0, &queue, &e[0], 'a');
    start_at(0, &queue, &e[1], 'b');
    stop_when_late = &e[1];
    start_when_late = &e[0];
    mg_loop_run(loop);
    assert_order("aa");
    assert_int_equal(mg_loop_now_ms(loop), 200);
}

static void a_wait_of_zero_means_never_and_takes_out(void **state) {
    (void)state;
    entry e;
    init(&e, 1);
    start_at(0, &other, &e, 'a');
    mg_deadlines_set_wait(&queue, 0);
    mg_deadline_start(&queue, &e.deadline);
    assert_int_equal(mg_loop_turn(loop, true, true, UINT64_MAX), MG_LOOP_IDLE);
    assert_int_equal(order.n, 0);
}

static void a_changed_wait_may_make_late_but_never_early(void **state) {
    (void)state;
    entry e[3];
    init(e, 3);
    start_at(0, &queue, &e[0], 'a');
    mg_deadlines_set_wait(&queue, 10);
    start_at(5, &queue, &e[1], 'b');
    mg_deadlines_set_wait(&queue, 500);
    start_at(6, &queue, &e[2], 'c');
    assert_int_equal(mg_loop_turn(loop, false, true, UINT64_MAX), MG_LOOP_JUMPED);
    assert_int_equal(mg_loop_now_ms(loop), 100);
    assert_order("ab");
    mg_loop_run(loop);
    assert_order("c");
    assert_int_equal(mg_loop_now_ms(loop), 506);
}

static void entries_survive_the_end_of_their_queue(void **state) {
    (void)state;
    entry e[2];
    init(e, 2);
    start_at(0, &queue, &e[0], 'a');
    start_at(0, &queue, &e[1], 'b');
    mg_deadlines_deinit(&queue);
    mg_deadline_stop(&e[0].deadline);
    assert_true(mg_link_alone(&e[1].deadline.link));
    mg_loop_run(loop);
    assert_int_equal(order.n, 0);
}

static void end_queue(mg_deadlines *q, mg_deadline *d) {
    (void)d;
    mg_deadlines_deinit(q);
    mg_free(q);
}

static void a_queue_may_go_with_its_entry(void **state) {
    (void)state;
    mg_deadlines *q = mg_malloc(sizeof *q);
    entry e[2];
    init(e, 2);
    mg_deadlines_init(q, loop, 10, end_queue);
    start_at(0, q, &e[0], 'a');
    start_at(0, q, &e[1], 'b');
    mg_loop_run(loop);
    assert_true(mg_link_alone(&e[1].deadline.link));
}

static void an_entry_knows_when_it_was_started(void **state) {
    (void)state;
    entry e[2];
    init(e, 2);
    start_at(50, &queue, &e[0], 'a');
    assert_int_equal(mg_deadline_started_ms(&queue, &e[0].deadline), 50);
    mg_loop_set_now(loop, 60);
    mg_deadlines_set_wait(&queue, 5000);
    assert_int_equal(mg_deadline_started_ms(&queue, &e[0].deadline), 50);
    start_at(70, &queue, &e[1], 'b');
    assert_int_equal(mg_deadline_started_ms(&queue, &e[1].deadline), 70);
    mg_deadline_stop(&e[0].deadline);
    mg_deadline_stop(&e[1].deadline);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(entries_fire_in_order_each_at_its_own_time),
        EACH(starting_again_postpones),
        EACH(a_single_entry_started_again_never_fires_early),
        EACH(an_empty_queue_keeps_no_timer),
        EACH(an_entry_moves_from_one_queue_to_another),
        EACH(an_entry_stopped_or_started_inside_on_late_is_obeyed),
        EACH(a_wait_of_zero_means_never_and_takes_out),
        EACH(a_changed_wait_may_make_late_but_never_early),
        EACH(an_entry_knows_when_it_was_started),
        EACH(entries_survive_the_end_of_their_queue),
        EACH(a_queue_may_go_with_its_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
