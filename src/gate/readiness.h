// gate/readiness.h: whether all have loaded what a reload brings: how each place stands to it, and
// what follows. Plain data; owns nothing.
#pragma once

#include "gate/place_life.h"

#include <stddef.h>

typedef enum mg_stand {
    MG_STAND_AWAY,    // it is not there, and not waited for
    MG_STAND_COMING,  // it will serve soon, and is asked then
    MG_STAND_LOADING, // it has been asked
    MG_STAND_READY,
} mg_stand;

// `asked`, `ready`: the generation that the place was asked to prepare, and has prepared; 0: none.
mg_stand mg_stand_of(const mg_place_life *l, uint32_t asked, uint32_t ready, uint32_t number);

// Zeroed: no place has been looked at.
typedef struct mg_readiness {
    uint32_t ready, awaited;
} mg_readiness;

void mg_readiness_add(mg_readiness *r, mg_stand stand);

// `first`: nothing serves yet, so somebody has to be ready.
bool mg_readiness_may_go(const mg_readiness *r, bool first);

enum { MG_READINESS_REASON = 120 };

// Why a reload still waits for the place `slot` after so long; false: it does not.
bool mg_readiness_reason(mg_stand stand, const mg_place_life *l, uint32_t slot, uint64_t reload_ms,
                         char out[MG_READINESS_REASON]);
