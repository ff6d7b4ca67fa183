#include "gate/reload_phase.h"

bool mg_reload_may_become(mg_reload_phase from, mg_reload_phase to) {
    static const unsigned char moves[] = {
        [MG_RELOAD_COLLECT] = 1 << MG_RELOAD_TRIAL | 1 << MG_RELOAD_ENDED,
        [MG_RELOAD_TRIAL] = 1 << MG_RELOAD_SPECS | 1 << MG_RELOAD_PREPARE | 1 << MG_RELOAD_ENDED,
        [MG_RELOAD_SPECS] = 1 << MG_RELOAD_PREPARE | 1 << MG_RELOAD_ENDED,
        [MG_RELOAD_PREPARE] = 1 << MG_RELOAD_COMMIT | 1 << MG_RELOAD_ENDED,
        [MG_RELOAD_COMMIT] = 1 << MG_RELOAD_ENDED,
        [MG_RELOAD_ENDED] = 0,
    };
    return moves[from] >> to & 1;
}

mg_reload_phase mg_reload_phase_after(mg_reload_phase phase, const mg_reload_wish *wish) {
    switch (phase) {
    case MG_RELOAD_COLLECT:
        return MG_RELOAD_TRIAL;
    case MG_RELOAD_TRIAL:
        return wish->specs && !wish->first && !wish->faulty ? MG_RELOAD_SPECS : MG_RELOAD_PREPARE;
    case MG_RELOAD_SPECS:
        return MG_RELOAD_PREPARE;
    case MG_RELOAD_PREPARE:
        return wish->dry_run ? MG_RELOAD_ENDED : MG_RELOAD_COMMIT;
    default:
        return MG_RELOAD_ENDED;
    }
}
