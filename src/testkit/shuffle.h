// testkit/shuffle.h: other legal orders: what has finished at one moment of virtual time is told in
// an order that is drawn, some of it in later turns.
#pragma once

#include "base/random.h"
#include "lua/vm.h"

// Lives in the kit's memory, borrows the vm. Operations that it holds back stay the vm's own.
typedef struct mg_testkit_shuffle {
    mg_turn turn;
    mg_vm *vm;
    mg_random random;
    bool on;
    mg_link held; // finished operations, until a later turn
} mg_testkit_shuffle;

// To be called before the vm is attached: its turn comes behind this one.
void mg_testkit_shuffle_init(mg_testkit_shuffle *s, mg_vm *vm);
void mg_testkit_shuffle_deinit(mg_testkit_shuffle *s); // before the vm is freed

// The same seed draws the same orders from now on. 0: as it happened.
void mg_testkit_shuffle_seed(mg_testkit_shuffle *s, uint64_t seed);
