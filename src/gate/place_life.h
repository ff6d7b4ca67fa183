// gate/place_life.h: the life of a place that a worker fills, without the worker: what happens to
// it goes in, what is to be done comes out. Plain data; owns nothing.
//
//   EMPTY --start--> STARTING --serve--> SERVING --stop--> STOPPING --die--> EMPTY
//                     ^    |  \            |                  ^
//                     |    |   `--stop-----|------------------'
//                   start die             die
//                     |    v               v
//                     `-- WAITING (backs off) --stop--> EMPTY
//
// One that dies and is not wanted any more is EMPTY. Only what is drawn here happens: anything else
// is a mistake of ours, and asserted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum mg_place_state {
    MG_PLACE_EMPTY,
    MG_PLACE_STARTING, // loads its scripts
    MG_PLACE_SERVING,
    MG_PLACE_STOPPING,
    MG_PLACE_WAITING, // for its next start
} mg_place_state;

typedef struct mg_place_life {
    mg_place_state state;
    uint32_t restarts;
    uint32_t backoff_ms; // before the next start
    uint64_t since_ms;   // that it serves
    uint64_t progress;   // of its pulse, as seen last
    uint64_t stuck_ms;
    bool stuck;
    bool killed; // because it was stuck
} mg_place_life;

bool mg_place_may_become(mg_place_state from, mg_place_state to);

void mg_place_life_start(mg_place_life *l);

// True: it begins to serve; false: it did so before.
bool mg_place_life_serve(mg_place_life *l, uint64_t now_ms);
void mg_place_life_stop(mg_place_life *l);

// `again`: another worker is wanted, after backoff_ms. Workers that die young, or while they start,
// are waited for longer each time.
void mg_place_life_die(mg_place_life *l, bool again, uint64_t now_ms);

typedef struct mg_place_look {
    bool busy;                 // the loop is not waiting in its poll
    uint64_t progress;         // changes whenever it gets on
    uint64_t gap_ms;           // since it was looked at last
    uint64_t warn_ms, kill_ms; // timeouts.stall_*; 0: never
} mg_place_look;

enum {
    MG_PLACE_CHANGED = 1, // it is stuck, or is so no more
    MG_PLACE_KILL = 2,    // it is stuck for too long: told once
};

// Its loop is looked at: it serves, or is about to end.
bool mg_place_is_watched(const mg_place_life *l);

// What follows from a look at its pulse.
unsigned mg_place_life_watch(mg_place_life *l, const mg_place_look *look);

// It can take connections, also those of others.
bool mg_place_can_accept(const mg_place_life *l);

// It cannot be asked for anything now, but soon: it starts, or is stuck and recovers or is
// replaced. One that fails again and again is not waited for.
bool mg_place_will_serve(const mg_place_life *l);
