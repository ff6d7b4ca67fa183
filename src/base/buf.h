// base/buf.h: a growing run of bytes.
#pragma once

#include "base/str.h"

#include <stdarg.h>

// Owns its memory. A zeroed mg_buf is a valid empty one.
typedef struct mg_buf {
    char *p;
    size_t n;
    size_t cap;
} mg_buf;

// Frees the memory and leaves an empty buffer.
void mg_buf_deinit(mg_buf *b);

// For mg_buf_reserve: makes the buffer hold `need` bytes at least.
void mg_buf_grow(mg_buf *b, size_t need);

// Makes room for `more` bytes behind the content and returns where they go; the caller adds to `n`
// what it wrote. An empty buffer gets memory even for nothing: the caller's pointer must be one to
// compute with.
static inline char *mg_buf_reserve(mg_buf *b, size_t more) {
    if (b->cap - b->n < more || b->p == NULL) {
        mg_buf_grow(b, b->n + more);
    }
    return b->p + b->n;
}

void mg_buf_append(mg_buf *b, const void *data, size_t n);
void mg_buf_append_str(mg_buf *b, mg_str s);
void mg_buf_append_char(mg_buf *b, char c);
void mg_buf_append_u64(mg_buf *b, uint64_t v);
void mg_buf_printf(mg_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// Drops `n` bytes from the front (moves the rest).
void mg_buf_consume(mg_buf *b, size_t n);

// Appends to a buffer of which the first `*at` bytes are done with: they go, and `*at` becomes 0,
// rather than that it grows.
void mg_buf_append_behind(mg_buf *b, size_t *at, mg_str s);

static inline void mg_buf_clear(mg_buf *b) {
    b->n = 0;
}

static inline mg_str mg_buf_str(const mg_buf *b) {
    return (mg_str){b->p, b->n};
}

// Writes `v` in decimal and returns the count of digits. `out` holds 20 bytes at least.
size_t mg_format_u64(char *out, uint64_t v);
