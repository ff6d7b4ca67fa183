// live/ring.h: what workers of one node publish to each other: a ring of messages for each worker
// in the shared memory, which that worker alone writes and all others read.
//
// Who writes never waits: what is oldest is overwritten. Who reads too slowly (it is stuck, or
// stopped) finds that it was overtaken, goes on with the oldest message that is left, and counts
// what it lost. A worker is woken by its eventfd, and only if it has subscribers of the topic
// (live/presence.h); one that is woken already is not woken again.
//
// A process may die at any instruction, and what it leaves in its ring is judged by who reads it:
// lengths that cannot be are skipped with all that is there.
#pragma once

#include "base/shm.h"
#include "event/loop.h"
#include "live/packet.h"

typedef struct mg_ring mg_ring;

enum { MG_RING_MESSAGE_MAX = 256 * 1024 }; // of one message, with its texts

typedef struct mg_ring_events {
    // Whether a topic's message is worth copying.
    bool (*is_wanted)(void *arg, uint64_t hash);
    void (*on_message)(void *arg, mg_str topic, const mg_publication *m); // borrowed
} mg_ring_events;

// A view for the worker of `place`; what others publish from now on is read. Borrows both.
mg_ring *mg_ring_new(mg_loop *loop, mg_shm *shm, uint32_t place);
void mg_ring_free(mg_ring *r); // its topics are wiped. Accepts NULL

void mg_ring_set_events(mg_ring *r, const mg_ring_events *events, void *arg);

// `lost` messages of the worker of `place` came too fast. NULL: nobody is told.
void mg_ring_on_lost(mg_ring *r, void (*on_lost)(void *arg, uint32_t place, uint64_t lost),
                     void *arg);

// The eventfd that wakes the worker of `place`, or this one; taken, and closed with the ring. A
// negative code if it cannot be watched.
int mg_ring_set_waker(mg_ring *r, uint32_t place, int fd);

// The seed of all workers' hashes of names.
void mg_ring_seed(mg_ring *r, uint64_t out[2]);

// How many of this worker subscribe to a topic. 0: none any more.
void mg_ring_set_count(mg_ring *r, uint64_t hash, uint32_t count);

// What others see of that may have been scribbled on: so many topics have subscribers, and this one
// so many, as far as they see; all is to be said anew.
bool mg_ring_has_counts(const mg_ring *r, uint32_t topics);
bool mg_ring_has_count(const mg_ring *r, uint64_t hash, uint32_t count);
void mg_ring_forget_counts(mg_ring *r);

// How many of all other workers do.
uint64_t mg_ring_count(const mg_ring *r, uint64_t hash);

// To all other workers that subscribe. At most MG_RING_MESSAGE_MAX bytes; each text that is not the
// payload has less than 64 KiB.
void mg_ring_publish(mg_ring *r, uint64_t hash, mg_str topic, const mg_publication *m);

// Reads what has come up to now.
void mg_ring_catch_up(mg_ring *r);

uint64_t mg_ring_lost(const mg_ring *r);

// What the others need to see of this worker's ring is as it should be, and what they published is
// read, though somebody has scribbled there. From time to time.
void mg_ring_mend(mg_ring *r);

// For the master: draws the seed, which is the same for all workers of this memory; writes it
// there, before each worker that begins; and of a worker that died, forgets its topics.
void mg_ring_draw(uint64_t seed[2]);
void mg_ring_prepare(mg_shm *shm, const uint64_t seed[2]);
void mg_ring_forget_worker(mg_shm *shm, uint32_t place);
