#include "http/h2_limits.h"

#include "http/h2_frame.h"

// The budgets: what a browser does at its worst, times several. A page with a thousand pictures
// that is scrolled through and left resets and reprioritizes each of them; a client that reads
// slowly gives windows in small coin; a gRPC client measures with a PING each round trip. What goes
// with content that is sent is earned besides (http/h2_control).
const mg_h2_limits mg_h2_default_limits = {
    .streams = 100,
    .request_line = 8 << 10,
    .header_bytes = 32 << 10,
    .header_fields = 100,
    .trailer_bytes = 16 << 10,
    .continuations = 64,
    .header_table = MG_H2_TABLE,
    .encoder_table = MG_H2_TABLE,
    .window = 64 << 10,
    .connection_window = 1 << 20,
    .budgets =
        {
            [MG_H2_BUDGET_RESETS] = {.burst = 2000, .per_second = 200},
            [MG_H2_BUDGET_PROVOKED] = {.burst = 500, .per_second = 50},
            [MG_H2_BUDGET_SETTINGS] = {.burst = 100, .per_second = 10},
            [MG_H2_BUDGET_PINGS] = {.burst = 1000, .per_second = 100},
            [MG_H2_BUDGET_PRIORITIES] = {.burst = 5000, .per_second = 500},
            [MG_H2_BUDGET_EMPTY] = {.burst = 1000, .per_second = 100},
            [MG_H2_BUDGET_WINDOWS] = {.burst = 10000, .per_second = 1000},
        },
};
