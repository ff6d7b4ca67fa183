// base/arena.h: memory that goes all at once.
//
// An arena belongs to one exchange (or one parse). It owns blocks, each larger than the one before
// unless it was reserved; nothing taken from it is freed alone. Reset keeps the newest that is of a
// usual size: a recycled arena allocates little for another request of the kind.
#pragma once

#include "base/str.h"

typedef struct mg_arena_block mg_arena_block;

// A zeroed mg_arena is a valid empty one.
typedef struct mg_arena {
    mg_arena_block *newest;
    char *at;
    char *end;
} mg_arena;

void mg_arena_deinit(mg_arena *a);
void mg_arena_reset(mg_arena *a);

// `n` bytes aligned to 8, not zeroed. Never NULL.
void *mg_arena_alloc(mg_arena *a, size_t n) __attribute__((malloc, returns_nonnull));

// Room for `n` bytes in one piece: a block of about that size if there is none. For who knows what
// is to come, so that it lies in a block that is not twice as large.
void mg_arena_reserve(mg_arena *a, size_t n);

// What can be taken before there is another block.
static inline size_t mg_arena_room(const mg_arena *a) {
    return (size_t)(a->end - a->at);
}

// `p`, which was taken last with `n` bytes, needs only `less` of them. If something was taken
// since, nothing is given back.
void mg_arena_shrink(mg_arena *a, void *p, size_t n, size_t less);

// A terminated copy of `s`.
char *mg_arena_copy(mg_arena *a, mg_str s);
