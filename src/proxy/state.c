#include "proxy/state.h"

#include "proxy/outlier.h"
#include "proxy/verdict.h"

#include <stdio.h>

static const char *draining(uint64_t word, char *why) {
    snprintf(why, MG_STATE_WHY_BYTES, "%s",
             word == MG_DRAIN_ASKED ? "a script said so" : "it is not among the servers any more");
    return "draining";
}

static const char *ejected(const mg_ejection *e, uint64_t now_ms, char *why) {
    snprintf(why, MG_STATE_WHY_BYTES, "it failed too often, for %.1f s more",
             (double)(e->until_ms - now_ms) / 1000);
    return "ejected";
}

const char *mg_server_state_text(const mg_server_cell *c, uint64_t now_ms,
                                 char why[MG_STATE_WHY_BYTES]) {
    const mg_server_hold h = {.cell = (mg_server_cell *)(uintptr_t)c};
    uint64_t drains = atomic_load(&c->draining);
    mg_health health = mg_health_of(c);
    mg_ejection ejection = mg_ejection_of(&h, now_ms);
    why[0] = '\0';
    if (drains != MG_DRAIN_NOT) {
        return draining(drains, why);
    }
    if (health.verdict == MG_VERDICT_DOWN) {
        (void)mg_health_text(&health, why, MG_STATE_WHY_BYTES);
        return "down";
    }
    if (ejection.until_ms > now_ms) {
        return ejected(&ejection, now_ms, why);
    }
    if (atomic_load(&c->failing) != 0) {
        snprintf(why, MG_STATE_WHY_BYTES, "its last try failed");
    }
    return "up";
}
