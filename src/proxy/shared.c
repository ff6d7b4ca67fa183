#include "proxy/shared.h"

#include "base/mem.h"
#include "base/shm.h"

#include <assert.h>
#include <string.h>

enum {
    PATIENCE = 400, // tries of the lock, some 20 ms: whoever has it looks through a table
    NOBODY = 0,     // a key
};

// What one worker writes; the master wipes it.
typedef struct row {
    _Alignas(64) mg_server_counts servers[MG_SHARED_SERVERS];
    mg_upstream_counts upstreams[MG_SHARED_UPSTREAMS];
    _Atomic uint16_t holds_servers[MG_SHARED_SERVERS]; // how often it holds each
    _Atomic uint16_t holds_upstreams[MG_SHARED_UPSTREAMS];
} row;

typedef struct room {
    mg_lock claiming;
    _Atomic uint32_t workers; // rows that were ever used
    _Alignas(64) _Atomic uint64_t server_keys[MG_SHARED_SERVERS];
    _Atomic uint64_t upstream_keys[MG_SHARED_UPSTREAMS];
    _Alignas(64) mg_server_cell servers[MG_SHARED_SERVERS];
    _Alignas(64) mg_upstream_cell upstreams[MG_SHARED_UPSTREAMS];
    _Alignas(64) row rows[];
} room;

_Static_assert(sizeof(room) + MG_SHARED_WORKERS * sizeof(row) <= MG_SHM_PROXY_BYTES,
               "the mapping has no room for it");

struct mg_shared {
    room *room;
    row *own;
    void *memory; // of a room of this process alone; NULL: it is shared
};

// What is the same for servers and upstreams: keys, and who holds what.
typedef struct table {
    _Atomic uint64_t *keys;
    uint32_t places;
    size_t holds_at; // in a row
    size_t counts_at, counts_bytes;
    char *cells;
    size_t cell_bytes;
} table;

static table servers_of(room *r) {
    return (table){.keys = r->server_keys,
                   .places = MG_SHARED_SERVERS,
                   .holds_at = offsetof(row, holds_servers),
                   .counts_at = offsetof(row, servers),
                   .counts_bytes = sizeof(mg_server_counts),
                   .cells = (char *)r->servers,
                   .cell_bytes = sizeof(mg_server_cell)};
}

static table upstreams_of(room *r) {
    return (table){.keys = r->upstream_keys,
                   .places = MG_SHARED_UPSTREAMS,
                   .holds_at = offsetof(row, holds_upstreams),
                   .counts_at = offsetof(row, upstreams),
                   .counts_bytes = sizeof(mg_upstream_counts),
                   .cells = (char *)r->upstreams,
                   .cell_bytes = sizeof(mg_upstream_cell)};
}

static _Atomic uint16_t *holds(const table *t, row *w, uint32_t place) {
    return (_Atomic uint16_t *)(void *)((char *)w + t->holds_at) + place;
}

static void *counts(const table *t, row *w, uint32_t place) {
    return (char *)w + t->counts_at + place * t->counts_bytes;
}

static void *cell(const table *t, uint32_t place) {
    return t->cells + place * t->cell_bytes;
}

static uint32_t workers_of(const room *r) {
    uint32_t n = atomic_load_explicit(&r->workers, memory_order_acquire);
    return n <= MG_SHARED_WORKERS ? n : MG_SHARED_WORKERS;
}

// --- a view ---

size_t mg_shared_bytes(void) {
    return sizeof(room) + MG_SHARED_WORKERS * sizeof(row);
}

static void be_counted(room *r, uint32_t worker) {
    uint32_t seen = atomic_load(&r->workers);
    while (seen <= worker && !atomic_compare_exchange_weak(&r->workers, &seen, worker + 1)) {
    }
}

// Zeros, with one row, aligned as the mapping is.
static room *private_room(mg_shared *s) {
    size_t align = _Alignof(room);
    s->memory = mg_calloc(1, sizeof(room) + sizeof(row) + align);
    char *at = s->memory;
    return (void *)(at + (align - (uintptr_t)at % align));
}

