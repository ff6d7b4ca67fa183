// event/deadline.h: many deadlines of one kind, all with the same wait, for the price of a list.
//
// Every entry of a queue waits equally long, so the list is in deadline order by itself: starting
// one is an append, and one timer serves the head. Used for connection timeouts, of which there are
// 100,000.
#pragma once

#include "event/timer.h"

typedef struct mg_deadline {
    mg_link link;
    uint64_t at_ms;
} mg_deadline;

typedef struct mg_deadlines mg_deadlines;
struct mg_deadlines {
    mg_loop *loop;
    mg_link head;
    mg_timer timer;
    uint64_t wait_ms;                                 // 0: never
    uint64_t before_ms, changed_ms;                   // the wait up to then
    void (*on_late)(mg_deadlines *q, mg_deadline *d); // `d` has been taken out; `q` may go
    bool *gone;                                       // while its entries are told: set by its end
};

// Caller-owned memory. `wait_ms` 0 means that starting an entry does nothing.
void mg_deadlines_init(mg_deadlines *q, mg_loop *loop, uint64_t wait_ms,
                       void (*on_late)(mg_deadlines *q, mg_deadline *d));
void mg_deadlines_deinit(mg_deadlines *q);

// Changes the wait of entries started from now on; those already running keep their deadline. After
// a cut, new entries stand behind older ones: they may fire late by the difference, never early.
void mg_deadlines_set_wait(mg_deadlines *q, uint64_t wait_ms);

// An entry that is in no queue. Must come before the first start.
static inline void mg_deadline_init(mg_deadline *d) {
    mg_link_init(&d->link);
    d->at_ms = 0;
}

// Starts `d`, or starts it again (taken out of whatever queue it was in).
void mg_deadline_start(mg_deadlines *q, mg_deadline *d);
void mg_deadline_stop(mg_deadline *d);

// When `d`, which is in `q`, was started. After a cut of the wait it may be told too late.
uint64_t mg_deadline_started_ms(const mg_deadlines *q, const mg_deadline *d);
