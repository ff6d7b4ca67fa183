#include "gate/place_life.h"

#include <assert.h>

enum {
    YOUNG_MS = 2000, // a worker that dies earlier is part of a crash loop
    FIRST_BACKOFF_MS = 100,
    MOST_BACKOFF_MS = 10000,
};

bool mg_place_may_become(mg_place_state from, mg_place_state to) {
    static const uint8_t moves[] = {
        [MG_PLACE_EMPTY] = 1 << MG_PLACE_STARTING,
        [MG_PLACE_STARTING] = 1 << MG_PLACE_SERVING | 1 << MG_PLACE_STOPPING |
                              1 << MG_PLACE_WAITING | 1 << MG_PLACE_EMPTY,
        [MG_PLACE_SERVING] = 1 << MG_PLACE_STOPPING | 1 << MG_PLACE_WAITING | 1 << MG_PLACE_EMPTY,
        [MG_PLACE_STOPPING] = 1 << MG_PLACE_EMPTY,
        [MG_PLACE_WAITING] = 1 << MG_PLACE_STARTING | 1 << MG_PLACE_EMPTY,
    };
    return moves[from] >> to & 1;
}

static void become(mg_place_life *l, mg_place_state next) {
    assert(mg_place_may_become(l->state, next));
    l->state = next;
}

void mg_place_life_start(mg_place_life *l) {
    l->restarts += l->state == MG_PLACE_WAITING;
    become(l, MG_PLACE_STARTING);
    l->killed = false;
    l->stuck_ms = 0;
}

bool mg_place_life_serve(mg_place_life *l, uint64_t now_ms) {
    if (l->state == MG_PLACE_SERVING) {
        return false;
    }
    become(l, MG_PLACE_SERVING);
    l->since_ms = now_ms;
    return true;
}

void mg_place_life_stop(mg_place_life *l) {
    if (l->state == MG_PLACE_WAITING) {
        become(l, MG_PLACE_EMPTY);
    } else if (l->state != MG_PLACE_EMPTY && l->state != MG_PLACE_STOPPING) {
        become(l, MG_PLACE_STOPPING);
    }
}

static uint32_t longer(uint32_t backoff_ms) {
    uint32_t next = backoff_ms == 0 ? FIRST_BACKOFF_MS : backoff_ms * 2;
    return next < MOST_BACKOFF_MS ? next : MOST_BACKOFF_MS;
}

void mg_place_life_die(mg_place_life *l, bool again, uint64_t now_ms) {
    uint64_t lived_ms = l->state == MG_PLACE_SERVING ? now_ms - l->since_ms : 0;
    again = again && l->state != MG_PLACE_STOPPING;
    become(l, again ? MG_PLACE_WAITING : MG_PLACE_EMPTY);
    l->stuck = false;
    if (again) {
        l->backoff_ms = lived_ms < YOUNG_MS ? longer(l->backoff_ms) : 0;
    }
}

bool mg_place_is_watched(const mg_place_life *l) {
    return l->state == MG_PLACE_SERVING || l->state == MG_PLACE_STOPPING;
}

unsigned mg_place_life_watch(mg_place_life *l, const mg_place_look *look) {
    assert(mg_place_is_watched(l));
    bool before = l->stuck;
    bool same = look->busy && look->progress == l->progress;
    l->progress = look->progress;
    l->stuck_ms = same ? l->stuck_ms + look->gap_ms : 0;
    l->stuck = look->warn_ms > 0 && l->stuck_ms >= look->warn_ms;
    bool kill = look->kill_ms > 0 && l->stuck_ms >= look->kill_ms && !l->killed;
    l->killed = l->killed || kill;
    return (before != l->stuck ? MG_PLACE_CHANGED : 0) | (kill ? MG_PLACE_KILL : 0);
}

bool mg_place_can_accept(const mg_place_life *l) {
    return l->state == MG_PLACE_SERVING && !l->stuck;
}

bool mg_place_will_serve(const mg_place_life *l) {
    return l->state == MG_PLACE_STARTING || (l->state == MG_PLACE_SERVING && l->stuck) ||
           (l->state == MG_PLACE_WAITING && l->backoff_ms == 0);
}