mg_shared *mg_shared_new(void *memory, uint32_t worker) {
    assert(worker < MG_SHARED_WORKERS);
    mg_shared *s = mg_calloc(1, sizeof *s);
    worker = memory == NULL ? 0 : worker;
    s->room = memory == NULL ? private_room(s) : memory;
    s->own = &s->room->rows[worker];
    be_counted(s->room, worker);
    return s;
}

void mg_shared_free(mg_shared *s) {
    if (s != NULL) {
        mg_free(s->memory);
    }
    mg_free(s);
}

// --- keys ---

static uint64_t mix(uint64_t h, mg_str s) {
    for (size_t i = 0; i < s.n; i++) { // FNV-1a
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    }
    return (h ^ 0x100u) * 0x100000001b3u; // an end that no byte is
}

static uint64_t key_of(mg_str name, mg_str address) {
    uint64_t h = mix(mix(0xcbf29ce484222325u, name), address);
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    return h == NOBODY ? 1 : h;
}

// --- places ---

static bool is_held(room *r, const table *t, uint32_t place) {
    uint32_t n = workers_of(r);
    for (uint32_t i = 0; i < n; i++) {
        if (atomic_load_explicit(holds(t, &r->rows[i], place), memory_order_acquire) != 0) {
            return true;
        }
    }
    return false;
}

static uint32_t place_of(const table *t, uint64_t key) {
    uint32_t i = 0;
    while (i < t->places && atomic_load_explicit(&t->keys[i], memory_order_acquire) != key) {
        i++;
    }
    return i;
}

static uint32_t unheld_place(room *r, const table *t) {
    uint32_t i = 0;
    while (i < t->places && is_held(r, t, i)) {
        i++;
    }
    return i;
}

// Nobody holds it, and under the lock nobody begins to. It has no name until the last word is
// written: whoever dies before has changed nothing that is found.
static void begin_cell(room *r, const table *t, uint32_t place) {
    atomic_store(&t->keys[place], NOBODY);
    memset(cell(t, place), 0, t->cell_bytes);
    uint32_t n = workers_of(r);
    for (uint32_t i = 0; i < n; i++) {
        memset(counts(t, &r->rows[i], place), 0, t->counts_bytes);
    }
}

static void write_text(char *to, size_t room_bytes, mg_str text) {
    size_t n = text.n < room_bytes ? text.n : room_bytes - 1;
    memcpy(to, text.p, n);
    to[n] = '\0';
}

static void write_server(void *at, mg_str upstream, mg_str address) {
    mg_server_cell *c = at;
    write_text(c->upstream, sizeof c->upstream, upstream);
    write_text(c->address, sizeof c->address, address);
}

static void write_upstream(void *at, mg_str name, mg_str nothing) {
    mg_upstream_cell *c = at;
    (void)nothing;
    write_text(c->name, sizeof c->name, name);
}

typedef void (*write_cb)(void *cell, mg_str name, mg_str address);

// Under the lock.
static uint32_t claim(mg_shared *s, const table *t, mg_str name, mg_str address, write_cb write) {
    uint64_t key = key_of(name, address);
    uint32_t place = place_of(t, key);
    if (place == t->places) {
        place = place_of(t, NOBODY);
        place = place < t->places ? place : unheld_place(s->room, t);
        if (place == t->places) {
            return place;
        }
        begin_cell(s->room, t, place);
        write(cell(t, place), name, address);
        atomic_store_explicit(&t->keys[place], key, memory_order_release);
    }
    _Atomic uint16_t *own = holds(t, s->own, place);
    uint16_t held = atomic_load_explicit(own, memory_order_relaxed);
    assert(held < UINT16_MAX);
    atomic_store_explicit(own, (uint16_t)(held + 1), memory_order_release);
    return place;
}

// What a holder that died left half done needs no mending: a place without a key is begun anew.
static bool lock(mg_shared *s) {
    for (int i = 0; i < PATIENCE; i++) {
        if (mg_lock_take(&s->room->claiming) != MG_LOCK_BUSY) {
            return true;
        }
    }
    return false;
}

