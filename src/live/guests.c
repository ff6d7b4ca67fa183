#include "base/mem.h"
#include "http/ws_deflate.h"
#include "live/guest_inside.h"

#include <assert.h>

// --- routes ---

static void free_route(mg_guest_route *r) {
    mg_link_remove(&r->link);
    mg_socket_kind_unref(r->kind);
    mg_free(r);
}

void mg_guest_route_look(mg_guest_route *r) {
    if (r->count == 0 && r->host == NULL) {
        free_route(r);
    }
}

mg_guest_route *mg_guests_find(const mg_guests *all, mg_str name) {
    for (mg_link *l = all->routes.next; l != &all->routes; l = l->next) {
        mg_guest_route *r = MG_OF(l, mg_guest_route, link);
        if (mg_str_eq(mg_str_of(r->name), name)) {
            return r;
        }
    }
    return NULL;
}

mg_guest_route *mg_guests_add(mg_guests *all, mg_str name) {
    mg_guest_route *r = mg_calloc(1, sizeof *r + name.n + 1);
    memcpy(r->name, name.p, name.n);
    mg_link_init(&r->guests);
    mg_link_init(&r->coroutines);
    mg_link_append(&all->routes, &r->link);
    return r;
}

static bool same_limits(const mg_socket_limits *a, const mg_socket_limits *b) {
    return a->message_bytes == b->message_bytes && a->rate == b->rate && a->idle_ms == b->idle_ms &&
           a->ping_ms == b->ping_ms && a->close_ms == b->close_ms &&
           a->outbox_bytes == b->outbox_bytes && a->skip == b->skip;
}

// Its sockets obey the new limits.
void mg_guest_route_limit(mg_guests *all, mg_guest_route *r, const mg_socket_limits *limits) {
    if (r->kind != NULL && same_limits(&r->kind->limits, limits)) {
        return;
    }
    mg_socket_kind_unref(r->kind);
    r->kind = mg_socket_kind_new(all->loop, limits, all->deflate);
    for (mg_link *l = r->guests.next; l != &r->guests; l = l->next) {
        mg_guest *g = MG_OF(l, mg_guest, link);
        if (g->code == 0) {
            mg_socket_set_kind(&g->socket, r->kind);
        }
    }
}

// --- all of them ---

mg_guests *mg_guests_new(mg_loop *loop, mg_topics *topics, const mg_guest_options *options) {
    mg_guests *all = mg_calloc(1, sizeof *all);
    *all = (mg_guests){.loop = loop, .topics = topics, .options = *options};
    all->deflate = mg_ws_deflate_new();
    mg_link_init(&all->routes);
    return all;
}

void mg_guests_set_options(mg_guests *all, const mg_guest_options *options) {
    all->options = *options;
}

void mg_guests_free(mg_guests *all) {
    if (all == NULL) {
        return;
    }
    assert(mg_link_alone(&all->routes)); // they went with the last host
    mg_slots_deinit(&all->slots);
    mg_ws_deflate_free(all->deflate);
    mg_free(all);
}

mg_guest *mg_guests_get(const mg_guests *all, uint64_t handle) {
    return mg_slots_get(&all->slots, handle);
}

static uint32_t generation_of(const mg_guest *g) {
    return g->host != NULL ? g->host->generation : 0;
}

void mg_guests_count(const mg_guests *all,
                     void (*each)(void *arg, const char *route, uint32_t generation, uint32_t n),
                     void *arg) {
    for (mg_link *l = all->routes.next; l != &all->routes; l = l->next) {
        const mg_guest_route *r = MG_OF(l, mg_guest_route, link);
        uint32_t left = r->count;
        // Few of them, unless all are: neighbours are told together.
        for (mg_link *at = r->coroutines.next; at != &r->coroutines;) {
            uint32_t generation = generation_of(MG_OF(at, mg_guest, link));
            uint32_t n = 0;
            for (; at != &r->coroutines && generation_of(MG_OF(at, mg_guest, link)) == generation;
                 at = at->next) {
                n++;
            }
            left -= n;
            each(arg, r->name, generation, n);
        }
        if (left > 0) {
            uint32_t generation = r->host != NULL
                                      ? r->host->generation
                                      : generation_of(MG_OF(r->guests.next, mg_guest, link));
            each(arg, r->name, generation, left);
        }
    }
}
