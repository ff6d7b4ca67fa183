#include "lua/depth.h"

#include "unit.h"

#include <pthread.h>
#include <string.h>

static mg_depth depth;
static uint32_t reached;

// Enters level after level, each of which takes `bytes` of the stack, until it is refused.
static __attribute__((noinline)) uint32_t dive(uint32_t level, size_t bytes) {
    volatile char room[16384];
    memset((char *)room, (int)level, bytes < sizeof room ? bytes : sizeof room);
    if (!mg_depth_enter(&depth)) {
        reached = level;
        return depth.count;
    }
    uint32_t told = dive(level + 1, bytes);
    return told + (uint32_t)room[0] * 0;
}

static void a_level_is_forgotten_with_its_frame(void **state) {
    (void)state;
    uint32_t first = dive(1, 1);
    assert_int_equal(first, reached);
    assert_true(first > 100 && first <= MG_DEPTH_MAX + 1);
    assert_true(mg_depth_enter(&depth));
    assert_int_equal(depth.count, 1);
    assert_true(mg_depth_enter(&depth));
    assert_int_equal(depth.count, 1);
    assert_int_equal(dive(1, 1), first + 1); // this one lies around them
    mg_depth_deinit(&depth);
}

static void *dive_in_a_thread(void *arg) {
    *(uint32_t *)arg = dive(1, 16384);
    return NULL;
}

static void a_small_stack_ends_it_earlier(void **state) {
    (void)state;
    pthread_attr_t attr;
    pthread_t thread;
    uint32_t told = 0;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 1 << 20);
    assert_int_equal(pthread_create(&thread, &attr, dive_in_a_thread, &told), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    assert_true(told > 10 && told < 64);
    mg_depth_deinit(&depth);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_is_forgotten_with_its_frame),
        cmocka_unit_test(a_small_stack_ends_it_earlier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