static uint32_t hold(mg_shared *s, const table *t, mg_str name, mg_str address, write_cb write) {
    if (!lock(s)) {
        return t->places;
    }
    uint32_t place = claim(s, t, name, address, write);
    mg_lock_drop(&s->room->claiming);
    return place;
}

static void drop(mg_shared *s, const table *t, uint32_t place) {
    _Atomic uint16_t *own = holds(t, s->own, place);
    uint16_t held = atomic_load_explicit(own, memory_order_relaxed);
    assert(held > 0);
    atomic_store_explicit(own, (uint16_t)(held - 1), memory_order_release);
}

// --- holds ---

void mg_shared_hold_private(mg_shared *s, mg_str upstream, mg_str address, mg_server_hold *h) {
    *h = (mg_server_hold){
        .shared = s,
        .cell = mg_calloc(1, sizeof *h->cell),
        .own = mg_calloc(1, sizeof *h->own),
        .place = MG_SHARED_SERVERS,
    };
    write_server(h->cell, upstream, address);
}

bool mg_shared_hold_server(mg_shared *s, mg_str upstream, mg_str address, mg_server_hold *h) {
    table t = servers_of(s->room);
    *h = (mg_server_hold){.shared = s, .place = hold(s, &t, upstream, address, write_server)};
    if (h->place == t.places) {
        mg_shared_hold_private(s, upstream, address, h);
        return false;
    }
    h->cell = cell(&t, h->place);
    h->own = counts(&t, s->own, h->place);
    return true;
}

bool mg_shared_hold_upstream(mg_shared *s, mg_str name, mg_upstream_hold *h) {
    table t = upstreams_of(s->room);
    *h = (mg_upstream_hold){.shared = s, .place = hold(s, &t, name, (mg_str){0}, write_upstream)};
    if (h->place == t.places) {
        h->cell = mg_calloc(1, sizeof *h->cell);
        h->own = mg_calloc(1, sizeof *h->own);
        write_upstream(h->cell, name, (mg_str){0});
        return false;
    }
    h->cell = cell(&t, h->place);
    h->own = counts(&t, s->own, h->place);
    return true;
}

void mg_shared_drop_server(mg_server_hold *h) {
    table t = servers_of(h->shared->room);
    if (h->place < t.places) {
        drop(h->shared, &t, h->place);
    } else {
        mg_free(h->cell);
        mg_free(h->own);
    }
    *h = (mg_server_hold){0};
}

void mg_shared_drop_upstream(mg_upstream_hold *h) {
    table t = upstreams_of(h->shared->room);
    if (h->place < t.places) {
        drop(h->shared, &t, h->place);
    } else {
        mg_free(h->cell);
        mg_free(h->own);
    }
    *h = (mg_upstream_hold){0};
}

// --- sums ---

static uint64_t total(const _Atomic uint64_t *n) {
    return atomic_load_explicit(n, memory_order_relaxed);
}

uint32_t mg_server_in_flight(const mg_server_hold *h) {
    if (h->place == MG_SHARED_SERVERS) {
        return mg_count_of(&h->own->in_flight);
    }
    room *r = h->shared->room;
    uint32_t n = workers_of(r);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += mg_count_of(&r->rows[i].servers[h->place].in_flight);
    }
    return sum;
}

uint32_t mg_server_members(const mg_server_hold *h) {
    if (h->place == MG_SHARED_SERVERS) {
        return mg_count_of(&h->own->members);
    }
    room *r = h->shared->room;
    uint32_t n = workers_of(r);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += mg_count_of(&r->rows[i].servers[h->place].members);
    }
    return sum;
}

static void add_now(mg_upstream_sums *to, const mg_upstream_counts *from) {
    to->in_flight += mg_count_of(&from->in_flight);
    to->waiting += mg_count_of(&from->waiting);
    to->extra += mg_count_of(&from->extra);
}

