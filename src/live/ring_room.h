// live/ring_room.h: one worker's ring, as it lies in the shared memory: writing it, and reading it
// while it is written. It owns nothing. For live/ring.c and its tests.
//
// Positions count words and only grow; a word's place is its position modulo the ring's size.
// Messages lie between `tail` and `head`, each a header of four words and its bytes.
#pragma once

#include "live/packet.h"

#include <stdatomic.h>

enum {
    MG_RING_WORDS = 1 << 17, // 1 MiB
    MG_RING_HEADER = 4,      // words
};

typedef struct mg_ring_room {
    _Alignas(4096) _Atomic uint64_t head; // where the next message begins
    _Atomic uint64_t tail;                // where the oldest one does
    _Atomic uint64_t sequence;            // of the next message
    _Atomic uint32_t woken;               // its worker has been woken, and has not looked since
    _Alignas(4096) _Atomic uint64_t words[MG_RING_WORDS];
} mg_ring_room;

// Where its worker stands. What lies in the room is a copy, for who reads: somebody may scribble on
// it.
typedef struct mg_ring_writer {
    uint64_t head, tail, sequence;
} mg_ring_writer;

// Who reads a ring, and how far it has come.
typedef struct mg_ring_reader {
    uint64_t at;
    uint64_t sequence; // of the message that is expected
} mg_ring_reader;

typedef struct mg_ring_head {
    uint64_t hash;
    uint64_t sequence;
    uint32_t words; // of the whole message
    uint32_t payload;
    uint16_t topic, event, id;
    mg_packet_kind kind;
} mg_ring_head;

typedef enum mg_ring_found {
    MG_RING_NOTHING,
    MG_RING_MESSAGE,
    MG_RING_OVERTAKEN, // some were lost: `reader` is at the oldest that is left
} mg_ring_found;

// By its worker alone.
void mg_ring_write(mg_ring_room *r, mg_ring_writer *writer, uint64_t hash, mg_str topic,
                   const mg_publication *m);

// By its worker when it begins: whatever another one was at when it died is settled.
void mg_ring_settle(mg_ring_room *r, mg_ring_writer *writer);

// By its worker: the copy is what it should be, again.
void mg_ring_tell(mg_ring_room *r, const mg_ring_writer *writer);

// What is published from now on.
void mg_ring_join(const mg_ring_room *r, mg_ring_reader *reader);

// Looks at the next message, without taking it. `lost` is added to.
mg_ring_found mg_ring_peek(const mg_ring_room *r, mg_ring_reader *reader, mg_ring_head *h,
                           uint64_t *lost);

// Takes the message that was looked at. With `out` its texts are copied there, and `topic` and `m`
// borrow from it. False: it was overwritten meanwhile, and is lost.
bool mg_ring_take(const mg_ring_room *r, mg_ring_reader *reader, const mg_ring_head *h, mg_buf *out,
                  mg_str *topic, mg_publication *m);
