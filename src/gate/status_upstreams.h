// gate/status_upstreams.h: what `moongate status` says of upstreams: their servers, how they are
// and why, how many of their tries needed no new connection.
#pragma once

#include "base/buf.h"
#include "base/json.h"

// Appends `,"upstreams":[...]` of all that a worker uses, from `room` (proxy/shared.h); nothing if
// there are none.
void mg_status_append_upstreams(void *room, uint64_t now_ms, mg_buf *out);

// Reads one of these objects, whose opening bracket has been read, and appends lines for people.
void mg_status_read_upstream(mg_json_reader *r, mg_buf *out);
