#include "base/shm.h"

#include "base/mem.h"
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

// Far from where the sum of all parts would wrap around.
static const size_t CACHE_MOST = (size_t)1 << 48;

static const char magic[8] = "moongat";

typedef struct lease {
    _Atomic uint64_t name;   // word_of; 0, or what is none: nobody has used this place
    _Atomic uint32_t holder; // 0: free
} lease;

typedef struct layout {
    char magic[8];
    uint32_t version;
    uint32_t cell_bytes;
    uint64_t bytes; // of all
    uint64_t cache_at;
    uint64_t node;
    mg_cell cells[MG_SHM_CELLS];
    lease leases[MG_SHM_LEASES];
    _Alignas(64) unsigned char tickets[MG_SHM_TICKET_BYTES];
} layout;

enum {
    PROXY_AT = (sizeof(layout) + PAGE - 1) / PAGE * PAGE,
    LIVE_AT = PROXY_AT + MG_SHM_PROXY_BYTES,
    CACHE_AT = LIVE_AT + MG_SHM_LIVE_BYTES,
};

// What is needed to use the map is not read from it again: a worker may scribble on it.
struct mg_shm {
    layout *map;
    uint64_t node;
    size_t bytes;
    int fd;
};

static int map(mg_shm **out, int fd, size_t bytes, mg_error *err) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        int rc = -errno;
        close(fd);
        return mg_error_set(err, rc, "shared memory of %zu bytes: %s", bytes, mg_strerror(rc));
    }
    *out = mg_malloc(sizeof **out);
    **out = (mg_shm){.map = p, .bytes = bytes, .fd = fd};
    return MG_OK;
}

