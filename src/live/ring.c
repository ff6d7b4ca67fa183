#include "live/ring.h"

#include "base/mem.h"
#include "event/poll.h"
#include "live/presence.h"
#include "live/ring_room.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    BURST_BYTES = 512 * 1024, // that are read before the loop turns
    KEPT_BYTES = 64 * 1024,   // of the copy's memory, between messages
};

// A worker's part of the room.
typedef struct place {
    mg_presence presence;
    mg_ring_room ring;
} place;

typedef struct room {
    _Alignas(4096) uint64_t seed[2];
    _Atomic uint32_t places; // that were ever used: those behind need not be looked at
    place at[MG_SHM_CELLS];
} room;

_Static_assert(sizeof(room) <= MG_SHM_LIVE_BYTES, "the room is large enough");

struct mg_ring {
    mg_loop *loop;
    room *room;
    uint32_t own;
    uint32_t reach;        // that many places have been used at least
    mg_ring_writer writer; // of the own one
    uint64_t seed[2];      // not read again: somebody may scribble on it
    mg_poll *poll;         // of this worker's waker
    const mg_ring_events *events;
    void *arg;
    void (*on_lost)(void *arg, uint32_t place, uint64_t lost);
    void *lost_arg;
    uint64_t lost;
    bool reading;
    mg_buf copy;
    int wakers[MG_SHM_CELLS]; // -1: none
    mg_ring_reader readers[MG_SHM_CELLS];
};

static uint32_t places_of(const mg_ring *r) {
    uint32_t n = atomic_load_explicit(&r->room->places, memory_order_acquire);
    return n < r->reach ? r->reach : n < MG_SHM_CELLS ? n : MG_SHM_CELLS;
}

static void reach(mg_ring *r, uint32_t places) {
    r->reach = places > r->reach ? places : r->reach;
}

static void be_counted(mg_ring *r) {
    uint32_t seen = atomic_load(&r->room->places);
    while ((seen < r->reach || seen > MG_SHM_CELLS) &&
           !atomic_compare_exchange_weak(&r->room->places, &seen, r->reach)) {
    }
}

// --- waking ---

static void wake(const mg_ring *r, uint32_t i) {
    static const uint64_t one = 1;
    if (r->wakers[i] >= 0 && atomic_exchange(&r->room->at[i].ring.woken, 1) == 0) {
        ssize_t n = write(r->wakers[i], &one, sizeof one);
        (void)n; // full: it has been woken often enough
    }
}

// --- reading ---

static void tell(mg_ring *r, mg_ring_reader *reader, const mg_ring_room *from,
                 const mg_ring_head *h) {
    mg_str topic;
    mg_publication m;
    bool wanted = r->events != NULL && r->events->is_wanted(r->arg, h->hash);
    if (!mg_ring_take(from, reader, h, wanted ? &r->copy : NULL, &topic, &m)) {
        return; // the next look finds out how many are lost
    }
    if (wanted) {
        r->events->on_message(r->arg, topic, &m);
    }
    if (r->copy.cap > KEPT_BYTES) {
        mg_buf_deinit(&r->copy);
    }
}

// Returns the bytes that are left of `budget`.
static size_t read_place(mg_ring *r, uint32_t i, size_t budget) {
    const mg_ring_room *from = &r->room->at[i].ring;
    uint64_t lost = 0;
    mg_ring_head h;
    mg_ring_found found;
    while (budget > 0 &&
           (found = mg_ring_peek(from, &r->readers[i], &h, &lost)) != MG_RING_NOTHING) {
        if (found == MG_RING_MESSAGE) {
            tell(r, &r->readers[i], from, &h);
            size_t bytes = (size_t)h.words * sizeof(uint64_t);
            budget -= bytes < budget ? bytes : budget;
        }
    }
    r->lost += lost;
    if (lost > 0 && r->on_lost != NULL) {
        r->on_lost(r->lost_arg, i, lost);
    }
    return budget;
}

// False: there is more.
static bool read_all(mg_ring *r, size_t budget) {
    uint32_t n = places_of(r);
    r->reading = true;
    for (uint32_t i = 0; i < n && budget > 0; i++) {
        budget = i != r->own ? read_place(r, i, budget) : budget;
    }
    r->reading = false;
    return budget > 0;
}

// What is published behind this store wakes it again; what was before is read now.
static void on_woken(void *arg, int events) {
    mg_ring *r = arg;
    uint64_t count;
    (void)events;
    ssize_t n = read(r->wakers[r->own], &count, sizeof count);
    (void)n; // it was read already
    atomic_store(&r->room->at[r->own].ring.woken, 0);
    if (!read_all(r, BURST_BYTES)) {
        wake(r, r->own);
    }
}

void mg_ring_catch_up(mg_ring *r) {
    atomic_thread_fence(memory_order_seq_cst);
    if (!r->reading) {
        (void)read_all(r, SIZE_MAX);
    }
}

// --- publishing ---

static bool subscribes(const mg_ring *r, uint32_t i, uint64_t hash) {
    mg_presence_answer a = mg_presence_of(&r->room->at[i].presence, hash);
    return a.count > 0 || !a.sure;
}

