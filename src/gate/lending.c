#include "gate/lending.h"

void mg_lending_init(mg_lending *l) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        l->to[slot] = MG_LENDING_NOBODY;
    }
}

// Somebody who accepts for `slot`, spread over those who can.
static uint32_t substitute(const mg_lending_stand stands[MG_SHM_CELLS], uint32_t slot) {
    for (uint32_t i = 1; i < MG_SHM_CELLS; i++) {
        uint32_t other = (slot + i) % MG_SHM_CELLS;
        if (stands[other] == MG_LENDING_CAN) {
            return other;
        }
    }
    return MG_LENDING_NOBODY;
}

void mg_lending_settle(mg_lending *l, const mg_lending_stand stands[MG_SHM_CELLS],
                       void (*tell)(void *arg, uint32_t to, uint32_t slot, bool on), void *arg) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        bool can = stands[slot] == MG_LENDING_CAN;
        uint32_t to = can ? MG_LENDING_NOBODY : substitute(stands, slot);
        uint32_t before = l->to[slot];
        if (stands[slot] == MG_LENDING_UNUSED || (to == MG_LENDING_NOBODY && !can)) {
            continue;
        }
        if (to != MG_LENDING_NOBODY) {
            tell(arg, to, slot, true);
        }
        if (before != MG_LENDING_NOBODY && before != to) {
            tell(arg, before, slot, false);
        }
        l->to[slot] = (uint16_t)to;
    }
}
