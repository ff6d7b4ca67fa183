#include "base/random.h"

#include <sys/random.h>
#include <time.h>

void mg_random_init(mg_random *r, uint64_t seed) {
    r->state = seed;
    if (seed == 0 && getrandom(&r->state, sizeof r->state, 0) < 0) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        r->state = (uint64_t)now.tv_nsec * 1000000007u;
    }
}

uint64_t mg_random_u64(mg_random *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