static size_t whole_pages(size_t bytes) {
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

int mg_shm_new(mg_shm **out, size_t cache_bytes, mg_error *err) {
    *out = NULL;
    if (cache_bytes > CACHE_MOST) {
        return mg_error_set(err, -EFBIG, "shared memory: %s", mg_strerror(-EFBIG));
    }
    size_t bytes = CACHE_AT + whole_pages(cache_bytes);
    int fd = memfd_create("moongate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    // Whoever is handed it can map it; a path in /proc opens it for nobody else: a worker's user is
    // another one, and in it lie the keys of session tickets.
    if (fd < 0 || fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        int rc = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return mg_error_set(err, rc, "shared memory: %s", mg_strerror(rc));
    }
    int rc = map(out, fd, bytes, err);
    if (rc == MG_OK) {
        mg_random random;
        mg_random_init(&random, 0);
        (*out)->node = mg_random_u64(&random);
        mg_shm_mend(*out);
    }
    return rc;
}

uint64_t mg_shm_node(const mg_shm *s) {
    return s->node;
}

void mg_shm_mend(mg_shm *s) {
    layout *l = s->map;
    memcpy(l->magic, magic, sizeof magic);
    l->version = MG_SHM_VERSION;
    l->cell_bytes = sizeof(mg_cell);
    l->bytes = s->bytes;
    l->cache_at = CACHE_AT;
    l->node = s->node;
}

static const char *misfit(const layout *l, size_t bytes) {
    if (memcmp(l->magic, magic, sizeof magic) != 0) {
        return "it is something else";
    }
    if (l->version != MG_SHM_VERSION || l->cell_bytes != sizeof(mg_cell)) {
        return "it was made by another version";
    }
    bool fits = l->bytes == bytes && l->cache_at == CACHE_AT && CACHE_AT <= bytes;
    return fits ? NULL : "its size is wrong";
}

int mg_shm_open(mg_shm **out, int fd, mg_error *err) {
    struct stat st;
    *out = NULL;
    if (fd < 0 || fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof(layout)) {
        if (fd >= 0) {
            close(fd);
        }
        return mg_error_set(err, MG_ESYNTAX, "shared memory: it is too small");
    }
    int rc = map(out, fd, (size_t)st.st_size, err);
    const char *why = rc == MG_OK ? misfit((*out)->map, (*out)->bytes) : NULL;
    if (why != NULL) {
        mg_shm_free(*out);
        *out = NULL;
        return mg_error_set(err, MG_ESYNTAX, "shared memory: %s", why);
    }
    if (rc == MG_OK) {
        (*out)->node = (*out)->map->node;
    }
    return rc;
}

void mg_shm_free(mg_shm *s) {
    if (s != NULL) {
        munmap(s->map, s->bytes);
        close(s->fd);
        mg_free(s);
    }
}

int mg_shm_fd(const mg_shm *s) {
    return s->fd;
}

mg_cell *mg_shm_cell(mg_shm *s, uint32_t index) {
    assert(index < MG_SHM_CELLS);
    return &s->map->cells[index];
}

// The counters are never touched: whoever reads them meanwhile must not see them fall.
void mg_shm_reset_cell(mg_shm *s, uint32_t index) {
    mg_cell *c = mg_shm_cell(s, index);
    size_t behind = offsetof(mg_cell, traffic) + sizeof c->traffic;
    atomic_store(&c->pulse.busy_since_ms, 0);
    atomic_store(&c->pulse.progress, 0);
    c->traffic.connections = 0;
    memset((char *)c + behind, 0, sizeof *c - behind);
}

void *mg_shm_tickets(mg_shm *s) {
    return s->map->tickets;
}

void *mg_shm_cache(mg_shm *s, size_t *bytes) {
    *bytes = s->bytes - CACHE_AT;
    return *bytes > 0 ? (char *)s->map + CACHE_AT : NULL;
}

void *mg_shm_proxy(mg_shm *s) {
    return (char *)s->map + PROXY_AT;
}

void *mg_shm_live(mg_shm *s) {
    return (char *)s->map + LIVE_AT;
}

// --- leases ---

static uint64_t hash(mg_str name) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (size_t i = 0; i < name.n; i++) {
        h = (h ^ (unsigned char)name.p[i]) * 0x100000001b3u;
    }
    return h;
}

static uint64_t check_of(uint64_t word) {
    return (word >> 16) * 0x9e3779b97f4a7c15u >> 48;
}

// A hash that tells itself from what somebody scribbled.
static uint64_t word_of(mg_str name) {
    uint64_t h = hash(name) | (uint64_t)1 << 63; // never 0
    return (h & ~(uint64_t)UINT16_MAX) | check_of(h);
}

static bool is_word(uint64_t word) {
    return word >> 63 != 0 && (word & UINT16_MAX) == check_of(word);
}

static lease *place_at(mg_shm *s, uint64_t word, size_t i) {
    return &s->map->leases[((word >> 16) + i) % MG_SHM_LEASES];
}

// The place of a name that has one, else NULL. A free place ends the search, what is scribbled does
// not: the name may have passed it before.
static lease *find(mg_shm *s, uint64_t word) {
    for (size_t i = 0; i < MG_SHM_LEASES; i++) {
        lease *l = place_at(s, word, i);
        uint64_t seen = atomic_load(&l->name);
        if (seen == word || seen == 0) {
            return seen == word ? l : NULL;
        }
    }
    return NULL;
}

// The same, made if it has none. NULL: no place is left.
static lease *make(mg_shm *s, uint64_t word) {
    lease *l = find(s, word);
    for (size_t i = 0; i < MG_SHM_LEASES && l == NULL; i++) {
        lease *at = place_at(s, word, i);
        uint64_t seen = atomic_load(&at->name);
        bool usable = !is_word(seen) && atomic_compare_exchange_strong(&at->name, &seen, word);
        l = usable || seen == word ? at : NULL; // perhaps somebody else has made it just now
    }
    return l;
}

// A holder that cannot be is what somebody scribbled.
bool mg_lease_take(mg_shm *s, mg_str name, uint32_t holder) {
    assert(holder != 0 && holder <= MG_SHM_CELLS);
    lease *l = make(s, word_of(name));
    uint32_t seen = l == NULL ? 0 : atomic_load(&l->holder);
    if (l == NULL || (seen != 0 && seen != holder && seen <= MG_SHM_CELLS)) {
        return false;
    }
    return seen == holder || atomic_compare_exchange_strong(&l->holder, &seen, holder) ||
           seen == holder;
}

void mg_lease_drop(mg_shm *s, mg_str name, uint32_t holder) {
    lease *l = find(s, word_of(name));
    if (l != NULL) {
        atomic_compare_exchange_strong(&l->holder, &holder, 0);
    }
}

void mg_lease_drop_all(mg_shm *s, uint32_t holder) {
    for (size_t i = 0; i < MG_SHM_LEASES; i++) {
        uint32_t seen = holder;
        atomic_compare_exchange_strong(&s->map->leases[i].holder, &seen, 0);
    }
}
