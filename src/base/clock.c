#include "base/clock.h"

#include <time.h>

static uint64_t read_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t mg_monotonic_ms(void) {
    return read_ms(CLOCK_MONOTONIC);
}

uint64_t mg_thread_ms(void) {
    return read_ms(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t mg_wall_ms(void) {
    return read_ms(CLOCK_REALTIME);
}
