// base/slots.h: handles for things that Lua may name longer than they live.
//
// A handle is a number that fits a Lua number exactly: an index and the serial of its use. A stale
// one finds nothing.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MG_SLOT_BITS = 20, MG_SLOTS_MAX = 1 << MG_SLOT_BITS }; // its index: the low bits of a handle

typedef struct mg_slot {
    void *item;      // NULL: free, or reserved
    uint32_t serial; // changes with each use
    uint32_t next_free;
} mg_slot;

// Zeroed is a valid empty table. Borrows the items.
typedef struct mg_slots {
    mg_slot *slots;
    uint32_t count;
    uint32_t cap;
    uint32_t free; // 1 + index of the first free one; 0: none
    uint32_t used;
} mg_slots;

void mg_slots_deinit(mg_slots *s);

// Returns the handle, never 0. There is room for MG_SLOTS_MAX.
uint64_t mg_slots_add(mg_slots *s, void *item);

// Its place in the table: small, and used again once the handle is stale.
static inline uint32_t mg_slot_index(uint64_t handle) {
    return (uint32_t)(handle & (MG_SLOTS_MAX - 1));
}

// The item, or NULL if the handle is stale or was never given out.
static inline void *mg_slots_get(const mg_slots *s, uint64_t handle) {
    uint32_t index = mg_slot_index(handle);
    return index < s->count && s->slots[index].serial == handle >> MG_SLOT_BITS
               ? s->slots[index].item
               : NULL;
}

// The handle, which is not stale, finds nothing any more, but its place is given to nobody else
// before it is removed.
void mg_slots_reserve(mg_slots *s, uint64_t handle);

void mg_slots_remove(mg_slots *s, uint64_t handle);
