// The WebSockets of a worker, whatever scripts serve them.

#include "gate/worker_inside.h"

enum { CLOSE_MS = 5000 }; // that a peer has for its half of the closing handshake

void mg_worker_begin_sockets(mg_worker *w) {
    w->guests = mg_guests_new(w->loop, w->topics, &(mg_guest_options){.close_ms = CLOSE_MS});
}

void mg_worker_limit_sockets(mg_worker *w, const mg_config_limits *l) {
    const mg_guest_options o = {.outbox_bytes = (uint32_t)l->outbox, .close_ms = CLOSE_MS};
    mg_guests_set_options(w->guests, &o);
}

// --- for moongate status ---

typedef struct listing {
    mg_cell_sockets *out;
    size_t n;
} listing;

static void list(void *arg, const char *route, uint32_t generation, uint32_t count) {
    listing *l = arg;
    if (l->n == MG_CELL_SOCKETS) {
        mg_cell_sockets *rest = &l->out[MG_CELL_SOCKETS - 1];
        snprintf(rest->route, sizeof rest->route, "others");
        rest->generation = 0;
        rest->count += count;
        return;
    }
    mg_cell_sockets *s = &l->out[l->n++];
    snprintf(s->route, sizeof s->route, "%s", route);
    s->generation = generation;
    s->count = count;
}

void mg_worker_show_sockets(const mg_worker *w, mg_cell_sockets out[MG_CELL_SOCKETS]) {
    listing l = {.out = out};
    mg_guests_count(w->guests, list, &l);
    while (l.n < MG_CELL_SOCKETS) {
        out[l.n++] = (mg_cell_sockets){0};
    }
}
