#include "live/outbox.h"

#include "base/mem.h"

enum { FIRST = 4, BESIDE = 16 }; // BESIDE: what a packet costs besides its payload, about

struct mg_outbox {
    size_t bytes;
    uint32_t at, count, cap; // a ring
    mg_packet *items[];
};

static size_t cost(const mg_packet *p) {
    return p->message.payload.n + BESIDE;
}

static mg_outbox *grown(mg_outbox *o) {
    uint32_t cap = o != NULL ? o->cap * 2 : FIRST;
    mg_outbox *next = mg_calloc(1, sizeof *next + cap * sizeof *next->items);
    next->cap = cap;
    if (o != NULL) {
        next->bytes = o->bytes;
        next->count = o->count;
        for (uint32_t i = 0; i < o->count; i++) {
            next->items[i] = o->items[(o->at + i) % o->cap];
        }
        mg_free(o);
    }
    return next;
}

void mg_outbox_add(mg_outbox **o, mg_packet *p) {
    if (*o == NULL || (*o)->count == (*o)->cap) {
        *o = grown(*o);
    }
    mg_outbox *box = *o;
    box->items[(box->at + box->count++) % box->cap] = mg_packet_ref(p);
    box->bytes += cost(p);
}

mg_packet *mg_outbox_take(mg_outbox **o) {
    mg_outbox *box = *o;
    if (box == NULL) {
        return NULL;
    }
    mg_packet *p = box->items[box->at];
    box->at = (box->at + 1) % box->cap;
    box->bytes -= cost(p);
    if (--box->count == 0) {
        mg_free(box);
        *o = NULL;
    }
    return p;
}

size_t mg_outbox_bytes(const mg_outbox *o) {
    return o != NULL ? o->bytes : 0;
}

void mg_outbox_clear(mg_outbox **o) {
    mg_packet *p;
    while ((p = mg_outbox_take(o)) != NULL) {
        mg_packet_unref(p);
    }
}
