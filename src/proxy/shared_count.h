// proxy/shared_count.h: counts and times in memory that workers share, and may scribble on.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// What lies farther ahead, or is more, nobody has meant: a worker that went wrong has written it.
enum { MG_SHARED_COUNT_MOST = 1 << 24 };
static inline bool mg_shared_is_far(uint64_t at_ms, uint64_t now_ms) {
    return at_ms > now_ms + (uint64_t)30 * 24 * 3600 * 1000;
}

static inline uint32_t mg_count_of(const _Atomic uint32_t *count) {
    uint32_t n = atomic_load_explicit(count, memory_order_acquire);
    return n <= MG_SHARED_COUNT_MOST ? n : 0;
}

// A count of this worker's own goes up or down.
static inline void mg_count_up(_Atomic uint32_t *own) {
    atomic_store_explicit(own, mg_count_of(own) + 1, memory_order_release);
}

static inline void mg_count_down(_Atomic uint32_t *own) {
    uint32_t n = mg_count_of(own);
    atomic_store_explicit(own, n > 0 ? n - 1 : 0, memory_order_release);
}

static inline void mg_count_total(_Atomic uint64_t *own) {
    uint64_t n = atomic_load_explicit(own, memory_order_relaxed);
    atomic_store_explicit(own, n + 1, memory_order_relaxed);
}
