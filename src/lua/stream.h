// lua/stream.h: a tunnel (event/tunnel.h) as scripts have it, whatever it came from: a request that
// was taken over (bind_stream.c), a connection that was made or accepted (bind_tcp.c).
//
// Lives until a script ends it, or the peer is gone; its handle is stale then.
#pragma once

#include "event/timer.h"
#include "event/tunnel.h"
#include "lua/inbox.h"
#include "lua/vm.h"

typedef struct mg_script_stream mg_script_stream;
struct mg_script_stream {
    mg_tunnel tunnel;
    mg_vm_hold hold;
    mg_vm *vm;
    uint64_t handle;
    // Told when the peer is gone, before the memory goes. NULL: nobody has to be.
    void (*on_gone)(mg_script_stream *s, mg_gone why);
    uint64_t request; // its handle: what is told of the end; 0: there is none
    mg_inbox in;
    struct mg_script_read *reading; // waits for bytes, or has them and is not told yet
    struct mg_script_room *writing; // waits for the backlog to leave
    size_t burst;                   // written since the loop last turned for this stream
    mg_timer idle;                  // runs if `idle_ms` is not 0
    uint32_t idle_ms;
    uint64_t moved_ms; // when something last came or went
    bool open;         // the tunnel is
    bool paused;
};

// In `vm`, which owns it, with a handle. Not open: `tunnel` is to be given to whoever opens it, and
// `open` to be set then.
mg_script_stream *mg_script_stream_new(mg_vm *vm);

// The one whose handle is `handle`; NULL: it is gone.
mg_script_stream *mg_script_stream_at(const mg_vm *vm, uint64_t handle);

// It is closed once nothing has come or gone for so long; 0: never.
void mg_script_stream_set_idle(mg_script_stream *s, uint32_t idle_ms);

// A connection has come to an endpoint that speaks no HTTP (bind_tcp.c): the scripts get it.
void mg_vm_take_stream(mg_vm *vm, mg_conn *c);

// Frees it, and breaks its tunnel off if that is open.
void mg_script_stream_drop(mg_script_stream *s);
