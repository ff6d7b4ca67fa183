// http/h2_limits.h: what a peer of HTTP/2 may cost: sizes, and budgets of cheap nothings.
#pragma once

#include <stdint.h>

// Frames that cost their sender next to nothing. Each kind has a bucket of tokens: it begins full,
// a frame takes one, time and honest work fill it again; an empty one ends the connection with
// ENHANCE_YOUR_CALM.
typedef enum mg_h2_budget {
    MG_H2_BUDGET_RESETS,   // streams that the peer resets before their answer began (rapid reset)
    MG_H2_BUDGET_PROVOKED, // streams that we have to reset for the peer's faults (MadeYouReset)
    MG_H2_BUDGET_SETTINGS,
    MG_H2_BUDGET_PINGS,
    MG_H2_BUDGET_PRIORITIES, // PRIORITY and PRIORITY_UPDATE
    MG_H2_BUDGET_EMPTY,      // frames without content that end nothing, and unknown ones
    MG_H2_BUDGET_WINDOWS,    // WINDOW_UPDATE
    MG_H2_BUDGETS,
} mg_h2_budget;

// Bytes, unless it says otherwise.
typedef struct mg_h2_limits {
    uint32_t streams;       // that the peer may have open at a time; 0: none (a client's)
    uint32_t request_line;  // method, target and protocol: beyond it 414
    uint32_t header_bytes;  // of a field section as RFC 9113 section 10.5.1 counts: beyond it 431
    uint32_t header_fields; // count, cookie crumbs being one: beyond it 431
    uint32_t trailer_bytes; // beyond it the stream is reset
    uint32_t continuations; // frames that carry one field section: beyond it the connection ends
    uint32_t header_table;  // of the peer's HPACK encoder
    uint32_t encoder_table; // the most that our own uses
    uint32_t window;        // of a stream: what may come that nobody has taken
    uint32_t connection_window;      // of all streams
    uint32_t budgets[MG_H2_BUDGETS]; // tokens of a full bucket; a tenth comes back each second
} mg_h2_limits;

// What the documentation promises. The owner sets sizes as configured on top of it.
extern const mg_h2_limits mg_h2_default_limits;