static bool anybody_subscribes(const mg_ring *r, uint64_t hash) {
    uint32_t n = places_of(r);
    for (uint32_t i = 0; i < n; i++) {
        if (i != r->own && subscribes(r, i, hash)) {
            return true;
        }
    }
    return false;
}

// Who subscribes while this writes either finds the message, or is found by the second look.
void mg_ring_publish(mg_ring *r, uint64_t hash, mg_str topic, const mg_publication *m) {
    if (!anybody_subscribes(r, hash)) {
        return;
    }
    mg_ring_write(&r->room->at[r->own].ring, &r->writer, hash, topic, m);
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t n = places_of(r);
    for (uint32_t i = 0; i < n; i++) {
        if (i != r->own && subscribes(r, i, hash)) {
            wake(r, i);
        }
    }
}

// --- who is there ---

void mg_ring_set_count(mg_ring *r, uint64_t hash, uint32_t count) {
    (void)mg_presence_set(&r->room->at[r->own].presence, hash, count);
}

uint64_t mg_ring_count(const mg_ring *r, uint64_t hash) {
    uint32_t n = places_of(r);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += i != r->own ? mg_presence_of(&r->room->at[i].presence, hash).count : 0;
    }
    return sum;
}

bool mg_ring_has_counts(const mg_ring *r, uint32_t topics) {
    return mg_presence_used(&r->room->at[r->own].presence) == topics;
}

bool mg_ring_has_count(const mg_ring *r, uint64_t hash, uint32_t count) {
    return mg_presence_of(&r->room->at[r->own].presence, hash).count == count;
}

void mg_ring_forget_counts(mg_ring *r) {
    mg_presence_wipe(&r->room->at[r->own].presence);
}

void mg_ring_mend(mg_ring *r) {
    be_counted(r);
    mg_ring_tell(&r->room->at[r->own].ring, &r->writer);
    atomic_store(&r->room->at[r->own].ring.woken, 0);
    mg_ring_catch_up(r);
}

uint64_t mg_ring_lost(const mg_ring *r) {
    return r->lost;
}

void mg_ring_seed(mg_ring *r, uint64_t out[2]) {
    memcpy(out, r->seed, sizeof r->seed);
}

// --- life ---

static void join(mg_ring *r) {
    reach(r, r->own + 1);
    be_counted(r);
    mg_ring_settle(&r->room->at[r->own].ring, &r->writer);
    atomic_store(&r->room->at[r->own].ring.woken, 0);
    mg_presence_wipe(&r->room->at[r->own].presence);
}

mg_ring *mg_ring_new(mg_loop *loop, mg_shm *shm, uint32_t own) {
    mg_ring *r = mg_calloc(1, sizeof *r);
    r->loop = loop;
    r->room = mg_shm_live(shm);
    r->own = own;
    memcpy(r->seed, r->room->seed, sizeof r->seed);
    for (uint32_t i = 0; i < MG_SHM_CELLS; i++) {
        r->wakers[i] = -1;
    }
    join(r);
    for (uint32_t i = 0; i < places_of(r); i++) { // the others begin with nothing, as these readers
        mg_ring_join(&r->room->at[i].ring, &r->readers[i]);
    }
    return r;
}

void mg_ring_free(mg_ring *r) {
    if (r == NULL) {
        return;
    }
    mg_poll_close(r->poll);
    mg_presence_wipe(&r->room->at[r->own].presence);
    for (uint32_t i = 0; i < MG_SHM_CELLS; i++) {
        if (r->wakers[i] >= 0) {
            close(r->wakers[i]);
        }
    }
    mg_buf_deinit(&r->copy);
    mg_free(r);
}

void mg_ring_set_events(mg_ring *r, const mg_ring_events *events, void *arg) {
    r->events = events;
    r->arg = arg;
}

void mg_ring_on_lost(mg_ring *r, void (*on_lost)(void *arg, uint32_t place, uint64_t lost),
                     void *arg) {
    r->on_lost = on_lost;
    r->lost_arg = arg;
}

int mg_ring_set_waker(mg_ring *r, uint32_t i, int fd) {
    if (i >= MG_SHM_CELLS || r->wakers[i] >= 0) {
        close(fd);
        return MG_ELIMIT;
    }
    r->wakers[i] = fd;
    reach(r, i + 1);
    if (i != r->own) {
        return MG_OK;
    }
    int rc = mg_poll_open(&r->poll, r->loop, fd, on_woken, r);
    if (rc == MG_OK) {
        mg_poll_idle(r->poll, true);
        rc = mg_poll_want(r->poll, MG_POLL_READ);
    }
    return rc;
}

// --- the master's part ---

void mg_ring_draw(uint64_t seed[2]) {
    size_t bytes = 2 * sizeof *seed;
    if (getrandom(seed, bytes, 0) != (ssize_t)bytes) {
        abort(); // the kernel has no randomness to give: nothing is safe
    }
}

void mg_ring_prepare(mg_shm *shm, const uint64_t seed[2]) {
    room *m = mg_shm_live(shm);
    memcpy(m->seed, seed, sizeof m->seed);
}

void mg_ring_forget_worker(mg_shm *shm, uint32_t i) {
    room *m = mg_shm_live(shm);
    if (i < atomic_load(&m->places)) {
        mg_presence_wipe(&m->at[i].presence);
    }
}
