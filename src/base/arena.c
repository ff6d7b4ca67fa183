#include "base/arena.h"

#include "base/mem.h"

struct mg_arena_block {
    mg_arena_block *older;
    size_t cap;
    _Alignas(16) char bytes[];
};

enum {
    OVERHEAD = sizeof(mg_arena_block) + 16, // and malloc's own
    FIRST_BYTES = 704 - OVERHEAD,
    STEP_BYTES = 1024,
    USUAL_BYTES = 4096 - OVERHEAD, // a larger block has only what did not fit otherwise
};

void mg_arena_deinit(mg_arena *a) {
    while (a->newest != NULL) {
        mg_arena_block *older = a->newest->older;
        mg_free(a->newest);
        a->newest = older;
    }
    *a = (mg_arena){0};
}

static void use(mg_arena *a, mg_arena_block *b) {
    a->newest = b;
    a->at = b->bytes;
    a->end = b->bytes + b->cap;
}

void mg_arena_reset(mg_arena *a) {
    while (a->newest != NULL && a->newest->cap > USUAL_BYTES) {
        mg_arena_block *older = a->newest->older;
        mg_free(a->newest);
        a->newest = older;
    }
    mg_arena_block *kept = a->newest;
    if (kept == NULL) {
        *a = (mg_arena){0};
        return;
    }
    if (kept->older != NULL) {
        mg_arena rest = {.newest = kept->older};
        mg_arena_deinit(&rest);
        kept->older = NULL;
    }
    use(a, kept);
}

static void add_block(mg_arena *a, size_t cap) {
    mg_arena_block *b = mg_malloc(sizeof *b + cap);
    b->older = a->newest;
    b->cap = cap;
    use(a, b);
}

static void grow(mg_arena *a, size_t n) {
    size_t cap = a->newest == NULL ? FIRST_BYTES : a->newest->cap + STEP_BYTES;
    cap = cap > USUAL_BYTES ? USUAL_BYTES : cap;
    add_block(a, cap < n ? n : cap);
}

void mg_arena_reserve(mg_arena *a, size_t n) {
    if (mg_arena_room(a) < n) {
        add_block(a, n);
    }
}

// Even an empty piece has an address.
static size_t rounded(size_t n) {
    return n == 0 ? 8 : (n + 7) & ~(size_t)7;
}

void *mg_arena_alloc(mg_arena *a, size_t n) {
    n = rounded(n);
    if (mg_arena_room(a) < n) {
        grow(a, n);
    }
    void *p = a->at;
    a->at += n;
    return p;
}

void mg_arena_shrink(mg_arena *a, void *p, size_t n, size_t less) {
    char *end = (char *)p + rounded(n);
    if (end == a->at) {
        a->at = (char *)p + rounded(less);
    }
}

char *mg_arena_copy(mg_arena *a, mg_str s) {
    char *p = mg_arena_alloc(a, s.n + 1);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return p;
}
