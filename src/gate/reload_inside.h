// gate/reload_inside.h: what the files of a reload know of each other. For gate/reload*.c alone.
#pragma once

#include "gate/changes.h"
#include "gate/helper.h"
#include "gate/master_inside.h"

typedef enum mg_reload_step {
    MG_RELOAD_COLLECT,
    MG_RELOAD_TRIAL,
    MG_RELOAD_SPECS,
    MG_RELOAD_PREPARE,
} mg_reload_step;

struct mg_reload {
    mg_master *master;
    mg_reload_request request;
    mg_reload_step step;
    uint32_t number;
    uint64_t start_us;
    mg_helper *helper; // what it waits for
    int memfd;
    mg_snapshot *snapshot;
    mg_config config;
    uint32_t wanted;
    mg_timer limit;
    mg_buf fault; // dev: of the trial; what workers serve
    mg_changes changes;
};

// Both end it, and free it.
void mg_reload_refuse(mg_reload *r, mg_str why);
void mg_reload_refuse_with(mg_reload *r, const char *why);
void mg_reload_succeed(mg_reload *r, mg_str text);

// --- reload_children.c ---

int mg_reload_collect(mg_reload *r);

// --- reload_plan.c ---

// What the collected snapshot asks for: addresses are bound, and before the first generation serves
// what it is served with is made.
int mg_reload_plan(mg_reload *r, mg_error *err);

// --- reload_prepare.c ---

void mg_reload_prepare(mg_reload *r);
void mg_reload_abandon_places(mg_reload *r);

// --- reload_commit.c ---

void mg_reload_commit(mg_reload *r); // or a dry run's end
