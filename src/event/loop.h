// event/loop.h: the event loop: one thread, one libuv loop, one clock.
//
// A turn of the loop: descriptors are polled, due timers fire, then every turn hook runs once, in
// the order of their registration (the Lua scheduler first, then the servers' flush). Callbacks of
// descriptors and timers only record; the hooks act. All functions here belong to the loop's own
// thread unless said otherwise.
#pragma once

#include "base/list.h"

#include <stdint.h>

typedef struct mg_loop mg_loop;

typedef struct mg_loop_options {
    // Time begins at 0, stands still, and jumps to the next timer when nothing else can happen
    // (specs).
    bool virtual_clock;
} mg_loop_options;

// Something to be done once a turn. Caller-owned memory, embedded in a long-lived struct; `run` may
// add and remove hooks.
typedef struct mg_turn {
    mg_link link;
    void (*run)(struct mg_turn *turn);
} mg_turn;

int mg_loop_new(mg_loop **out, const mg_loop_options *options);

// Runs outstanding close callbacks, then frees. Returns the count of handles that nobody had
// closed; in debug builds each of them is named on stderr.
int mg_loop_free(mg_loop *loop);

// Turns until mg_loop_stop, or until nothing is left that could ever happen: no timer, no turn
// asked for, no listener (real clock only), no task, no descriptor that is watched.
void mg_loop_run(mg_loop *loop);
void mg_loop_stop(mg_loop *loop);

typedef enum mg_loop_progress {
    MG_LOOP_IDLE,   // nothing can happen any more without outside help
    MG_LOOP_MOVED,  // something happened or may have happened
    MG_LOOP_JUMPED, // virtual clock only: the clock moved to the next timer, which fired
} mg_loop_progress;

// One turn. `may_wait`: sleep in the poll while only threads or real descriptors can go on. On a
// virtual clock the clock jumps only if the turn found nothing to do, no task runs in a thread and
// `may_jump` is set; it never jumps beyond `limit_ms` (UINT64_MAX: no limit). Work handed to a hook
// from outside the loop must be announced by mg_loop_turn_soon, or the turn that does it counts as
// idle.
mg_loop_progress mg_loop_turn(mg_loop *loop, bool may_wait, bool may_jump, uint64_t limit_ms);

// Monotonic milliseconds, read once a turn.
uint64_t mg_loop_now_ms(const mg_loop *loop);

// Reads the clock anew: what begins now is not to be charged with what the turn has taken so far.
void mg_loop_refresh_now(mg_loop *loop);

// When the poll of this turn returned: what came later has not been read.
uint64_t mg_loop_polled_ms(const mg_loop *loop);

// Whether all that had come when this turn's poll returned has been told: so it is in timers and
// hooks. Until then what has come for a stream may wait behind the callback of another one.
bool mg_loop_has_heard(const mg_loop *loop);

// Monotonic microseconds, fresh from the clock (virtual: now_ms * 1000). For durations in logs.
uint64_t mg_loop_now_us(const mg_loop *loop);

// Milliseconds since 1970, of this turn. On a virtual clock it moves with the virtual time from the
// real time of creation.
uint64_t mg_loop_wall_ms(mg_loop *loop);

// Virtual clock only: moves the clock to `ms` (never backwards) and lets due timers fire in the
// next turn.
void mg_loop_set_now(mg_loop *loop, uint64_t ms);

// Registers a hook. Removing it inside its own run is allowed.
void mg_loop_add_turn(mg_loop *loop, mg_turn *turn);
void mg_loop_remove_turn(mg_turn *turn);

// The next poll does not wait: a hook has left work for another turn. Needed only by hooks and by
// code outside the loop; after every callback of this room the hooks run anyway.
void mg_loop_turn_soon(mg_loop *loop);

struct mg_pulse; // base/shm.h

// Shows in `pulse` (borrowed; NULL: no more) whether the loop works or waits. Real clock only.
void mg_loop_set_pulse(mg_loop *loop, struct mg_pulse *pulse);

// True while work of threads is out, or on its way there and back.
bool mg_loop_has_tasks(const mg_loop *loop);

// True if a task runs in a thread, or a real descriptor (not a memory pair, not a listener) is
// open.
bool mg_loop_has_outside_work(const mg_loop *loop);
