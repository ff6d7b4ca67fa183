// gate/lending.h: who accepts for whom: the sockets of a worker that is not there, or stuck, are
// lent to another one. Plain data; owns nothing.
#pragma once

#include "base/shm.h"

enum { MG_LENDING_NOBODY = 0xffff };

// How the places are.
typedef enum mg_lending_stand {
    MG_LENDING_UNUSED, // there never was such a place: it has no sockets
    MG_LENDING_CANNOT,
    MG_LENDING_CAN, // accept, for itself and for others
} mg_lending_stand;

typedef struct mg_lending {
    uint16_t to[MG_SHM_CELLS]; // who accepts for a slot, or MG_LENDING_NOBODY
} mg_lending;

void mg_lending_init(mg_lending *l);

// Calls `tell(arg, to, slot, on)`: `to` accepts for `slot` from now on, or leaves it to its owner
// again. What has been lent is told again: a worker that has been replaced knows nothing of it.
// While nobody can, all stays as it is.
void mg_lending_settle(mg_lending *l, const mg_lending_stand stands[MG_SHM_CELLS],
                       void (*tell)(void *arg, uint32_t to, uint32_t slot, bool on), void *arg);
