#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p, size_t n) {
    if (p == NULL) {
        fprintf(stderr, "moongate: out of memory (%zu bytes wanted)\n", n);
        abort();
    }
    return p;
}

void *mg_malloc(size_t n) {
    return must(malloc(n == 0 ? 1 : n), n);
}

void *mg_calloc(size_t count, size_t n) {
    return must(calloc(count == 0 ? 1 : count, n == 0 ? 1 : n), count * n);
}

void *mg_realloc(void *p, size_t n) {
    return must(realloc(p, n == 0 ? 1 : n), n);
}

char *mg_strdup(const char *s) {
    return mg_strndup(s, strlen(s));
}

char *mg_strndup(const char *s, size_t n) {
    char *copy = mg_malloc(n + 1);
    if (n > 0) {
        memcpy(copy, s, n);
    }
    copy[n] = '\0';
    return copy;
}

void mg_free(void *p) {
    free(p);
}

void mg_mem_begin(void) {
    enum { KEPT = 64 << 20, TAKEN_AT_ONCE = 1 << 20, LARGE = 4 << 20 };
    mallopt(M_TRIM_THRESHOLD, KEPT);
    mallopt(M_TOP_PAD, TAKEN_AT_ONCE);
    mallopt(M_MMAP_THRESHOLD, LARGE); // the library moves it no more once one of these is set
}

bool mg_mem_tend(void) {
    enum { MUCH = 4 << 20 };
    // What is given back stays in the allocator's count of what is free.
    static size_t least;
    size_t unused = mallinfo2().fordblks;
    if (unused < least) {
        least = unused;
    }
    if (unused - least < MUCH) {
        return false;
    }
    malloc_trim(0);
    least = unused;
    return true;
}
