// event/ticket_ring.h: the keys that session tickets are sealed with, shared by all processes.
//
// A ring lies in memory that master and workers share. The master alone writes it. Four keys: one
// that seals, two older ones that still open, and one that opens already and will be the next to
// seal, so that no worker meets a ticket of a key that it has not seen. Readers may see a slot
// being overwritten: the ticket's own authentication fails then, and a full handshake follows.
#pragma once

#include "base/error.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { MG_TICKET_KEYS = 4, MG_TICKET_KEY_BYTES = 80 };

typedef struct mg_ticket_key {
    unsigned char name[16]; // in clear at the front of a ticket
    unsigned char hmac[32];
    unsigned char aes[32];
} mg_ticket_key;

// Zeroed: no key yet.
typedef struct mg_ticket_ring {
    _Atomic uint64_t turns; // 0: no key yet
    mg_ticket_key keys[MG_TICKET_KEYS];
} mg_ticket_ring;

// Fills all slots with random keys. -EIO: there is no randomness; nothing has changed.
int mg_ticket_ring_begin(mg_ticket_ring *r);

// The announced key seals from now on, a fresh one is announced, the oldest is gone. -EIO likewise.
int mg_ticket_ring_rotate(mg_ticket_ring *r);

// Keys that an operator gives: lines of 80 random bytes in hex, at most four. The first seals,
// all open. MG_ECONFIG and a text that names `file`.
int mg_ticket_keys_read(mg_ticket_ring *out, mg_str text, const char *file, mg_error *err);

// The key that seals; NULL: there is none.
const mg_ticket_key *mg_ticket_ring_sealing(const mg_ticket_ring *r);

// The key of that name, or NULL. `*renew`: it is not the one that seals now.
const mg_ticket_key *mg_ticket_ring_find(const mg_ticket_ring *r, const unsigned char name[16],
                                         bool *renew);
