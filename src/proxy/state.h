// proxy/state.h: how a server is, in a word and a reason, from its cell alone: any process may say
// it.
#pragma once

#include "proxy/shared.h"

// mg_server_cell.draining
enum {
    MG_DRAIN_NOT,
    MG_DRAIN_ASKED, // moongate.upstream():drain
    MG_DRAIN_GONE,  // it is no server of any living set any more
};

enum { MG_STATE_WHY_BYTES = 96 };

// "up", "down", "ejected" or "draining", static; `why` is a sentence without its end, or "".
const char *mg_server_state_text(const mg_server_cell *c, uint64_t now_ms,
                                 char why[MG_STATE_WHY_BYTES]);
