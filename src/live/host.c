#include "live/guest_inside.h"

void mg_host_init(mg_host *h, const mg_host_ops *ops, mg_guests *all, uint32_t generation) {
    *h = (mg_host){.ops = ops, .guests = all, .generation = generation};
    mg_link_init(&h->ready);
}

static bool pack(mg_guest *g) {
    mg_host *from = g->host;
    g->host = NULL;
    return from == NULL || from->ops->pack(from, g, &g->state) >= 0;
}

// A state that cannot cross is lost, and its guest is to begin anew.
static void cross(mg_guest *g, mg_host *h) {
    if (!pack(g)) {
        g->renewed = false;
        mg_guest_drop_messages(g);
        mg_socket_close(&g->socket, MG_WS_RESTART, MG_STR("the socket's state was lost"));
    }
    g->host = h;
}

static bool take(mg_guest *g, mg_guest_event *out) {
    if (g->renewed) {
        g->renewed = false;
        *out = (mg_guest_event){.kind = MG_GUEST_RENEWED, .guest = g};
    } else if (!mg_guest_look(g, out)) {
        if (g->code == 0) {
            return false;
        }
        g->told = true;
        *out = (mg_guest_event){.kind = MG_GUEST_ENDED, .guest = g};
    }
    return true;
}

bool mg_host_next(mg_host *h, mg_guest_event *out) {
    mg_link *l;
    while ((l = mg_link_shift(&h->ready)) != NULL) {
        mg_guest *g = MG_OF(l, mg_guest, ready);
        mg_guest_become(g, MG_GUEST_BUSY);
        if (g->host != h) {
            cross(g, h);
        }
        if (!g->leaving) { // else it is still that of the route that is gone
            g->route_id = g->route->id;
        }
        if (take(g, out)) {
            return true;
        }
        mg_guest_done(g);
    }
    return false;
}

// Nobody serves its route message by message any more: the last who did hears of its end. One that
// is being opened may be a coroutine's, which stays; else mg_guest_done sees it.
static void dismiss(mg_guest *g, mg_host *former) {
    if (g->phase == MG_GUEST_OPENING) {
        return;
    }
    if (g->phase == MG_GUEST_RESTING && former != NULL && g->host != former) {
        cross(g, former);
    }
    mg_guest_leave(g);
}

// Those that rest or stand in the former host's queue are the new one's; those that are being
// handled follow when that is done.
static void take_over(mg_guest_route *r) {
    mg_link *next;
    for (mg_link *l = r->guests.next; l != &r->guests; l = next) {
        mg_guest *g = MG_OF(l, mg_guest, link);
        next = l->next;
        if (r->host == NULL || !r->table) {
            dismiss(g, r->former);
            continue;
        }
        g->renewed = r->renews && g->code == 0;
        if (g->phase == MG_GUEST_READY && g->at != r->host) {
            mg_link_remove(&g->ready);
            mg_guest_become(g, MG_GUEST_RESTING);
            mg_guest_claim(g, NULL);
        }
        mg_guest_attend(g);
    }
}

static void serve_route(mg_host *h, const mg_guest_terms *t) {
    mg_guest_route *r = mg_guests_find(h->guests, t->name);
    if (r == NULL) {
        r = mg_guests_add(h->guests, t->name);
    }
    r->host = h;
    r->id = t->id;
    r->most = t->most;
    r->table = t->table;
    r->renews = t->renews;
    mg_socket_limits limits = t->limits;
    limits.outbox_bytes = h->guests->options.outbox_bytes;
    limits.close_ms = h->guests->options.close_ms;
    mg_guest_route_limit(h->guests, r, &limits);
}

void mg_host_serve(mg_host *h, const mg_guest_terms *terms, size_t n) {
    mg_link *routes = &h->guests->routes;
    for (mg_link *l = routes->next; l != routes; l = l->next) {
        mg_guest_route *r = MG_OF(l, mg_guest_route, link);
        r->former = r->host;
        r->host = NULL;
    }
    for (size_t i = 0; i < n; i++) {
        serve_route(h, &terms[i]);
    }
    mg_link *next;
    for (mg_link *l = routes->next; l != routes; l = next) {
        mg_guest_route *r = MG_OF(l, mg_guest_route, link);
        next = l->next;
        r->count++; // it outlives its last guest until here
        take_over(r);
        r->count--;
        mg_guest_route_look(r);
    }
}

static bool may_part(const mg_guest *g, const mg_host *h) {
    const mg_host *now = g->route->host;
    return g->host == h && g->phase == MG_GUEST_RESTING && now != NULL && now != h && g->table;
}

bool mg_host_part(mg_host *h, uint32_t n) {
    mg_link *routes = &h->guests->routes;
    for (mg_link *l = routes->next; l != routes; l = l->next) {
        mg_guest_route *r = MG_OF(l, mg_guest_route, link);
        mg_link *next;
        for (mg_link *at = r->guests.next; at != &r->guests; at = next) {
            mg_guest *g = MG_OF(at, mg_guest, link);
            next = at->next;
            if (!may_part(g, h)) {
                continue;
            }
            if (n-- == 0) {
                return true;
            }
            cross(g, NULL);
            mg_link_remove(at); // to the end: the next call finds those that are left in front
            mg_link_append(&r->guests, at);
        }
    }
    return false;
}

static void end_guests(mg_host *h, mg_link *list, bool served) {
    mg_link *next;
    for (mg_link *l = list->next; l != list; l = next) {
        mg_guest *g = MG_OF(l, mg_guest, link);
        next = l->next;
        if (g->host == h || g->at == h || (served && g->host == NULL)) {
            mg_guest_free(g);
        }
    }
}

void mg_host_leave(mg_host *h) {
    (void)mg_host_part(h, UINT32_MAX);
    mg_link *next;
    mg_link *routes = &h->guests->routes;
    for (mg_link *l = routes->next; l != routes; l = next) {
        mg_guest_route *r = MG_OF(l, mg_guest_route, link);
        next = l->next;
        r->count++;
        bool served = r->host == h;
        if (served) {
            r->host = NULL;
        }
        end_guests(h, &r->guests, served);
        end_guests(h, &r->coroutines, served);
        r->count--;
        mg_guest_route_look(r);
    }
}
