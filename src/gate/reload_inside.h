// gate/reload_inside.h: what the files of a reload know of each other. For gate/reload*.c alone.
#pragma once

#include "gate/changes.h"
#include "gate/helper.h"
#include "gate/master_inside.h"
#include "gate/reload_phase.h"

struct mg_reload {
    mg_master *master;
    mg_reload_request request;
    mg_reload_phase phase;
    uint32_t number;
    uint64_t start_us;
    mg_helper *helper; // what it waits for
    int memfd;
    mg_snapshot *snapshot;
    int keys_fd;
    mg_tls_store *keys;
    int streams_fd; // takes what the trial finds
    mg_config config;
    uint32_t wanted;
    mg_timer limit;
    mg_buf fault; // dev: of the trial; what workers serve
    mg_changes changes;
};

// The phase it is in went well: the next one begins.
void mg_reload_go_on(mg_reload *r);

// Both end it, and free it.
void mg_reload_refuse(mg_reload *r, mg_str why);
void mg_reload_refuse_with(mg_reload *r, const char *why);
void mg_reload_succeed(mg_reload *r, mg_str text);

// --- reload_children.c ---

// Each a phase. MG_OK, or a negative code and nothing comes.
int mg_reload_collect(mg_reload *r);
int mg_reload_try(mg_reload *r);
int mg_reload_run_specs(mg_reload *r);
const char *mg_reload_specs(const mg_reload *r); // the folder; NULL: none are wanted

// --- reload_plan.c ---

// What the collected snapshot asks for: addresses are bound, and before the first generation serves
// what it is served with is made.
int mg_reload_plan(mg_reload *r, mg_error *err);

// The same of addresses at which the app speaks other protocols, as the trial has found them.
// `faulty`: it has found nothing but a fault, and those of before stay.
int mg_reload_plan_streams(mg_reload *r, bool faulty, mg_error *err);

// --- reload_prepare.c ---

void mg_reload_prepare(mg_reload *r);
void mg_reload_abandon_places(mg_reload *r);

// --- reload_commit.c ---

void mg_reload_commit(mg_reload *r);
void mg_reload_end_dry(mg_reload *r);
