#include "live/guest_inside.h"

#include "base/mem.h"
#include "server/kept_record.h"

#include <assert.h>

enum {
    MESSAGES_HIGH = 64 * 1024, // bytes of messages that wait: reading pauses
    MESSAGES_LOW = 16 * 1024,
};

struct mg_guest_message {
    mg_guest_message *next;
    size_t n;
    mg_packet_kind kind;
    char data[];
};

void mg_guest_become(mg_guest *g, mg_guest_phase next) {
    static const uint8_t moves[] = {
        [MG_GUEST_OPENING] = 1 << MG_GUEST_RESTING | 1 << MG_GUEST_BUSY,
        [MG_GUEST_RESTING] = 1 << MG_GUEST_READY,
        [MG_GUEST_READY] = 1 << MG_GUEST_BUSY | 1 << MG_GUEST_RESTING,
        [MG_GUEST_BUSY] = 1 << MG_GUEST_RESTING,
    };
    assert(moves[g->phase] & (1 << next));
    g->phase = (uint8_t)next;
}

// --- who has to do with it ---

void mg_guest_claim(mg_guest *g, mg_host *h) {
    if (g->at != NULL) {
        g->at->claims--;
    }
    if (h != NULL) {
        h->claims++;
    }
    g->at = h;
}

// --- messages that wait ---

static void keep_message(mg_guest *g, mg_packet_kind kind, mg_str data) {
    mg_guest_message *m = mg_malloc(sizeof *m + data.n);
    *m = (mg_guest_message){.n = data.n, .kind = kind};
    if (data.n > 0) {
        memcpy(m->data, data.p, data.n);
    }
    if (g->last != NULL) {
        g->last->next = m;
    } else {
        g->first = m;
    }
    g->last = m;
    g->waiting += sizeof *m + m->n;
}

static void drop_first(mg_guest *g) {
    mg_guest_message *m = g->first;
    g->first = m->next;
    if (g->first == NULL) {
        g->last = NULL;
    }
    g->waiting -= sizeof *m + m->n;
    mg_free(m);
}

void mg_guest_drop_messages(mg_guest *g) {
    while (g->first != NULL) {
        drop_first(g);
    }
}

bool mg_guest_look(mg_guest *g, mg_guest_event *out) {
    const mg_guest_message *m = g->first;
    if (m != NULL) {
        *out = (mg_guest_event){MG_GUEST_MESSAGE, g, m->kind, {m->data, m->n}};
    }
    return m != NULL;
}

void mg_guest_drop_message(mg_guest *g) {
    drop_first(g);
    if (g->waiting < MESSAGES_LOW && !g->leaving && g->code == 0) {
        mg_socket_resume(&g->socket);
    }
}

// --- life ---

void mg_guest_free(mg_guest *g) {
    mg_guest_route *r = g->route;
    if (g->host != NULL) {
        g->host->ops->forget(g->host, g);
    }
    mg_guest_claim(g, NULL);
    mg_link_remove(&g->ready);
    mg_link_remove(&g->link);
    mg_slots_remove(&g->guests->slots, g->handle);
    mg_subscriber_leave(&g->subscriber);
    if (g->code == 0) {
        mg_socket_deinit(&g->socket);
        mg_kept_record_tell(g->record, g->socket.bytes_out, true);
    }
    mg_guest_drop_messages(g);
    mg_buf_deinit(&g->state);
    mg_buf_deinit(&g->reason);
    mg_free(g->facts);
    mg_free(g);
    r->count--;
    mg_guest_route_look(r);
}

// --- what the socket tells ---

static mg_guest *of(mg_socket *s) {
    return MG_OF(s, mg_guest, socket);
}

static void on_message(mg_socket *s, mg_packet_kind kind, mg_str data) {
    mg_guest *g = of(s);
    keep_message(g, kind, data);
    if (g->waiting >= MESSAGES_HIGH) {
        mg_socket_pause(s);
    }
    mg_guest_attend(g);
}

static void on_drained(mg_socket *s) {
    mg_guest *g = of(s);
    if (g->host != NULL) {
        g->host->ops->on_drained(g->host, g);
    }
}

static void on_stop(mg_socket *s) {
    mg_guest_leave(of(s));
}

static void on_closed(mg_socket *s, uint16_t code, mg_str reason) {
    mg_guest *g = of(s);
    g->code = code;
    mg_buf_append_str(&g->reason, reason);
    mg_subscriber_leave(&g->subscriber);
    mg_kept_record_tell(g->record, s->bytes_out, code == MG_WS_ABNORMAL);
    g->record = NULL;
    mg_socket_deinit(s);
    on_drained(s); // who waits for room need not any more
    mg_guest_attend(g);
}

