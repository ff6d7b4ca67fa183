#include "lua/depth.h"

#include "base/mem.h"

#include <pthread.h>
#include <sys/resource.h>

// What calls back with small frames is not counted: one coroutine's Lua stack bounds its number.
enum { UNCOUNTED_PART = 4 }; // of the whole stack

// The address below which nothing counted may begin, in this thread; 0: not asked yet.
static _Thread_local uintptr_t lowest;

static uintptr_t lowest_of(uintptr_t here) {
    pthread_attr_t attr;
    void *low = NULL;
    size_t size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        pthread_attr_getstack(&attr, &low, &size);
        pthread_attr_destroy(&attr);
    }
    return size > 0 ? (uintptr_t)low + size / UNCOUNTED_PART : here - (1 << 20);
}

void mg_depth_deinit(mg_depth *d) {
    mg_free(d->frames);
    *d = (mg_depth){0};
}

bool mg_depth_enter(mg_depth *d) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (lowest == 0) {
        lowest = lowest_of(here);
    }
    while (d->count > 0 && d->frames[d->count - 1] <= here) {
        d->count--;
    }
    if (d->count == d->cap) {
        d->cap = d->cap == 0 ? 16 : d->cap * 2;
        d->frames = mg_realloc(d->frames, d->cap * sizeof *d->frames);
    }
    d->frames[d->count++] = here;
    return d->count <= MG_DEPTH_MAX && here > lowest;
}

void mg_depth_make_room(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= MG_DEPTH_STACK) {
        return;
    }
    bool allowed = limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= MG_DEPTH_STACK;
    limit.rlim_cur = allowed ? MG_DEPTH_STACK : limit.rlim_max;
    setrlimit(RLIMIT_STACK, &limit);
}
