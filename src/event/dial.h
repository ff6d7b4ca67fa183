// event/dial.h: connects to the first of several addresses that answers (RFC 8305, Happy Eyeballs).
//
// Owns the sockets under way. The winner is handed over; all others are closed.
#pragma once

#include "event/loop.h"

#include <stddef.h>
#include <sys/socket.h>

typedef struct mg_dial mg_dial;

enum { MG_DIAL_STAGGER_MS = 250 }; // before the next address is tried beside the one under way

// Tries `n` (> 0) addresses (copied; port set; Unix addresses too), families taking turns beginning
// with that of the first, each next one MG_DIAL_STAGGER_MS after the one before or at once if that
// failed; a Unix socket whose queue is full is tried until it is not. `on_done(arg, status, fd)`
// comes exactly once, never inside this call: status 0 and a connected socket (non-blocking,
// close-on-exec, TCP_NODELAY), which is the callee's; or, once all have failed, the errno of the
// first. There is no time limit here: the caller has a timer.
int mg_dial_start(mg_dial **out, mg_loop *loop, const struct sockaddr_storage *addresses, size_t n,
                  void (*on_done)(void *arg, int status, int fd), void *arg);

// Closes all; no call comes after this. Not to be called after on_done. Accepts NULL.
void mg_dial_cancel(mg_dial *d);
