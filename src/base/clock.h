// base/clock.h: the clocks of the system, for whoever has no loop (event/loop.h has its own time).
#pragma once

#include <stdint.h>

// Milliseconds that only move forward, from an unknown beginning.
uint64_t mg_monotonic_ms(void);

// Milliseconds that this thread has computed.
uint64_t mg_thread_ms(void);

// Milliseconds since 1970, as the system's clock is set.
uint64_t mg_wall_ms(void);
