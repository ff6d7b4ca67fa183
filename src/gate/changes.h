// gate/changes.h: what a reload changes, a line each, for whoever asked for it.
#pragma once

#include "base/buf.h"
#include "base/snapshot.h"
#include "config/config.h"

// Zeroed: nothing.
typedef struct mg_changes {
    mg_buf text;
    size_t files; // that have changed, also those for which there is no line
} mg_changes;

// What serves, or is to serve. All borrowed.
typedef struct mg_changes_side {
    const mg_snapshot *snapshot; // NULL: nothing has served yet
    const mg_config *config;
    uint32_t workers;
} mg_changes_side;

void mg_changes_between(mg_changes *c, const mg_changes_side *before, const mg_changes_side *after);
void mg_changes_deinit(mg_changes *c);
