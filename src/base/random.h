// base/random.h: numbers that are drawn: for balance and jitter, never for secrets.
#pragma once

#include <stdint.h>

// SplitMix64. The same seed, the same numbers.
typedef struct mg_random {
    uint64_t state;
} mg_random;

// `seed` 0: one of the system's.
void mg_random_init(mg_random *r, uint64_t seed);

uint64_t mg_random_u64(mg_random *r);

// From 0 to below `n`, which is not 0.
static inline uint64_t mg_random_below(mg_random *r, uint64_t n) {
    return (uint64_t)(((unsigned __int128)mg_random_u64(r) * n) >> 64);
}

// From 0 to below 1.
static inline double mg_random_unit(mg_random *r) {
    return (double)(mg_random_u64(r) >> 11) * 0x1p-53;
}
