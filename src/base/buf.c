#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>

void mg_buf_deinit(mg_buf *b) {
    mg_free(b->p);
    *b = (mg_buf){0};
}

void mg_buf_grow(mg_buf *b, size_t need) {
    size_t cap = b->cap == 0 ? 256 : b->cap;
    while (cap < need) {
        cap *= 2;
    }
    b->p = mg_realloc(b->p, cap);
    b->cap = cap;
}

void mg_buf_append(mg_buf *b, const void *data, size_t n) {
    if (n > 0) {
        memcpy(mg_buf_reserve(b, n), data, n);
        b->n += n;
    }
}

void mg_buf_append_str(mg_buf *b, mg_str s) {
    mg_buf_append(b, s.p, s.n);
}

void mg_buf_append_char(mg_buf *b, char c) {
    *mg_buf_reserve(b, 1) = c;
    b->n++;
}

void mg_buf_append_u64(mg_buf *b, uint64_t v) {
    b->n += mg_format_u64(mg_buf_reserve(b, 20), v);
}

void mg_buf_printf(mg_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        vsnprintf(mg_buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void mg_buf_consume(mg_buf *b, size_t n) {
    b->n -= n;
    if (b->n > 0) {
        memmove(b->p, b->p + n, b->n);
    }
}

size_t mg_format_u64(char *out, uint64_t v) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

void mg_buf_append_behind(mg_buf *b, size_t *at, mg_str s) {
    if (*at > 0 && b->cap - b->n < s.n) {
        mg_buf_consume(b, *at);
        *at = 0;
    }
    mg_buf_append_str(b, s);
}
