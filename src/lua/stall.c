#include "lua/stall.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "lua/place.h"

#include <errno.h>
#include <lauxlib.h>
#include <luajit.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

enum {
    LEAST_TICK_MS = 10,
    MOST_TICK_MS = 100,
    HOOK_WAIT_MS = 100, // no hook after this: it is a function of C
    LOOKS = 3,          // ... if the thread has really run meanwhile: so many signals came through
    PLACE_BYTES = 256,
};

typedef enum wish { NOTHING, WARN, LOOK, ABORT } wish;

struct mg_stall {
    mg_stall_options options;
    _Atomic uint32_t warn_ms, abort_ms;
    pthread_t loop_thread, watcher;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    mg_vm *watched;
    struct sigaction before;   // what SIGPROF did until this was opened
    struct sigaction profiler; // LuaJIT's own handler
    _Atomic int wish;
    volatile double steps; // where it stood still when that was wished
    _Atomic uint64_t progress;
    _Atomic uint32_t stuck_ms;
    _Atomic uint32_t looks;
    _Atomic bool looked; // place, route and request_id tell of a function of C
    _Atomic bool told;   // the warning is out
    double ended_step;   // the step that is made to fail
    char place[PLACE_BYTES];
    char route[64];
    char request_id[64];
};

static mg_stall *the_stall; // for the signal handler; there is one a process

// --- where it is ---

static void copy_text(char *out, size_t n, mg_str s) {
    snprintf(out, n, "%.*s", s.n > 0 ? (int)s.n : 1, s.n > 0 ? s.p : "-");
}

// Also runs in a signal handler, and then makes no request id.
static void describe_request(mg_stall *s, mg_vm *vm, bool may_make) {
    uint64_t handle = (uint64_t)mg_vm_note[MG_NOTE_HANDLE];
    mg_exchange *x = vm != NULL ? mg_slots_get(&vm->exchanges, handle) : NULL;
    if (x != NULL && may_make && x->request_id.n == 0) {
        char text[17];
        mg_random_id(&vm->ids, text);
        x->request_id = (mg_str){mg_arena_copy(&x->arena, (mg_str){text, 16}), 16};
    }
    copy_text(s->route, sizeof s->route, x != NULL ? x->route : (mg_str){0});
    copy_text(s->request_id, sizeof s->request_id, x != NULL ? x->request_id : (mg_str){0});
}

static void report(mg_stall *s, bool in_c, bool aborted) {
    mg_stall_report r = {
        .route = s->route,
        .request_id = s->request_id,
        .where = s->place,
        .stuck_ms = s->stuck_ms,
        .in_c = in_c,
        .aborted = aborted,
    };
    s->options.on_report(s->options.arg, &r);
}

static void tell_warning(mg_stall *s) {
    if (!atomic_exchange(&s->told, true)) {
        report(s, s->looked, false);
    }
}

// --- in the loop's thread ---

static void make_fail(mg_stall *s, mg_vm *vm, lua_State *L) {
    if (s->ended_step != mg_vm_note[MG_NOTE_STEPS]) {
        s->ended_step = mg_vm_note[MG_NOTE_STEPS];
        s->told = true;
        mg_lua_place(L, 0, s->place, sizeof s->place);
        describe_request(s, vm, true);
        report(s, false, true);
        snprintf(vm->stall, sizeof vm->stall, "%.200s: it did not let go for %.1f s and was ended",
                 s->place, (double)s->stuck_ms / 1000);
    }
    luaL_error(L, "%s", vm->stall);
}

static void warn(mg_stall *s, mg_vm *vm, lua_State *L) {
    if (!s->looked) {
        describe_request(s, vm, true);
        if (L == vm->L) { // a function of C was the last that the coroutine did
            copy_text(s->place, sizeof s->place, (mg_str){0});
        } else {
            mg_lua_place(L, 0, s->place, sizeof s->place);
        }
    }
    tell_warning(s);
}

