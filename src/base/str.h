// base/str.h: a borrowed run of bytes, and the ASCII helpers that protocols need.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Borrows `n` bytes at `p`; not terminated. {NULL, 0} is the empty string.
typedef struct mg_str {
    const char *p;
    size_t n;
} mg_str;

typedef struct mg_texts {
    const char *const *items; // terminated
    size_t n;
} mg_texts;

#define MG_STR(literal) ((mg_str){(literal), sizeof(literal) - 1})

static inline mg_str mg_str_of(const char *s) {
    return (mg_str){s, strlen(s)};
}

static inline bool mg_str_eq(mg_str a, mg_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char mg_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

// Compare ignoring ASCII case.
bool mg_str_ieq(mg_str a, mg_str b);
bool mg_str_istarts(mg_str s, mg_str prefix);

bool mg_str_starts(mg_str s, mg_str prefix);
bool mg_str_ends(mg_str s, mg_str suffix);

// `p + n`, also for nothing at all: C11 (6.5.6) has no sum of NULL and 0.
static inline const char *mg_ahead(const char *p, size_t n) {
    return n == 0 ? p : p + n;
}

// So many bytes at once, in the order of the machine; `p` need not be aligned.
static inline uint64_t mg_eight_at(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t mg_four_at(const char *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

// Takes `n` bytes (there are so many) off its front.
static inline void mg_str_skip(mg_str *s, size_t n) {
    s->p = mg_ahead(s->p, n);
    s->n -= n;
}

// FNV-1a, for tables whose keys nobody chooses against us.
uint32_t mg_str_hash(mg_str s);

// Takes what stands before the next `c` off its front, and that too; all of it if there is none.
mg_str mg_str_cut(mg_str *s, char c);

// Without leading and trailing SP and HTAB (OWS of RFC 9110 section 5.6.3).
mg_str mg_str_trim(mg_str s);

// Parses all of `s` as decimal digits. False if empty, if anything else is in it, or above `max`.
bool mg_str_to_u64(mg_str s, uint64_t max, uint64_t *out);

// The same with a "-" in front of what is below 0; whatever does not fit into 64 bits is none.
bool mg_str_to_i64(mg_str s, int64_t *out);

// Bytes as people write them, "64K" or "512": digits and one unit, binary. False: that is none.
bool mg_str_to_size(mg_str s, uint64_t *out);

// Takes the next item of a comma separated list (RFC 9110 section 5.6.1), trimmed; empty items are
// skipped. Commas inside quoted strings do not separate. False at the end. `*rest` is advanced.
bool mg_str_next_item(mg_str *rest, mg_str *item);

// token and its characters, RFC 9110 section 5.6.2.
extern const uint8_t mg_tchar[256];
bool mg_str_is_token(mg_str s);

// Takes the token off the front of `s`; false: there is none.
bool mg_str_take_token(mg_str *s, mg_str *token);

// The value of a hex digit, or -1.
int mg_hex_value(char c);
