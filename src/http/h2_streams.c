#include "http/h2_streams.h"

#include "base/mem.h"

// The place of `id` among the streams, or where it would be.
static uint32_t place_of(const mg_h2_table *t, uint32_t id) {
    uint32_t low = 0;
    uint32_t high = t->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (t->at[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

mg_h2_stream *mg_h2_find(const mg_h2 *h, uint32_t id) {
    uint32_t at = place_of(&h->streams, id);
    bool found = at < h->streams.count && h->streams.at[at]->id == id;
    return found ? h->streams.at[at] : NULL;
}

void mg_h2_add(mg_h2 *h, mg_h2_stream *s) {
    mg_h2_table *t = &h->streams;
    if (t->count == t->cap) {
        t->cap = t->cap == 0 ? 8 : t->cap * 2;
        t->at = mg_realloc(t->at, t->cap * sizeof *t->at);
    }
    t->at[t->count++] = s;
}

// All ids of a side are odd, or all are even. 0 is nobody's.
static uint32_t half(uint32_t id) {
    return (id + 1) / 2;
}

void mg_h2_remember(mg_h2 *h, uint32_t id, mg_h2_how how) {
    mg_h2_closed *c = &h->closed;
    c->at[c->next].half_id = half(id) & 0x3fffffff;
    c->at[c->next].how = (unsigned)how & 3;
    c->next = (uint8_t)((c->next + 1) % MG_H2_REMEMBERED);
}

void mg_h2_remove(mg_h2 *h, mg_h2_stream *s, mg_h2_how how) {
    mg_h2_table *t = &h->streams;
    uint32_t at = place_of(t, s->id);
    t->count--;
    memmove(t->at + at, t->at + at + 1, (t->count - at) * sizeof *t->at);
    mg_h2_remember(h, s->id, s->ended ? MG_H2_WAS_ENDED : how);
    mg_link_remove(&s->turn);
    h->taken += s->stored;
    if (h->current == s) {
        h->current = NULL; // the rest of its frame is thrown away
    }
    if (h->block.id == s->id) {
        h->block.section = NULL; // it lies in memory that goes now
    }
    s->id = 0;
}

mg_h2_how mg_h2_how_closed(const mg_h2 *h, uint32_t id) {
    for (uint32_t i = 0; i < MG_H2_REMEMBERED; i++) {
        if (h->closed.at[i].half_id == half(id)) {
            return (mg_h2_how)h->closed.at[i].how;
        }
    }
    return MG_H2_WAS_UNKNOWN;
}

bool mg_h2_is_idle(const mg_h2 *h, uint32_t id) {
    bool ours = (id % 2 == 1) == h->client;
    return ours ? id >= h->next_id : id > h->last_id;
}
