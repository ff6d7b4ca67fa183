#include "base/json_text.h"

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

static bool plain(char c) {
    return (uint8_t)c >= 0x20 && (uint8_t)c < 0x80 && c != '"' && c != '\\';
}

// Whether one of eight bytes is not plain.
static bool has_other(uint64_t w) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t quote = w ^ ones * '"';
    uint64_t slash = w ^ ones * '\\';
    // A byte's top bit is set here if it was set before, if the byte was below 0x20, or if it was
    // one of the two. A borrow can only come from a lower byte that is a hit itself.
    uint64_t hits = w | (w - ones * 0x20) | (quote - ones) | (slash - ones);
    return (hits & ones * 0x80) != 0;
}

// Skips whole words of plain characters; the first byte that is not plain lies less than 8 bytes
// behind.
static size_t skip_words(const char *p, size_t n) {
    size_t i = 0;
    while (i + 8 <= n && !has_other(mg_eight_at(p + i))) {
        i += 8;
    }
    return i;
}

// What is left of a whole number of words is looked at with what stands before it.
static bool is_plain(mg_str s) {
    if (s.n >= 8) {
        return skip_words(s.p, s.n) + 8 > s.n && !has_other(mg_eight_at(s.p + s.n - 8));
    }
    if (s.n >= 4) {
        return !has_other((uint64_t)mg_four_at(s.p) << 32 | mg_four_at(s.p + s.n - 4));
    }
    bool good = true;
    for (size_t i = 0; i < s.n; i++) {
        good &= plain(s.p[i]);
    }
    return good;
}

size_t mg_json_run(const char *p, size_t n, bool any_bytes) {
    size_t i = skip_words(p, n);
    while (i < n) {
        if (plain(p[i])) {
            i++;
            continue;
        }
        size_t len = (uint8_t)p[i] < 0x80 ? 0 : mg_utf8_sequence(p + i, n - i);
        if (len == 0 && (!any_bytes || (uint8_t)p[i] < 0x80)) {
            break;
        }
        i += len == 0 ? 1 : len;
        i += skip_words(p + i, n - i);
    }
    return i;
}

// The four hex digits behind "\u", or -1.
static int32_t hex4(mg_str s) {
    if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u') {
        return -1;
    }
    int32_t value = 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = mg_hex_value(s.p[i]);
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static const char *unescape_unicode(mg_str s, mg_buf *out, size_t *taken) {
    int32_t code = hex4(s);
    if (code < 0) {
        return "four hex digits must follow \\u";
    }
    *taken = 6;
    if (code >= 0xD800 && code < 0xE000) {
        int32_t low = hex4((mg_str){s.p + 6, s.n - 6});
        if (code >= 0xDC00 || low < 0xDC00 || low >= 0xE000) {
            return "lone surrogate";
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *taken = 12;
    }
    out->n += mg_utf8_write(mg_buf_reserve(out, 4), (uint32_t)code);
    return NULL;
}

const char *mg_json_unescape(mg_str s, mg_buf *out, size_t *taken) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (s.n > 1 && s.p[1] == 'u') {
        return unescape_unicode(s, out, taken);
    }
    const char *name = s.n > 1 ? memchr(names, s.p[1], sizeof names - 1) : NULL;
    if (name == NULL) {
        return "unknown escape";
    }
    mg_buf_append_char(out, values[name - names]);
    *taken = 2;
    return NULL;
}

static void write_escape(mg_buf *b, char c) {
    static const char hex[] = "0123456789abcdef";
    static const char names[] = "\"\\bfnrt";
    static const char values[] = "\"\\\b\f\n\r\t";
    const char *value = memchr(values, c, sizeof values - 1);
    if (value != NULL) {
        mg_buf_append(b, (char[]){'\\', names[value - values]}, 2);
    } else {
        mg_buf_append(b, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    }
}

typedef enum not_utf8 { REFUSE, REPLACE, KEEP } not_utf8;

// The rest of a string, behind its first `i` bytes, which stand in `b` already. MG_ESYNTAX at bytes
// that are refused.
static int write_rest(mg_buf *b, mg_str s, size_t i, not_utf8 what) {
    while (i < s.n) {
        if ((uint8_t)s.p[i] < 0x80) {
            write_escape(b, s.p[i++]);
        } else if (what == REPLACE) {
            mg_buf_append(b, "\xEF\xBF\xBD", 3);
            i += mg_utf8_subpart(s.p + i, s.n - i);
        } else {
            return MG_ESYNTAX;
        }
        size_t run = mg_json_run(s.p + i, s.n - i, what == KEEP);
        mg_buf_append(b, s.p + i, run);
        i += run;
    }
    return MG_OK;
}

// Most are short, and a call is dearer than they are. Pieces may overlap.
static void copy(char *to, mg_str s) {
    if (s.n > 16) {
        memcpy(to, s.p, s.n);
    } else if (s.n >= 8) {
        memcpy(to, s.p, 8);
        memcpy(to + s.n - 8, s.p + s.n - 8, 8);
    } else if (s.n >= 4) {
        memcpy(to, s.p, 4);
        memcpy(to + s.n - 4, s.p + s.n - 4, 4);
    } else if (s.n > 0) {
        to[0] = s.p[0];
        to[s.n / 2] = s.p[s.n / 2];
        to[s.n - 1] = s.p[s.n - 1];
    }
}

static int write_quoted(mg_buf *b, mg_str s, not_utf8 what) {
    size_t before = b->n;
    char *to = mg_buf_reserve(b, s.n + 2);
    to[0] = '"';
    if (is_plain(s)) {
        to[s.n + 1] = '"';
        copy(to + 1, s);
        b->n += s.n + 2;
        return MG_OK;
    }
    size_t run = mg_json_run(s.p, s.n, what == KEEP);
    memcpy(to + 1, s.p, run);
    b->n += 1 + run;
    if (run < s.n && write_rest(b, s, run, what) != MG_OK) {
        b->n = before;
        return MG_ESYNTAX;
    }
    mg_buf_append_char(b, '"');
    return MG_OK;
}

int mg_json_write_string(mg_buf *b, mg_str s) {
    return write_quoted(b, s, REFUSE);
}

void mg_json_write_replaced(mg_buf *b, mg_str s) {
    write_quoted(b, s, REPLACE);
}

void mg_json_write_raw(mg_buf *b, mg_str s) {
    write_quoted(b, s, KEEP);
}