// What came before is handled first, and may be answered. A coroutine handles the last message that
// it took until it asks for another one; one whose peer has gone without a word is told at once.
static bool on_ending(mg_socket *s) {
    const mg_guest *g = of(s);
    bool handles = g->table ? g->phase != MG_GUEST_RESTING : g->reads && g->reader == NULL;
    return g->first != NULL || (handles && (g->table || !s->fin));
}

static const mg_socket_events socket_events = {
    .on_message = on_message,
    .on_drained = on_drained,
    .on_stop = on_stop,
    .on_ending = on_ending,
    .on_closed = on_closed,
};

static void on_packet(mg_subscriber *s, mg_packet *p) {
    mg_socket_send_packet(&MG_OF(s, mg_guest, subscriber)->socket, p);
}

static const mg_subscriber_ops subscriber_ops = {on_packet};

// --- whose turn it is ---

static void queue(mg_guest *g, mg_host *h) {
    bool first = mg_link_alone(&h->ready);
    mg_guest_become(g, MG_GUEST_READY);
    mg_guest_claim(g, h);
    mg_link_append(&h->ready, &g->ready);
    if (first) {
        h->ops->on_ready(h);
    }
}

// Nobody handles its messages.
static void rest_unserved(mg_guest *g) {
    mg_guest_drop_messages(g);
    if (g->code != 0) {
        mg_guest_free(g);
    }
}

static bool has_something(const mg_guest *g) {
    return g->renewed || g->first != NULL || g->code != 0;
}

static void say_restart(mg_guest *g) {
    mg_socket_close(&g->socket, MG_WS_RESTART, MG_STR("the server's scripts were replaced"));
}

void mg_guest_attend(mg_guest *g) {
    mg_host *h = g->leaving || g->route->host == NULL ? g->host : g->route->host;
    if (g->phase == MG_GUEST_BUSY && !g->table) {
        g->host->ops->on_news(g->host, g);
    } else if (g->phase != MG_GUEST_RESTING) {
        return; // what handles it will look
    } else if (!g->table || h == NULL) {
        rest_unserved(g);
    } else if (has_something(g)) {
        queue(g, h);
    } else if (g->socket.ending != 0) {
        mg_socket_conclude(&g->socket);
    } else if (g->leaving) {
        say_restart(g);
    }
}

void mg_guest_leave(mg_guest *g) {
    if (g->leaving || g->code != 0) {
        return;
    }
    g->leaving = true;
    if (g->phase == MG_GUEST_OPENING) {
        return;
    }
    if (!g->table) {
        say_restart(g);
        return;
    }
    mg_socket_pause(&g->socket); // what has come already is handled
    if (g->at == NULL) {
        mg_guest_claim(g, g->host);
    }
    mg_guest_attend(g);
}

int mg_guest_new(mg_guest **out, mg_host *h, mg_str name) {
    mg_guest_route *r = mg_guests_find(h->guests, name);
    if (r == NULL) {
        return MG_ECLOSED;
    }
    if (r->most > 0 && r->count >= r->most) {
        return MG_ELIMIT;
    }
    mg_guest *g = mg_calloc(1, sizeof *g);
    g->guests = h->guests;
    g->route = r;
    g->host = h;
    g->route_id = r->id;
    g->table = true;
    g->handle = mg_slots_add(&h->guests->slots, g);
    mg_link_init(&g->ready);
    mg_link_append(&r->guests, &g->link);
    mg_socket_init(&g->socket, &socket_events, r->kind, false);
    mg_subscriber_init(&g->subscriber, h->guests->topics, &subscriber_ops);
    mg_guest_claim(g, h);
    r->count++;
    *out = g;
    return MG_OK;
}

void mg_guest_drop(mg_guest *g) {
    mg_guest_free(g);
}

void mg_guest_hand_over(mg_guest *g) {
    mg_guest_become(g, MG_GUEST_BUSY);
    g->table = false;
    mg_link_remove(&g->link);
    mg_link_append(&g->route->coroutines, &g->link);
    if (g->leaving) {
        say_restart(g);
    }
}

void mg_guest_done(mg_guest *g) {
    mg_guest_become(g, MG_GUEST_RESTING);
    if (g->told) {
        mg_guest_free(g);
        return;
    }
    // Its route may have gone, or changed its form, while it was handled.
    if (g->table && (g->route->host == NULL || !g->route->table)) {
        g->leaving = true;
    }
    // A coroutine that has ended hears of nothing any more.
    mg_guest_claim(g, g->leaving && g->table ? g->host : NULL);
    mg_guest_attend(g);
}