// In the coroutine that is stuck, or in the scheduler, once that has ended.
static void on_hook(lua_State *L, lua_Debug *ar) {
    (void)ar;
    mg_stall *s = the_stall;
    mg_vm *vm = mg_vm_running;
    int wished = s != NULL && vm != NULL ? s->wish : NOTHING;
    bool ending =
        wished == ABORT || (wished != NOTHING && s->ended_step == mg_vm_note[MG_NOTE_STEPS]);
    if (ending && L != vm->L) {
        make_fail(s, vm, L); // again and again, until the coroutine is dead
    }
    lua_sethook(L, NULL, 0, 0);
    if (wished == WARN || wished == LOOK) {
        warn(s, vm, L);
    }
    if (wished != NOTHING) {
        s->wish = NOTHING;
    }
}

static sigjmp_buf unreadable;

static void on_fault(int signum) {
    (void)signum;
    siglongjmp(unreadable, 1);
}

// Lua's hooks sleep in finalizers as well: then the stack does not stand still, and may not make
// sense.
static void describe_moving(lua_State *L, char *out, size_t n) {
    static const int faults[] = {SIGSEGV, SIGBUS};
    struct sigaction before[2];
    struct sigaction fault = {.sa_handler = on_fault};
    for (int i = 0; i < 2; i++) {
        sigaction(faults[i], &fault, &before[i]);
    }
    if (sigsetjmp(unreadable, 1) == 0) {
        mg_lua_place(L, 0, out, n);
    } else {
        copy_text(out, n, (mg_str){0});
    }
    for (int i = 0; i < 2; i++) {
        sigaction(faults[i], &before[i], NULL);
    }
}

// In a signal handler, while Lua waits for a function of C, or does not run at all.
static void look(mg_stall *s, mg_vm *vm) {
    copy_text(s->place, sizeof s->place, (mg_str){0});
    if (vm != NULL && mg_vm_note[MG_NOTE_COROUTINE] > 0) {
        lua_State *L = (lua_State *)(uintptr_t)mg_vm_note[MG_NOTE_COROUTINE];
        describe_moving(L, s->place, sizeof s->place);
    }
    describe_request(s, vm, false);
    s->looked = true;
}

static void on_prof(int signum);

static void obey(mg_stall *s, int signum) {
    mg_vm *vm = mg_vm_running;
    if (vm != NULL) {
        lua_sethook(vm->L, on_hook, LUA_MASKCOUNT, 1); // allowed in a signal handler
    }
    if (vm != NULL && vm == s->watched && s->profiler.sa_handler != on_prof) {
        s->profiler.sa_handler(signum);
    }
    if (s->wish == LOOK && !s->looked && ++s->looks >= LOOKS) {
        look(s, vm);
    }
}

// A signal may come late, when something else runs that has done no harm.
static bool is_late(const mg_stall *s) {
    uint64_t progress = atomic_load_explicit(&s->options.pulse->progress, memory_order_relaxed);
    return progress != s->progress || mg_vm_note[MG_NOTE_STEPS] != s->steps;
}

static void on_prof(int signum) {
    mg_stall *s = the_stall;
    int saved = errno;
    if (s != NULL && s->wish != NOTHING && !is_late(s)) {
        obey(s, signum);
    }
    errno = saved;
}

// --- the watching thread ---

typedef struct watching {
    uint64_t progress;
    double steps;
    uint64_t stuck_ms; // added up from own ticks: a process that was stopped was not stuck
    uint64_t warned_ms;
    bool warned;
} watching;

static void wish_for(mg_stall *s, const watching *w, wish what) {
    s->steps = w->steps;
    s->progress = w->progress;
    s->wish = (int)what;
    pthread_kill(s->loop_thread, SIGPROF);
}

static void start_warning(mg_stall *s, watching *w) {
    w->warned = true;
    w->warned_ms = w->stuck_ms;
    s->told = false;
    s->looked = false;
    s->looks = 0;
    wish_for(s, w, WARN);
}

static void act(mg_stall *s, watching *w) {
    uint32_t warn_ms = s->warn_ms;
    uint32_t abort_ms = s->abort_ms;
    s->stuck_ms = (uint32_t)w->stuck_ms;
    if (s->looked) {
        tell_warning(s);
    }
    if (abort_ms > 0 && w->stuck_ms >= abort_ms) {
        wish_for(s, w, ABORT);
    } else if (warn_ms > 0 && w->stuck_ms >= warn_ms && !w->warned) {
        start_warning(s, w);
    } else if (w->warned && !s->told && w->stuck_ms >= w->warned_ms + HOOK_WAIT_MS) {
        wish_for(s, w, LOOK);
    }
}

