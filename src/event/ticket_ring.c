#include "event/ticket_ring.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/shm.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

_Static_assert(sizeof(mg_ticket_key) == MG_TICKET_KEY_BYTES, "no gaps");
_Static_assert(sizeof(mg_ticket_ring) <= MG_SHM_TICKET_BYTES, "it fits its place");

static int fill(mg_ticket_key *key) {
    mg_ticket_key fresh;
    ssize_t n = getrandom(&fresh, sizeof fresh, 0); // so few bytes come whole
    if (n != (ssize_t)sizeof fresh) {
        return -EIO;
    }
    *key = fresh;
    return MG_OK;
}

int mg_ticket_ring_begin(mg_ticket_ring *r) {
    mg_ticket_key fresh[MG_TICKET_KEYS];
    for (size_t i = 0; i < MG_TICKET_KEYS; i++) {
        if (fill(&fresh[i]) != MG_OK) {
            return -EIO;
        }
    }
    memcpy(r->keys, fresh, sizeof fresh);
    atomic_store_explicit(&r->turns, MG_TICKET_KEYS, memory_order_release);
    return MG_OK;
}

// Behind the one that seals lie, in a circle: the announced one, the oldest, the one before.
int mg_ticket_ring_rotate(mg_ticket_ring *r) {
    uint64_t turns = atomic_load_explicit(&r->turns, memory_order_relaxed);
    int rc = fill(&r->keys[(turns + 2) % MG_TICKET_KEYS]);
    if (rc == MG_OK) {
        atomic_store_explicit(&r->turns, turns + 1, memory_order_release);
    }
    return rc;
}

static uint64_t turns_of(const mg_ticket_ring *r) {
    return atomic_load_explicit(&r->turns, memory_order_acquire);
}

const mg_ticket_key *mg_ticket_ring_sealing(const mg_ticket_ring *r) {
    uint64_t turns = turns_of(r);
    return turns == 0 ? NULL : &r->keys[turns % MG_TICKET_KEYS];
}

const mg_ticket_key *mg_ticket_ring_find(const mg_ticket_ring *r, const unsigned char name[16],
                                         bool *renew) {
    uint64_t turns = turns_of(r);
    for (size_t i = 0; turns > 0 && i < MG_TICKET_KEYS; i++) {
        const mg_ticket_key *key = &r->keys[(turns + i) % MG_TICKET_KEYS];
        if (memcmp(key->name, name, sizeof key->name) == 0) {
            *renew = i != 0;
            return key;
        }
    }
    return NULL;
}

// --- keys of an operator ---

static bool next_line(mg_str *rest, mg_str *line) {
    while (rest->n > 0) {
        *line = mg_str_trim(mg_str_cut(rest, '\n'));
        if (line->n > 0 && line->p[line->n - 1] == '\r') {
            line->n--;
        }
        if (line->n > 0 && line->p[0] != '#') {
            return true;
        }
    }
    return false;
}

static int refuse(mg_error *err, const char *file, size_t line, const char *what) {
    return mg_error_set(err, MG_ECONFIG,
                        "%s: key %zu %s, allowed: at most %d lines of %d random bytes in hex, "
                        "as \"openssl rand -hex %d\" makes them",
                        file, line, what, MG_TICKET_KEYS, MG_TICKET_KEY_BYTES, MG_TICKET_KEY_BYTES);
}

int mg_ticket_keys_read(mg_ticket_ring *out, mg_str text, const char *file, mg_error *err) {
    mg_buf key = {0};
    mg_str line;
    size_t n = 0;
    int rc = MG_OK;
    *out = (mg_ticket_ring){0};
    while (rc == MG_OK && next_line(&text, &line)) {
        mg_buf_clear(&key);
        if (n == MG_TICKET_KEYS) {
            rc = refuse(err, file, n + 1, "is one too many");
        } else if (mg_hex_decode(&key, line) != MG_OK || key.n != MG_TICKET_KEY_BYTES) {
            rc = refuse(err, file, n + 1, "is something else");
        } else {
            memcpy(&out->keys[n++], key.p, sizeof *out->keys);
        }
    }
    if (rc == MG_OK && n == 0) {
        rc = refuse(err, file, 1, "is missing");
    }
    mg_buf_deinit(&key);
    // What is not given opens nothing: nobody knows its keys.
    for (size_t i = n; rc == MG_OK && i < MG_TICKET_KEYS; i++) {
        rc = fill(&out->keys[i]);
        if (rc != MG_OK) {
            mg_error_set(err, rc, "%s: there is no randomness", file);
        }
    }
    atomic_store(&out->turns, MG_TICKET_KEYS);
    return rc;
}
