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
    .encoder_table = 1 << 10,
    .window = 64 << 10,
    .connection_window = 1 << 20,
    .budgets =
        {
            [MG_H2_BUDGET_RESETS] = 2000,
            [MG_H2_BUDGET_PROVOKED] = 500,
            [MG_H2_BUDGET_SETTINGS] = 100,
            [MG_H2_BUDGET_PINGS] = 1000,
            [MG_H2_BUDGET_PRIORITIES] = 5000,
            [MG_H2_BUDGET_EMPTY] = 1000,
            [MG_H2_BUDGET_WINDOWS] = 10000,
        },
};
