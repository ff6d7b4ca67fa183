#include "proxy/waiting.h"

#include "proxy/circuit.h"
#include "proxy/upstream_inside.h"

enum { LOOK_MS = 10 }; // for what other workers do

static void on_time(mg_timer *t) {
    mg_upstream_pool *p = MG_OF(t, mg_upstream_pool, turn);
    mg_upstream_base *b = p->base;
    p->refs++; // the last waiter may be the last to have it
    while (!mg_link_alone(&p->waiters)) {
        mg_waiter *w = MG_OF(p->waiters.next, mg_waiter, link);
        if (!w->on_turn(w)) {
            mg_timer_start(b->loop, &p->turn, LOOK_MS, 0, on_time);
            break;
        }
    }
    mg_upstream_pool_unref(p);
}

int mg_upstream_wait(mg_upstream *u, mg_waiter *w, mg_waiter_cb on_turn) {
    mg_upstream_pool *p = u->pool;
    if (!mg_circuit_wait(&u->options.circuit, &p->hold)) {
        mg_count_total(&p->hold.own->refused);
        return MG_ELIMIT;
    }
    *w = (mg_waiter){.pool = p, .on_turn = on_turn};
    p->refs++;
    mg_link_append(&p->waiters, &w->link);
    if (!mg_timer_active(&p->turn)) {
        mg_timer_start(p->base->loop, &p->turn, LOOK_MS, 0, on_time);
    }
    return MG_OK;
}

void mg_upstream_wait_no_more(mg_waiter *w) {
    mg_upstream_pool *p = w->pool;
    if (p != NULL) {
        w->pool = NULL;
        mg_link_remove(&w->link);
        mg_circuit_wait_no_more(&p->hold);
        mg_upstream_pool_unref(p);
    }
}

void mg_waiting_look(mg_upstream_pool *p) {
    if (!mg_link_alone(&p->waiters)) {
        mg_timer_start(p->base->loop, &p->turn, 0, 0, on_time);
    }
}
