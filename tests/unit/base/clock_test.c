#include "base/clock.h"

#include "unit.h"

#include <time.h>
#include <unistd.h>

static void the_monotonic_clock_moves_forward(void **state) {
    (void)state;
    uint64_t before = mg_monotonic_ms();
    usleep(3000);
    assert_true(mg_monotonic_ms() >= before + 2);
}

static void the_wall_clock_counts_from_1970(void **state) {
    (void)state;
    uint64_t seconds = (uint64_t)time(NULL);
    assert_in_range(mg_wall_ms() / 1000, seconds, seconds + 5);
}

static void the_threads_clock_moves_while_it_computes(void **state) {
    (void)state;
    uint64_t before = mg_thread_ms();
    usleep(20000);
    assert_true(mg_thread_ms() < before + 20);
    while (mg_thread_ms() < before + 20) {
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_moves_forward),
        cmocka_unit_test(the_wall_clock_counts_from_1970),
        cmocka_unit_test(the_threads_clock_moves_while_it_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
