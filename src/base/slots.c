#include "base/slots.h"

#include "base/mem.h"

#include <assert.h>

void mg_slots_deinit(mg_slots *s) {
    mg_free(s->slots);
    *s = (mg_slots){0};
}

static uint32_t take_index(mg_slots *s) {
    if (s->free != 0) {
        uint32_t index = s->free - 1;
        s->free = s->slots[index].next_free;
        return index;
    }
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 64 : s->cap * 2;
        s->slots = mg_realloc(s->slots, s->cap * sizeof *s->slots);
    }
    s->slots[s->count] = (mg_slot){.serial = 1};
    return s->count++;
}

uint64_t mg_slots_add(mg_slots *s, void *item) {
    assert(s->used < MG_SLOTS_MAX); // its owner has looked
    uint32_t index = take_index(s);
    s->slots[index].item = item;
    s->used++;
    return (uint64_t)s->slots[index].serial << MG_SLOT_BITS | index;
}

static mg_slot *slot_of(const mg_slots *s, uint64_t handle) {
    uint32_t index = mg_slot_index(handle);
    bool fresh = index < s->count && s->slots[index].serial == handle >> MG_SLOT_BITS;
    return fresh ? &s->slots[index] : NULL;
}

void mg_slots_reserve(mg_slots *s, uint64_t handle) {
    slot_of(s, handle)->item = NULL;
}

void mg_slots_remove(mg_slots *s, uint64_t handle) {
    mg_slot *slot = slot_of(s, handle);
    if (slot == NULL) {
        return;
    }
    slot->item = NULL;
    slot->serial = slot->serial == UINT32_MAX ? 1 : slot->serial + 1;
    slot->next_free = s->free;
    s->free = (uint32_t)(slot - s->slots) + 1;
    s->used--;
}
