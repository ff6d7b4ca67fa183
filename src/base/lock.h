// base/lock.h: a lock in memory that processes share, which outlives its holder.
//
// A word with the holder's process, not one of the C library's, which follows pointers that lie in
// the shared memory. For short work: who waits, spins. Zero is a lock that is free. It lies in the
// caller's memory and owns nothing.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

typedef struct mg_lock {
    _Atomic uint64_t word; // 0: free
} mg_lock;

typedef enum mg_lock_result {
    MG_LOCK_BUSY,      // it could not be had within some 50 us
    MG_LOCK_TAKEN,     // it is this process's now
    MG_LOCK_INHERITED, // so it is, and its last holder died with it: what it guards may be half
                       // done
} mg_lock_result;

// Not twice by one process.
mg_lock_result mg_lock_take(mg_lock *l);
void mg_lock_drop(mg_lock *l);
