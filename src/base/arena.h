// base/arena.h: memory that goes all at once.
//
// An arena belongs to one exchange (or one parse). It owns blocks; nothing taken from it is freed
// alone. Reset keeps the first block, so a recycled arena allocates nothing for an ordinary
// request.
#pragma once

#include "base/str.h"

typedef struct mg_arena_block mg_arena_block;

// A zeroed mg_arena is a valid empty one.
typedef struct mg_arena {
    mg_arena_block *first;
    mg_arena_block *last;
    char *at;
    char *end;
} mg_arena;

void mg_arena_deinit(mg_arena *a);
void mg_arena_reset(mg_arena *a);

// `n` bytes aligned to 8, not zeroed. Never NULL.
void *mg_arena_alloc(mg_arena *a, size_t n) __attribute__((malloc, returns_nonnull));

// A terminated copy of `s`.
char *mg_arena_copy(mg_arena *a, mg_str s);
