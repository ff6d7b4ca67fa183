// event/descriptors.h: counts what the process has open, so that it never runs out.
//
// Streams, watched descriptors, listeners and files being read count themselves. Whoever opens
// something else (a library, a thread) says so by hold and release. Before anything is opened that
// a peer or a script asks for, mg_descriptors_room is asked; what it refuses must not be opened.
#pragma once

#include "event/loop.h"

// Somebody who holds descriptors that can be done without: idle connections. Embedded in a
// long-lived struct.
typedef struct mg_holder {
    mg_link link;
    // Whether there is one, and closes the one that is least likely to be missed. Only called if
    // there is one; the descriptor is given back within the call.
    bool (*has_idle)(const struct mg_holder *h);
    void (*close_idle)(struct mg_holder *h);
    // A descriptor was given back; NULL: does not matter. Called from within closing: only records.
    void (*on_released)(struct mg_holder *h);
} mg_holder;

void mg_descriptors_hold(mg_loop *loop, uint32_t n);
void mg_descriptors_release(mg_loop *loop, uint32_t n);

// So many are open.
uint32_t mg_descriptors_open(const mg_loop *loop);

// At most so many; without a call any number.
void mg_descriptors_set_limit(mg_loop *loop, uint32_t most);

// So many can be opened without closing anything.
uint32_t mg_descriptors_left(const mg_loop *loop);

// Some holder could give one back.
bool mg_descriptors_has_idle(const mg_loop *loop);

// Whether `n` more may be opened; has holders close what is idle until they may, in the order in
// which they were added.
bool mg_descriptors_room(mg_loop *loop, uint32_t n);

void mg_descriptors_add_holder(mg_loop *loop, mg_holder *h);
void mg_descriptors_remove_holder(mg_holder *h);
