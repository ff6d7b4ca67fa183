// proxy/circuit.h: when too many tries fail, an upstream is left alone for a while; and it is asked
// no more at once than it can bear. Pure functions of cells (proxy/shared.h); they own nothing.
//
//   CLOSED --too many of the last results are failures--> OPEN --open_ms--> HALF OPEN
//     ^                                                     ^                 |   |
//     |                                                     `-- its probe failed   |
//     `---------------------------------------------------------- or was well -----'
//
// HALF OPEN lets one try through, the probe. One whose worker died is replaced after open_ms.
#pragma once

#include "proxy/options.h"
#include "proxy/outlier.h"
#include "proxy/shared.h"

typedef enum mg_circuit_state {
    MG_CIRCUIT_CLOSED,
    MG_CIRCUIT_OPEN,
    MG_CIRCUIT_HALF_OPEN,
} mg_circuit_state;

mg_circuit_state mg_circuit_of(const mg_upstream_cell *c, uint64_t now_ms);

// A try wants through. True: it may, and `*probe` goes to mg_circuit_tell with its result (0: it is
// none). False: the circuit is open, for `*probe` ms more.
bool mg_circuit_enter(const mg_circuit_options *o, const mg_upstream_hold *h, uint64_t now_ms,
                      uint64_t *probe);

// Its result. True: the state has changed by this (one worker is told so).
bool mg_circuit_tell(const mg_circuit_options *o, const mg_upstream_hold *h, uint64_t probe,
                     mg_result result, uint64_t now_ms);

// One more try may be in flight: it is counted (in_flight of this worker's own). False: too many
// are, in all workers together.
bool mg_circuit_begin(const mg_circuit_options *o, const mg_upstream_hold *h);
void mg_circuit_end(const mg_upstream_hold *h);

// One more request may wait until that changes, and is counted. False: too many do.
bool mg_circuit_wait(const mg_circuit_options *o, const mg_upstream_hold *h);
void mg_circuit_wait_no_more(const mg_upstream_hold *h);
