// event/timer.h: one-shot and repeating timers over the loop's clock.
//
// A heap inside the loop holds them all and one libuv timer serves the earliest: no system call and
// no handle for each. The clock is the loop's, of milliseconds, unless more is asked for; a timer
// never fires early.
#pragma once

#include "event/loop.h"

typedef struct mg_timer mg_timer;
typedef void (*mg_timer_cb)(mg_timer *t);

// Caller-owned; zeroed is valid and stopped. The owner finds itself with MG_OF(t, ...).
struct mg_timer {
    mg_loop *loop;
    mg_timer_cb on_time;
    uint64_t at_us;
    uint64_t order;     // ties fire in the order in which they were started
    uint32_t repeat_ms; // 0: once
    uint32_t slot;      // 1 + index in the heap; 0: stopped
};

// Starts, or starts again, `t` to fire `after_ms` from now (and every `repeat_ms` if that is not 0;
// a late repeat is not made up for: the next one counts from now).
void mg_timer_start(mg_loop *loop, mg_timer *t, uint64_t after_ms, uint32_t repeat_ms,
                    mg_timer_cb on_time);

// The same, once and `after_us` microseconds from this very moment, which may be later than the
// turn's; the loop's clock may not have come so far when it fires. The poll is still of whole
// milliseconds: what is no number of them may come one late.
void mg_timer_start_exact(mg_loop *loop, mg_timer *t, uint64_t after_us, mg_timer_cb on_time);

// Stops it; harmless on a stopped one. After this the memory may go.
void mg_timer_stop(mg_timer *t);

// When an active one is due, by the loop's clock.
static inline uint64_t mg_timer_at_ms(const mg_timer *t) {
    return t->at_us / 1000;
}

static inline bool mg_timer_active(const mg_timer *t) {
    return t->slot != 0;
}
