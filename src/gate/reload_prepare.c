// All workers load the new scripts, each while it goes on with the old ones; the reload waits for
// those that can be waited for.

#include "gate/reload_inside.h"

#include <stdio.h>

// It cannot be asked now, but soon: it starts, or is stuck and recovers or is replaced. One that
// fails again and again is not waited for.
static bool will_serve(const mg_place *p) {
    return p->state == MG_PLACE_STARTING || (p->state == MG_PLACE_SERVING && p->stuck) ||
           (p->state == MG_PLACE_WAITING && p->backoff_ms == 0);
}

static void go_if_ready(mg_reload *r) {
    const mg_master *m = r->master;
    bool any = false;
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = m->places[slot];
        bool late = p != NULL && p->asked != r->number && will_serve(p);
        if (late || (p != NULL && p->asked == r->number && p->ready != r->number)) {
            return;
        }
        any = any || (p != NULL && p->asked == r->number);
    }
    if (!any && m->generation == 0) {
        return;
    }
    mg_reload_commit(r);
}

static void ask(mg_reload *r, mg_place *p) {
    p->asked = r->number;
    mg_channel_send(p->channel, &(mg_message){.type = MG_MESSAGE_PREPARE,
                                              .a = r->number,
                                              .fd = mg_snapshot_fd(r->snapshot),
                                              .text = mg_buf_str(&r->fault)});
}

// Why the reload still waits for this place; false: it does not.
static bool is_late(const mg_reload *r, const mg_place *p, char *why, size_t n) {
    double seconds = (double)r->config.timeouts.reload_ms / 1000;
    bool asked = p->asked == r->number;
    if (asked ? p->ready == r->number : !will_serve(p)) {
        return false;
    }
    if (p->stuck) {
        snprintf(why, n, "worker %u has been stuck for %.1f s, the log names the line", p->slot + 1,
                 (double)p->stuck_ms / 1000);
    } else if (asked) {
        snprintf(why, n,
                 "worker %u was not ready after %.1f s (timeouts.reload): does on_start end?",
                 p->slot + 1, seconds);
    } else {
        snprintf(why, n, "worker %u did not serve again within %.1f s (timeouts.reload)",
                 p->slot + 1, seconds);
    }
    return true;
}

static void on_prepare_late(mg_timer *t) {
    mg_reload *r = MG_OF(t, mg_reload, limit);
    char why[120];
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        const mg_place *p = r->master->places[slot];
        if (p != NULL && is_late(r, p, why, sizeof why)) {
            mg_reload_refuse_with(r, why);
            return;
        }
    }
    mg_reload_refuse_with(r, "no worker could be started in time (timeouts.reload)");
}

void mg_reload_prepare(mg_reload *r) {
    mg_master *m = r->master;
    r->step = MG_RELOAD_PREPARE;
    mg_timer_start(m->loop, &r->limit, r->config.timeouts.reload_ms + 500, 0, on_prepare_late);
    if (m->generation == 0) {
        for (uint32_t slot = 0; slot < r->wanted && m->reload == r; slot++) {
            mg_place *p = mg_place_at(m, slot);
            p->asked = r->number;
            mg_place_start(p, r->snapshot, r->number, mg_buf_str(&r->fault));
        }
        return;
    }
    for (uint32_t slot = 0; slot < MG_SHM_CELLS; slot++) {
        mg_place *p = m->places[slot];
        // One that is stuck is asked when it has recovered, or been replaced.
        if (p != NULL && p->state == MG_PLACE_SERVING && p->channel != NULL && !p->stuck) {
            ask(r, p);
        }
    }
    go_if_ready(r);
}

void mg_reload_on_serving(mg_master *m, mg_place *p) {
    if (m->reload != NULL && m->reload->step == MG_RELOAD_PREPARE &&
        p->asked != m->reload->number && p->channel != NULL) {
        ask(m->reload, p);
    }
}

void mg_reload_on_ready(mg_master *m, mg_place *p, uint32_t number) {
    mg_reload *r = m->reload;
    if (r != NULL && r->step == MG_RELOAD_PREPARE && number == r->number && p->asked == number) {
        go_if_ready(r);
    }
}

void mg_reload_on_failed(mg_master *m, mg_place *p, uint32_t number, mg_str why) {
    mg_reload *r = m->reload;
    if (r != NULL && r->step == MG_RELOAD_PREPARE && number == r->number && p->asked == number) {
        mg_reload_refuse(r, why);
    }
}

void mg_reload_on_death(mg_master *m, mg_place *p, const char *how) {
    mg_reload *r = m->reload;
    if (r == NULL || r->step != MG_RELOAD_PREPARE) {
        return;
    }
    bool asked = p->asked == r->number;
    p->asked = 0;
    if (asked && !p->killed) { // a request kept it from being asked at all
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
