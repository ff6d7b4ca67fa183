// lua/stall.h: notices that Lua does not give the loop back, says where, and makes it raise.
//
// A thread watches the loop's pulse. When that stands still, a signal to the loop's thread arms a
// count hook, which names the line and, later, raises at every instruction of the coroutine, so
// that no pcall of it can go on. Compiled code tests for LuaJIT's profiler, which the same signal
// triggers, and so comes back to the interpreter. A function of C can only be named.
//
// Many who each take their time are not to add up to a loop that stands still: the thread also
// notes that a turn takes long (MG_NOTE_LATE), and the scheduler leaves the rest for the next.
#pragma once

#include "base/shm.h"
#include "lua/vm.h"

typedef struct mg_stall mg_stall;

// Borrowed texts; "-" where unknown.
typedef struct mg_stall_report {
    const char *route, *request_id, *where; // "lua/routes/x.lua:12"
    uint32_t stuck_ms;
    bool in_c;    // in a function of C: it cannot be interrupted
    bool aborted; // it is made to raise now
} mg_stall_report;

typedef struct mg_stall_options {
    mg_pulse *pulse;            // of the loop; borrowed
    uint32_t warn_ms, abort_ms; // 0: never
    // From the loop's thread or from the watching one.
    void (*on_report)(void *arg, const mg_stall_report *r);
    void *arg;
} mg_stall_options;

// One a process; called in the loop's thread. 0 or a negative errno.
int mg_stall_open(mg_stall **out, const mg_stall_options *o);
void mg_stall_set(mg_stall *s, uint32_t warn_ms, uint32_t abort_ms);
void mg_stall_close(mg_stall *s); // accepts NULL

// In the loop's thread, while `vm` runs: its compiled code comes back to the interpreter soon,
// which obeys hooks. False: it does not.
bool mg_stall_interrupt(const mg_vm *vm);

// `vm` serves from now on: its compiled code answers too. The one before is interpreted from now
// on, so that the hook alone reaches it.
void mg_stall_watch(mg_stall *s, mg_vm *vm);
void mg_stall_forget(mg_stall *s, mg_vm *vm); // before its state is closed. Accepts NULL for `s`
