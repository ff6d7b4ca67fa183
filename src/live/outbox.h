// live/outbox.h: packets that wait for a slow peer, as references, first in first out.
#pragma once

#include "live/packet.h"

#include <stdint.h>

typedef struct mg_outbox mg_outbox;

// All accept a pointer to NULL, an empty one, whose memory is made with the first packet and goes
// with the last.
void mg_outbox_add(mg_outbox **o, mg_packet *p); // keeps a reference

// The first, of which the reference goes to the caller; NULL: it is empty.
mg_packet *mg_outbox_take(mg_outbox **o);

// Bytes of their payloads, and a little for each.
size_t mg_outbox_bytes(const mg_outbox *o);

void mg_outbox_clear(mg_outbox **o);
