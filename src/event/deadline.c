#include "event/deadline.h"

static mg_deadlines *queue_of_last(const mg_deadline *d);
static void on_time(mg_timer *t);

void mg_deadlines_init(mg_deadlines *q, mg_loop *loop, uint64_t wait_ms,
                       void (*on_late)(mg_deadlines *q, mg_deadline *d)) {
    *q = (mg_deadlines){.loop = loop, .wait_ms = wait_ms, .on_late = on_late};
    mg_link_init(&q->head);
}

void mg_deadlines_deinit(mg_deadlines *q) {
    if (q->gone != NULL) {
        *q->gone = true;
        q->gone = NULL;
    }
    mg_timer_stop(&q->timer);
    while (mg_link_shift(&q->head) != NULL) {
    }
}

void mg_deadlines_set_wait(mg_deadlines *q, uint64_t wait_ms) {
    q->before_ms = q->wait_ms;
    q->changed_ms = mg_loop_now_ms(q->loop);
    q->wait_ms = wait_ms;
}

uint64_t mg_deadline_started_ms(const mg_deadlines *q, const mg_deadline *d) {
    uint64_t by_before = d->at_ms - q->before_ms;
    bool before = q->wait_ms > q->before_ms && q->before_ms > 0 && by_before <= q->changed_ms;
    return before ? by_before : d->at_ms - q->wait_ms;
}

// The timer is left alone unless the queue becomes empty or was: fired for an entry that has gone,
// it finds the next.
void mg_deadline_start(mg_deadlines *q, mg_deadline *d) {
    if (q->wait_ms == 0 || queue_of_last(d) != q) {
        mg_deadline_stop(d);
    }
    if (q->wait_ms == 0) {
        return;
    }
    mg_link_remove(&d->link);
    d->at_ms = mg_loop_now_ms(q->loop) + q->wait_ms;
    mg_link_append(&q->head, &d->link);
    if (!mg_timer_active(&q->timer)) {
        mg_timer_start(q->loop, &q->timer, q->wait_ms, 0, on_time);
    }
}

void mg_deadline_stop(mg_deadline *d) {
    mg_deadlines *emptied = queue_of_last(d);
    mg_link_remove(&d->link);
    if (emptied != NULL) {
        mg_timer_stop(&emptied->timer);
    }
}

// The queue in which `d` is the only entry, or NULL: then both of its neighbours are the head.
static mg_deadlines *queue_of_last(const mg_deadline *d) {
    if (mg_link_alone(&d->link) || d->link.next != d->link.prev) {
        return NULL;
    }
    return MG_OF(d->link.next, mg_deadlines, head);
}

static void on_time(mg_timer *t) {
    mg_deadlines *q = MG_OF(t, mg_deadlines, timer);
    uint64_t now = mg_loop_now_ms(q->loop);
    bool gone = false;
    q->gone = &gone;
    while (!mg_link_alone(&q->head)) {
        mg_deadline *d = MG_OF(q->head.next, mg_deadline, link);
        if (d->at_ms > now) {
            mg_timer_start(q->loop, t, d->at_ms - now, 0, on_time);
            break;
        }
        mg_link_remove(&d->link);
        q->on_late(q, d);
        if (gone) {
            return;
        }
    }
    q->gone = NULL;
}