mg_upstream_sums mg_upstream_sum(const mg_upstream_hold *h) {
    mg_upstream_sums sums = {0};
    if (h->place == MG_SHARED_UPSTREAMS) {
        add_now(&sums, h->own);
        return sums;
    }
    room *r = h->shared->room;
    uint32_t n = workers_of(r);
    for (uint32_t i = 0; i < n; i++) {
        add_now(&sums, &r->rows[i].upstreams[h->place]);
    }
    return sums;
}

// --- the master's part ---

static void forget_holds(const table *t, row *w) {
    for (uint32_t i = 0; i < t->places; i++) {
        atomic_store_explicit(holds(t, w, i), 0, memory_order_release);
    }
}

// Counts first: a place that is held by nobody may be given to another server.
void mg_shared_forget_worker(void *memory, uint32_t worker) {
    room *r = memory;
    if (worker >= workers_of(r)) {
        return; // it has not come so far; its row is as it was
    }
    row *w = &r->rows[worker];
    for (uint32_t i = 0; i < MG_SHARED_SERVERS; i++) {
        atomic_store(&w->servers[i].in_flight, 0);
        atomic_store(&w->servers[i].members, 0);
    }
    for (uint32_t i = 0; i < MG_SHARED_UPSTREAMS; i++) {
        atomic_store(&w->upstreams[i].in_flight, 0);
        atomic_store(&w->upstreams[i].waiting, 0);
        atomic_store(&w->upstreams[i].extra, 0);
    }
    table servers = servers_of(r);
    table upstreams = upstreams_of(r);
    forget_holds(&servers, w);
    forget_holds(&upstreams, w);
}

// Its key is that of its texts, or they are cut: else somebody has scribbled there.
static bool is_named(const table *t, uint32_t place) {
    const char *name = cell(t, place);
    const char *address = name + MG_SHARED_NAME;
    size_t name_n = strnlen(name, MG_SHARED_NAME);
    bool has_address = t->places == MG_SHARED_SERVERS;
    size_t address_n = has_address ? strnlen(address, MG_SHARED_ADDRESS) : 0;
    if (name_n == MG_SHARED_NAME || address_n == MG_SHARED_ADDRESS) {
        return false; // without an end
    }
    return name_n == MG_SHARED_NAME - 1 || address_n == MG_SHARED_ADDRESS - 1 ||
           total(&t->keys[place]) ==
               key_of((mg_str){name, name_n}, (mg_str){has_address ? address : NULL, address_n});
}

static bool next_held(room *r, const table *t, uint32_t *place) {
    while (*place < t->places &&
           (total(&t->keys[*place]) == NOBODY || !is_named(t, *place) || !is_held(r, t, *place))) {
        ++*place;
    }
    return *place < t->places;
}

bool mg_shared_next_server(void *memory, uint32_t *place, mg_server_view *out) {
    room *r = memory;
    table t = servers_of(r);
    if (!next_held(r, &t, place)) {
        return false;
    }
    uint32_t n = workers_of(r);
    *out = (mg_server_view){.cell = cell(&t, *place)};
    for (uint32_t i = 0; i < n; i++) {
        const mg_server_counts *c = &r->rows[i].servers[*place];
        out->in_flight += mg_count_of(&c->in_flight);
        out->tries += total(&c->tries);
        out->failed += total(&c->failed);
        out->reused += total(&c->reused);
    }
    ++*place;
    return true;
}

bool mg_shared_next_upstream(void *memory, uint32_t *place, mg_upstream_view *out) {
    room *r = memory;
    table t = upstreams_of(r);
    if (!next_held(r, &t, place)) {
        return false;
    }
    uint32_t n = workers_of(r);
    *out = (mg_upstream_view){.cell = cell(&t, *place)};
    for (uint32_t i = 0; i < n; i++) {
        const mg_upstream_counts *c = &r->rows[i].upstreams[*place];
        add_now(&out->now, c);
        out->requests += total(&c->requests);
        out->retries += total(&c->retries);
        out->hedges += total(&c->hedges);
        out->mirrored += total(&c->mirrored);
        out->mirror_dropped += total(&c->mirror_dropped);
        out->refused += total(&c->refused);
    }
    ++*place;
    return true;
}