static void look_at_pulse(mg_stall *s, watching *w, uint64_t gap_ms) {
    const mg_pulse *p = s->options.pulse;
    uint64_t progress = atomic_load_explicit(&p->progress, memory_order_relaxed);
    bool busy = atomic_load_explicit(&p->busy_since_ms, memory_order_relaxed) != 0;
    double steps = mg_vm_note[MG_NOTE_STEPS];
    bool same_turn = busy && progress == w->progress;
    if (same_turn) {
        mg_vm_note[MG_NOTE_LATE] = 1;
    }
    if (!same_turn || steps != w->steps) {
        s->wish = NOTHING; // what comes now is innocent
        *w = (watching){.progress = progress, .steps = steps};
        return;
    }
    w->stuck_ms += gap_ms;
    act(s, w);
}

static uint64_t tick_ms(const mg_stall *s) {
    uint64_t tick = s->warn_ms / 4;
    tick = tick == 0 || tick > MOST_TICK_MS ? MOST_TICK_MS : tick;
    return tick < LEAST_TICK_MS ? LEAST_TICK_MS : tick;
}

static void *watch(void *arg) {
    mg_stall *s = arg;
    watching w = {.stuck_ms = 0};
    uint64_t before = mg_monotonic_ms();
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        struct timespec until;
        uint64_t tick = tick_ms(s);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (long)tick * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->stop, &s->lock, &until);
        uint64_t now = mg_monotonic_ms();
        uint64_t gap = now - before;
        before = now;
        if (!s->stopping) {
            look_at_pulse(s, &w, gap < 2 * tick ? gap : 2 * tick);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int start_watcher(mg_stall *s) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&s->watcher, NULL, watch, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

// --- life ---

// Everything else may come, above all a fault.
static void take_signal(struct sigaction *before) {
    struct sigaction own = {.sa_handler = on_prof, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &own, before);
}

static void release(mg_stall *s) {
    sigaction(SIGPROF, &s->before, NULL);
    the_stall = NULL;
    pthread_cond_destroy(&s->stop);
    pthread_mutex_destroy(&s->lock);
    mg_free(s);
}

int mg_stall_open(mg_stall **out, const mg_stall_options *o) {
    mg_stall *s = mg_calloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    s->options = *o;
    s->loop_thread = pthread_self();
    mg_stall_set(s, o->warn_ms, o->abort_ms);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    the_stall = s;
    take_signal(&s->before);
    int rc = start_watcher(s);
    if (rc != 0) {
        release(s);
        s = NULL;
    }
    *out = s;
    return rc;
}

void mg_stall_set(mg_stall *s, uint32_t warn_ms, uint32_t abort_ms) {
    s->warn_ms = warn_ms;
    s->abort_ms = abort_ms;
}

void mg_stall_close(mg_stall *s) {
    if (s == NULL) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->stop);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->watcher, NULL);
    if (s->watched != NULL) {
        mg_stall_forget(s, s->watched);
    }
    release(s);
}

// --- the profiler, for the sake of compiled code ---

static void on_sample(void *data, lua_State *L, int samples, int state) {
    (void)data;
    (void)L;
    (void)samples;
    (void)state;
}

void mg_stall_watch(mg_stall *s, mg_vm *vm) {
    static const struct itimerval never;
    if (s->watched != NULL) {
        luaJIT_profile_stop(s->watched->L);
        luaJIT_setmode(s->watched->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
        luaJIT_setmode(s->watched->L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
    }
    // No script takes the profiler away: core/scripts/guard.lua.
    luaJIT_profile_start(vm->L, "li1000000", on_sample, NULL);
    setitimer(ITIMER_PROF, &never, NULL); // nobody wants samples: signals come from the watcher
    take_signal(&s->profiler);
    s->watched = vm;
}

bool mg_stall_interrupt(const mg_vm *vm) {
    mg_stall *s = the_stall;
    bool can = s != NULL && s->watched == vm && s->profiler.sa_handler != on_prof;
    if (can) {
        s->profiler.sa_handler(SIGPROF);
    }
    return can;
}

void mg_stall_forget(mg_stall *s, mg_vm *vm) {
    if (s != NULL && s->watched == vm) {
        luaJIT_profile_stop(vm->L); // which puts back the handler of before
        s->watched = NULL;
    }
}
