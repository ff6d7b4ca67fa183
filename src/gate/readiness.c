#include "gate/readiness.h"

#include <stdio.h>

mg_stand mg_stand_of(const mg_place_life *l, uint32_t asked, uint32_t ready, uint32_t number) {
    if (asked == number) {
        return ready == number ? MG_STAND_READY : MG_STAND_LOADING;
    }
    return mg_place_will_serve(l) ? MG_STAND_COMING : MG_STAND_AWAY;
}

void mg_readiness_add(mg_readiness *r, mg_stand stand) {
    r->ready += stand == MG_STAND_READY;
    r->awaited += stand == MG_STAND_COMING || stand == MG_STAND_LOADING;
}

bool mg_readiness_may_go(const mg_readiness *r, bool first) {
    return r->awaited == 0 && (r->ready > 0 || !first);
}

bool mg_readiness_reason(mg_stand stand, const mg_place_life *l, uint32_t slot, uint64_t reload_ms,
                         char out[MG_READINESS_REASON]) {
    double seconds = (double)reload_ms / 1000;
    unsigned worker = slot + 1;
    if (stand == MG_STAND_AWAY || stand == MG_STAND_READY) {
        return false;
    }
    if (l->stuck) {
        snprintf(out, MG_READINESS_REASON,
                 "worker %u has been stuck for %.1f s, the log names the line", worker,
                 (double)l->stuck_ms / 1000);
    } else if (stand == MG_STAND_LOADING) {
        snprintf(out, MG_READINESS_REASON,
                 "worker %u was not ready after %.1f s (timeouts.reload): does on_start end?",
                 worker, seconds);
    } else {
        snprintf(out, MG_READINESS_REASON,
                 "worker %u did not serve again within %.1f s (timeouts.reload)", worker, seconds);
    }
    return true;
}
