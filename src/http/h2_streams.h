// http/h2_streams.h: the streams of a connection of HTTP/2: those that are open, and what may still
// come for those that were. For http/h2* alone.
#pragma once

#include "http/h2.h"

// NULL: it is not open.
mg_h2_stream *mg_h2_find(const mg_h2 *h, uint32_t id);

// `s->id` is higher than all.
void mg_h2_add(mg_h2 *h, mg_h2_stream *s);

// How a stream was closed that is not open.
typedef enum mg_h2_how {
    MG_H2_WAS_ENDED,   // the peer ended it: nothing more may come
    MG_H2_WAS_RESET,   // the peer reset it: nothing more may come
    MG_H2_WAS_OURS,    // we did: what was on its way may come
    MG_H2_WAS_UNKNOWN, // long ago, or it never was open
} mg_h2_how;

// Takes it out, off the schedule too, and forgets it but for how it was closed: whoever lent it may
// have it back. What was stored of it is the connection's again.
void mg_h2_remove(mg_h2 *h, mg_h2_stream *s, mg_h2_how how);

// That one is not open, and was closed so.
void mg_h2_remember(mg_h2 *h, uint32_t id, mg_h2_how how);
mg_h2_how mg_h2_how_closed(const mg_h2 *h, uint32_t id);

// Whether it has never been open, and no later one of that side either.
bool mg_h2_is_idle(const mg_h2 *h, uint32_t id);
