// live/presence.h: how many subscribe to which topic in one worker, for all workers to see.
//
// A table in the shared memory, by the hash of a topic's name. Its worker alone writes it; anybody
// reads it, and asks again if it was written meanwhile. A process may die at any instruction: what
// a dead worker leaves is wiped by the master. It owns nothing.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MG_PRESENCE_SLOTS = 1 << 16,
    MG_PRESENCE_MOST = MG_PRESENCE_SLOTS / 4 * 3, // topics
};

typedef struct mg_presence_slot {
    _Atomic uint64_t hash; // 0: free
    _Atomic uint64_t count;
} mg_presence_slot;

// Zero is an empty one. What is not used is never touched, and takes no memory.
typedef struct mg_presence {
    _Alignas(4096) _Atomic uint32_t version; // odd: it is being changed
    _Atomic uint32_t bits;                   // how many slots are in use: two to this power
    _Atomic uint32_t used;
    _Alignas(4096) mg_presence_slot slots[MG_PRESENCE_SLOTS];
} mg_presence;

// By its worker. `count` 0 takes the topic out. False: it has no room for another topic.
bool mg_presence_set(mg_presence *p, uint64_t hash, uint32_t count);

typedef struct mg_presence_answer {
    uint32_t count;
    bool sure; // false: it was being changed all the time, by who is stuck or dead
} mg_presence_answer;

mg_presence_answer mg_presence_of(const mg_presence *p, uint64_t hash);

// How many topics are in it.
uint32_t mg_presence_used(const mg_presence *p);

// All is forgotten, and the memory given back. By its worker, or when that is dead.
void mg_presence_wipe(mg_presence *p);
