#include "base/lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

enum {
    TRIES = 2000, // of a lock that is held, some 50 us
    YIELD_EACH = 100,
};

static const uint64_t MARK = 0x6d676c6bu; // above the holder's process

static atomic_int own_pid;

static void forget_pid(void) {
    atomic_store(&own_pid, 0);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget_pid);
}

static uint64_t own_word(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int pid = atomic_load_explicit(&own_pid, memory_order_relaxed);
    if (pid == 0) {
        pthread_once(&once, watch_forks);
        pid = getpid();
        atomic_store(&own_pid, pid);
    }
    return MARK << 32 | (uint32_t)pid;
}

static bool is_held(uint64_t word) {
    pid_t pid = (pid_t)(uint32_t)word;
    return word >> 32 == MARK && pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

static bool swap(mg_lock *l, uint64_t from, uint64_t to) {
    return atomic_compare_exchange_strong_explicit(&l->word, &from, to, memory_order_acquire,
                                                   memory_order_relaxed);
}

// From one that does not hold it any more, or never did.
static bool take_over(mg_lock *l, uint64_t own) {
    uint64_t word = atomic_load_explicit(&l->word, memory_order_relaxed);
    return word != 0 && !is_held(word) && swap(l, word, own);
}

mg_lock_result mg_lock_take(mg_lock *l) {
    uint64_t own = own_word();
    for (int i = 1; i <= TRIES; i++) {
        if (atomic_load_explicit(&l->word, memory_order_relaxed) == 0 && swap(l, 0, own)) {
            return MG_LOCK_TAKEN;
        }
        if (i % YIELD_EACH == 0) {
            if (take_over(l, own)) {
                return MG_LOCK_INHERITED;
            }
            sched_yield();
        }
    }
    return MG_LOCK_BUSY;
}

void mg_lock_drop(mg_lock *l) {
    atomic_store_explicit(&l->word, 0, memory_order_release);
}
