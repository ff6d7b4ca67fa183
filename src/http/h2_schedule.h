// http/h2_schedule.h: whose content goes next over a connection of HTTP/2 (RFC 9218).
//
// The lower urgency number first. Streams that said nothing, and incremental ones, take turns frame
// by frame; the others of the same urgency follow each other.
#pragma once

#include "http/h2.h"

// `s` has content to send, or (false) has not: it takes part, or not. Closing a stream ends it too.
void mg_h2_want(mg_h2 *h, mg_h2_stream *s, bool wants);

// Whose turn it is among those that want, and have window; `*room` is how much content its next
// frame may carry, at least 1. NULL: nobody's.
mg_h2_stream *mg_h2_next(mg_h2 *h, size_t *room);

// Reads a Priority field or the text of a PRIORITY_UPDATE; what is not understood counts for
// nothing.
void mg_h2_prioritize(mg_h2 *h, mg_h2_stream *s, mg_str value);

// For http/h2* alone: the window of `s` has changed; a frame of its content was sent.
void mg_h2_schedule_window(mg_h2 *h, mg_h2_stream *s);
void mg_h2_schedule_sent(mg_h2 *h, mg_h2_stream *s);
