// event/intake.h: what peers have sent that nobody could take yet, because it is not whole or its
// handler is busy: of everything that counts here together, and who is given up when it is too
// much.
//
// An mg_intake lives with what holds the bytes, in its memory. Nobody is given up in the middle of
// something: the server holds the bound at the end of a turn.
#pragma once

#include "event/loop.h"

typedef struct mg_intake {
    mg_link link;      // among those of which more is to come
    uint64_t since_ms; // when it was looked at last
    size_t held;       // bytes
    size_t fresh;      // of those, since then
    bool paused;       // that no more comes is our own doing
    void (*give_up)(struct mg_intake *i);
} mg_intake;

// Of a loop: mg_loop_intakes.
typedef struct mg_intakes {
    mg_loop *loop;
    mg_link list;
    uint64_t held;
    uint64_t most; // 0: any
    bool over;     // it was more in this turn
} mg_intakes;

void mg_intakes_init(mg_intakes *all, mg_loop *loop);

mg_intakes *mg_loop_intakes(mg_loop *loop);

// `give_up` is to let go of all that is held, and says so by mg_intake_hold.
void mg_intake_init(mg_intake *i, void (*give_up)(mg_intake *i));

// It holds so many bytes now. `more`: it waits for others, and may be given up. What holds nothing,
// or must be held whatever comes, is in no list; say 0 before its memory goes.
void mg_intake_hold(mg_intakes *all, mg_intake *i, size_t held, bool more);

// Gives up those that hold the most beside the rate at which they come, until the bound is kept; a
// rate beyond 1 MB/s is no merit, and who is paused is taken for one that comes so fast.
// One that is alone may hold what its own limit lets it.
void mg_intakes_bound(mg_intakes *all);
