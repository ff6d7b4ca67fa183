#include "live/ring.h"

#include "listener.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS = 3 };

// Workers of one node, all in this process.
typedef struct node {
    mg_loop *loop;
    mg_shm *shm;
    uint64_t seed[2];
    int wakers[WORKERS];
    mg_ring *rings[WORKERS];
    mg_topics *topics[WORKERS];
} node;

static void begin_worker(node *n, uint32_t i) {
    const mg_topics_options options = {100, 10, MG_RING_MESSAGE_MAX};
    n->rings[i] = mg_ring_new(n->loop, n->shm, i);
    for (uint32_t j = 0; j < WORKERS; j++) {
        assert_int_equal(mg_ring_set_waker(n->rings[i], j, dup(n->wakers[j])), MG_OK);
    }
    n->topics[i] = mg_topics_new(&options);
    mg_topics_set_ring(n->topics[i], n->rings[i]);
}

static void end_worker(node *n, uint32_t i) {
    mg_topics_free(n->topics[i]);
    mg_ring_free(n->rings[i]);
}

static int setup(void **state) {
    node *n = calloc(1, sizeof *n);
    assert_int_equal(mg_loop_new(&n->loop, NULL), 0);
    assert_int_equal(mg_shm_new(&n->shm, 0, NULL), MG_OK);
    mg_ring_draw(n->seed);
    mg_ring_prepare(n->shm, n->seed);
    for (uint32_t i = 0; i < WORKERS; i++) {
        n->wakers[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        begin_worker(n, i);
    }
    *state = n;
    return 0;
}

static int teardown(void **state) {
    node *n = *state;
    for (uint32_t i = 0; i < WORKERS; i++) {
        end_worker(n, i);
        close(n->wakers[i]);
    }
    mg_shm_free(n->shm);
    assert_int_equal(mg_loop_free(n->loop), 0);
    free(n);
    return 0;
}

static void turn(node *n) {
    for (int i = 0; i < 4; i++) {
        mg_loop_turn(n->loop, false, false, 0);
    }
}

static bool is_woken(const node *n, uint32_t i) {
    uint64_t count;
    return read(n->wakers[i], &count, sizeof count) == sizeof count;
}

static void messages_reach_the_subscribers_of_other_workers(void **state) {
    node *n = *state;
    listener a = {0}, b = {0};
    listener_join(&a, n->topics[0], "room");
    listener_join(&b, n->topics[1], "room");
    publish(n->topics[0], "room", "1", &a);
    publish(n->topics[0], "room", "2", NULL);
    publish(n->topics[2], "room", "3", NULL);
    turn(n);
    assert_heard(&a, "23");
    assert_heard(&b, "123");
    assert_int_equal(mg_topics_count(n->topics[2], MG_STR("room")), 2);
    listener_end(&a);
    assert_int_equal(mg_topics_count(n->topics[2], MG_STR("room")), 1);
    listener_end(&b);
    assert_int_equal(mg_topics_count(n->topics[2], MG_STR("room")), 0);
}

static void nobody_is_woken_in_vain(void **state) {
    node *n = *state;
    listener a = {0};
    listener_join(&a, n->topics[1], "room");
    publish(n->topics[0], "room", "1", NULL);
    publish(n->topics[0], "room", "2", NULL);
    publish(n->topics[0], "elsewhere", "3", NULL);
    assert_true(is_woken(n, 1));
    assert_false(is_woken(n, 2));
    publish(n->topics[0], "room", "4", NULL); // it has not looked since
    assert_false(is_woken(n, 1));
    mg_ring_catch_up(n->rings[1]);
    assert_heard(&a, "124");
    listener_end(&a);
}

static void what_was_published_before_is_not_for_who_comes_now(void **state) {
    node *n = *state;
    listener a = {0}, b = {0}, c = {0};
    listener_join(&a, n->topics[1], "room");
    publish(n->topics[0], "room", "1", NULL);
    listener_join(&b, n->topics[2], "room");
    listener_join(&c, n->topics[1], "room"); // where another one is waiting for it
    publish(n->topics[0], "room", "2", NULL);
    turn(n);
    assert_heard(&a, "12");
    assert_heard(&b, "2");
    assert_heard(&c, "2");
    listener_end(&a);
    listener_end(&b);
    listener_end(&c);
}

static void the_last_of_a_topic_may_leave_as_another_one_comes(void **state) {
    node *n = *state;
    listener a = {0}, b = {0};
    listener_join(&a, n->topics[1], "room");
    a.ends = &a;
    publish(n->topics[0], "room", "1", NULL);
    listener_join(&b, n->topics[1], "room");
    publish(n->topics[0], "room", "2", NULL);
    turn(n);
    assert_heard(&a, "1");
    assert_heard(&b, "2");
    assert_int_equal(mg_topics_count(n->topics[0], MG_STR("room")), 1);
    listener_end(&a);
    listener_end(&b);
}

static void a_dead_worker_leaves_nothing(void **state) {
    node *n = *state;
    listener a = {0}, b = {0};
    listener_join(&a, n->topics[1], "room");
    publish(n->topics[0], "room", "1", NULL); // wakes it, and it dies
    mg_ring_forget_worker(n->shm, 1);
    assert_int_equal(mg_topics_count(n->topics[0], MG_STR("room")), 0);
    listener_end(&a);
    end_worker(n, 1);
    begin_worker(n, 1); // and another one comes in its place
    listener_join(&b, n->topics[1], "room");
    publish(n->topics[0], "room", "2", NULL);
    publish(n->topics[1], "room", "3", NULL);
    turn(n);
    assert_heard(&b, "32"); // its own come at once
    listener_end(&b);
}

static uint64_t told;

static void what_somebody_scribbles_on_is_mended(void **state) {
    node *n = *state;
    listener a = {0}, b = {0};
    listener_join(&a, n->topics[0], "room:1");
    listener_join(&b, n->topics[1], "room:1");
    char *room = mg_shm_live(n->shm);
    static const int noises[] = {0, 0xff, 0x5a};
    for (size_t i = 0; i < 3; i++) {
        memset(room, noises[i], 8 << 20);            // the first three places and more
        for (uint32_t w = 0; w < 2 * WORKERS; w++) { // from time to time
            mg_topics_mend(n->topics[w % WORKERS]);
        }
        turn(n);
        a.heard.n = b.heard.n = 0;
        publish(n->topics[2], "room:1", "x", NULL);
        publish(n->topics[0], "room:1", "y", NULL);
        turn(n);
        assert_int_equal(a.heard.n, 2);
        assert_int_equal(b.heard.n, 2);
        assert_int_equal(mg_topics_count(n->topics[2], MG_STR("room:1")), 2);
        end_worker(n, 2); // another one takes its place
        mg_ring_prepare(n->shm, n->seed);
        begin_worker(n, 2);
        a.heard.n = 0;
        publish(n->topics[2], "room:1", "z", NULL);
        turn(n);
        assert_heard(&a, "z");
    }
    listener_end(&a);
    listener_end(&b);
}

static void on_lost(void *arg, uint32_t place, uint64_t lost) {
    (void)arg;
    assert_int_equal(place, 0);
    told += lost;
}

static void a_stopped_worker_blocks_nobody_and_counts_what_it_lost(void **state) {
    node *n = *state;
    enum { WRITTEN = 200 };
    listener a = {0}, b = {0};
    static char text[32 * 1024];
    memset(text, 'x', sizeof text - 1);
    listener_join(&a, n->topics[1], "room");
    listener_join(&b, n->topics[2], "room");
    mg_ring_on_lost(n->rings[1], on_lost, NULL);
    for (int i = 0; i < WRITTEN; i++) {
        publish(n->topics[0], "room", text, NULL);
        mg_ring_catch_up(n->rings[2]); // this one goes on
    }
    mg_ring_catch_up(n->rings[1]);
    uint64_t heard = a.heard.n / (sizeof text - 1);
    assert_int_equal(b.heard.n / (sizeof text - 1), WRITTEN);
    assert_true(heard > 20);
    assert_int_equal(heard + told, WRITTEN);
    assert_int_equal(mg_topics_traffic_of(n->topics[1]).lost, told);
    assert_int_equal(mg_topics_traffic_of(n->topics[2]).lost, 0);
    listener_end(&a);
    listener_end(&b);
}

static void much_is_read_over_several_turns(void **state) {
    node *n = *state;
    listener a = {0};
    static char text[100 * 1024];
    memset(text, 'x', sizeof text - 1);
    listener_join(&a, n->topics[1], "room");
    for (int i = 0; i < 9; i++) {
        publish(n->topics[0], "room", text, NULL);
    }
    mg_loop_turn(n->loop, false, false, 0);
    assert_in_range(a.heard.n, 1, 8 * sizeof text);
    turn(n);
    assert_int_equal(a.heard.n, 9 * (sizeof text - 1));
    listener_end(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_reach_the_subscribers_of_other_workers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_is_woken_in_vain, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_of_a_topic_may_leave_as_another_one_comes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_published_before_is_not_for_who_comes_now, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dead_worker_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_somebody_scribbles_on_is_mended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_worker_blocks_nobody_and_counts_what_it_lost,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(much_is_read_over_several_turns, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
