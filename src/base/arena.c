#include "base/arena.h"

#include "base/mem.h"

enum { BLOCK_BYTES = 4096 - 32 };

struct mg_arena_block {
    mg_arena_block *next;
    size_t cap;
    _Alignas(16) char bytes[];
};

static mg_arena_block *block_new(size_t cap) {
    mg_arena_block *b = mg_malloc(sizeof *b + cap);
    b->next = NULL;
    b->cap = cap;
    return b;
}

static void free_chain(mg_arena_block *b) {
    while (b != NULL) {
        mg_arena_block *next = b->next;
        mg_free(b);
        b = next;
    }
}

static void use(mg_arena *a, mg_arena_block *b) {
    a->last = b;
    a->at = b->bytes;
    a->end = b->bytes + b->cap;
}

void mg_arena_deinit(mg_arena *a) {
    free_chain(a->first);
    *a = (mg_arena){0};
}

void mg_arena_reset(mg_arena *a) {
    if (a->first == NULL) {
        return;
    }
    free_chain(a->first->next);
    a->first->next = NULL;
    use(a, a->first);
}

void *mg_arena_alloc(mg_arena *a, size_t n) {
    // Even an empty piece has an address.
    n = n == 0 ? 8 : (n + 7) & ~(size_t)7;
    if ((size_t)(a->end - a->at) < n) {
        mg_arena_block *b = block_new(n > BLOCK_BYTES ? n : BLOCK_BYTES);
        if (a->first == NULL) {
            a->first = b;
        } else {
            a->last->next = b;
        }
        use(a, b);
    }
    void *p = a->at;
    a->at += n;
    return p;
}

char *mg_arena_copy(mg_arena *a, mg_str s) {
    char *p = mg_arena_alloc(a, s.n + 1);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return p;
}
