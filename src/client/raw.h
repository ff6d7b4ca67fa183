// client/raw.h: a stream to another server that is no call: bytes both ways, for moongate.tcp.
//
// With the client's names, certificates and rules. An mg_raw owns the way to it until on_done; then
// the tunnel's owner has it, and it goes with that. With the client it ends, open or not.
#pragma once

#include "client/client.h"
#include "event/tunnel.h"

typedef struct mg_raw mg_raw;

typedef struct mg_raw_options {
    mg_call_origin origin; // `prelude` is not heeded
    mg_str alpn;           // offered, "a,b"; empty: nothing
    uint32_t timeout_ms;   // for name, dial and handshake; 0: none
    // Comes exactly once, unless it is cancelled or the client is freed; never inside mg_raw_open.
    // NULL: `tunnel` is open, else why it is not. The fault is borrowed for the call.
    void (*on_done)(void *arg, const mg_call_fault *fault);
    void *arg;
    mg_tunnel *tunnel; // borrowed, its events are set
} mg_raw_options;

// Texts are copied. NULL: no more descriptors may be opened.
mg_raw *mg_raw_open(mg_client *c, const mg_raw_options *o);

// Not to be called after on_done. Accepts NULL.
void mg_raw_cancel(mg_raw *r);
