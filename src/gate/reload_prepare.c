// All workers load the new scripts, each while it goes on with the old ones; the reload waits for
// those that can be waited for.

#include "gate/reload_inside.h"

#include "gate/readiness.h"

#include <stdio.h>

static mg_stand stand_of(const mg_reload *r, const mg_place *p) {
    return mg_stand_of(&p->life, p->asked, p->ready, r->number);
}

static void go_if_ready(mg_reload *r) {
    const mg_master *m = r->master;
    mg_readiness readiness = {0};
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        if (m->places[slot] != NULL) {
            mg_readiness_add(&readiness, stand_of(r, m->places[slot]));
        }
    }
    if (mg_readiness_may_go(&readiness, m->generation == 0)) {
        mg_reload_go_on(r);
    }
}

static void ask(mg_reload *r, mg_place *p) {
    p->asked = r->number;
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_PREPARE,
                                              .a = r->number,
                                              .fd = mg_snapshot_fd(r->snapshot),
                                              .text = mg_buf_str(&r->fault)});
}

static void on_prepare_late(mg_timer *t) {
    mg_reload *r = MG_OF(t, mg_reload, limit);
    uint64_t reload_ms = r->config.timeouts.reload_ms;
    char why[MG_READINESS_REASON];
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = r->master->places[slot];
        if (p != NULL && mg_readiness_reason(stand_of(r, p), &p->life, slot, reload_ms, why)) {
            mg_reload_refuse_with(r, why);
            return;
        }
    }
    mg_reload_refuse_with(r, "no worker could be started in time (timeouts.reload)");
}

// The first workers begin with it. A start that fails ends it, and frees it.
static void start_workers(mg_reload *r) {
    mg_master *m = r->master;
    for (uint32_t slot = 0; m->reload == r && slot < r->wanted; slot++) {
        mg_place *p = mg_place_at(m, slot);
        p->asked = r->number;
        mg_place_start(p, r->snapshot, r->number, mg_buf_str(&r->fault));
    }
}

void mg_reload_prepare(mg_reload *r) {
    mg_master *m = r->master;
    mg_timer_start(m->loop, &r->limit, r->config.timeouts.reload_ms + 500, 0, on_prepare_late);
    if (m->generation == 0) {
        start_workers(r);
        return;
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        // One that is stuck is asked when it has recovered, or been replaced.
        if (p != NULL && mg_place_can_accept(&p->life) && p->channel != NULL) {
            ask(r, p);
        }
    }
    go_if_ready(r);
}

void mg_reload_on_serving(mg_master *m, mg_place *p) {
    if (m->reload != NULL && m->reload->phase == MG_RELOAD_PREPARE &&
        p->asked != m->reload->number && p->channel != NULL) {
        ask(m->reload, p);
    }
}

void mg_reload_on_ready(mg_master *m, mg_place *p, uint32_t number) {
    mg_reload *r = m->reload;
    if (r != NULL && r->phase == MG_RELOAD_PREPARE && number == r->number && p->asked == number) {
        go_if_ready(r);
    }
}

void mg_reload_on_failed(mg_master *m, mg_place *p, uint32_t number, mg_str why) {
    mg_reload *r = m->reload;
    if (r != NULL && r->phase == MG_RELOAD_PREPARE && number == r->number && p->asked == number) {
        mg_reload_refuse(r, why);
    }
}

void mg_reload_on_death(mg_master *m, mg_place *p, const char *how) {
    mg_reload *r = m->reload;
    if (r == NULL || r->phase != MG_RELOAD_PREPARE) {
        return;
    }
    bool asked = p->asked == r->number;
    p->asked = 0;
    if (asked && !p->life.killed) { // a request kept it from being asked at all
        char why[160];
        snprintf(why, sizeof why, "worker %u %s while it loaded the scripts", p->slot + 1, how);
        mg_reload_refuse_with(r, why);
    } else {
        go_if_ready(r);
    }
}

void mg_reload_abandon_places(mg_reload *r) {
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = r->master->places[slot];
        if (p != NULL && p->asked == r->number) {
            p->asked = 0;
            mg_channel_tell(p->channel, MG_MESSAGE_ABANDON, r->number, 0);
        }
    }
}
