// event/outward.h: a tunnel (event/tunnel.h) over a stream that we opened: by moongate.tcp, by a
// call that was answered with 101.
//
// Lives beside the stream, in the memory of whoever owns that: the owner passes on what the stream
// tells, and is told by `release` that nobody wants the stream any more.
#pragma once

#include "event/stream.h"
#include "event/timer.h"
#include "event/tunnel.h"

typedef struct mg_outward mg_outward;
struct mg_outward {
    mg_stream *stream; // borrowed
    mg_tunnel *tunnel; // NULL: its owner has ended it, and what is queued still leaves
    // The stream is to be closed. Once; the memory may go with it. Nothing is passed on behind it.
    void (*release)(mg_outward *o, bool reset);
    mg_timer linger;
    size_t untaken; // bytes, when `linger` was started
    bool fin;       // the peer's
    bool shut;      // nothing is sent any more
    bool released;
};

// `t`, whose events are set, is the stream's from now on, which reads. Zeroed but for `release`.
// Events may come in the next turn.
void mg_outward_open(mg_outward *o, mg_stream *stream, mg_tunnel *t);

// What the stream tells (mg_stream_events). Each may be the last that `o` sees.
void mg_outward_read(mg_outward *o, const char *data, size_t n);
void mg_outward_ended(mg_outward *o, int status);
void mg_outward_drained(mg_outward *o, int status);

// The stream goes, whatever its tunnel's owner wants, who is told. `release` does not come.
void mg_outward_drop(mg_outward *o);
