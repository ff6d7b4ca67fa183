// gate/reload_phase.h: which step of a reload follows which.
//
//   COLLECT -> TRIAL -> (SPECS) -> PREPARE -> COMMIT -> ENDED
//      |         |         |          |                   ^
//      +---------+---------+----------+--- refused -------'    (a dry run ends behind PREPARE)
#pragma once

#include <stdbool.h>

typedef enum mg_reload_phase {
    MG_RELOAD_COLLECT, // a child reads files, evaluates the configuration, writes the snapshot
    MG_RELOAD_TRIAL,   // another child loads the snapshot as a worker would
    MG_RELOAD_SPECS,   // another one runs specs on it
    MG_RELOAD_PREPARE, // every worker loads it and runs on_start
    MG_RELOAD_COMMIT,  // each swaps
    MG_RELOAD_ENDED,
} mg_reload_phase;

typedef struct mg_reload_wish {
    bool first;   // nothing serves yet
    bool specs;   // are to pass
    bool faulty;  // dev: the scripts cannot be loaded, which is what is served
    bool dry_run; // nothing is swapped
} mg_reload_wish;

bool mg_reload_may_become(mg_reload_phase from, mg_reload_phase to);

// What follows a phase that went well.
mg_reload_phase mg_reload_phase_after(mg_reload_phase phase, const mg_reload_wish *wish);
