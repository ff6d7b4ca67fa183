#include "base/str.h"

#define Y 1
const uint8_t mg_tchar[256] = {
    ['!'] = Y, ['#'] = Y, ['$'] = Y, ['%'] = Y, ['&'] = Y, ['\''] = Y, ['*'] = Y, ['+'] = Y,
    ['-'] = Y, ['.'] = Y, ['^'] = Y, ['_'] = Y, ['`'] = Y, ['|'] = Y,  ['~'] = Y, ['0'] = Y,
    ['1'] = Y, ['2'] = Y, ['3'] = Y, ['4'] = Y, ['5'] = Y, ['6'] = Y,  ['7'] = Y, ['8'] = Y,
    ['9'] = Y, ['A'] = Y, ['B'] = Y, ['C'] = Y, ['D'] = Y, ['E'] = Y,  ['F'] = Y, ['G'] = Y,
    ['H'] = Y, ['I'] = Y, ['J'] = Y, ['K'] = Y, ['L'] = Y, ['M'] = Y,  ['N'] = Y, ['O'] = Y,
    ['P'] = Y, ['Q'] = Y, ['R'] = Y, ['S'] = Y, ['T'] = Y, ['U'] = Y,  ['V'] = Y, ['W'] = Y,
    ['X'] = Y, ['Y'] = Y, ['Z'] = Y, ['a'] = Y, ['b'] = Y, ['c'] = Y,  ['d'] = Y, ['e'] = Y,
    ['f'] = Y, ['g'] = Y, ['h'] = Y, ['i'] = Y, ['j'] = Y, ['k'] = Y,  ['l'] = Y, ['m'] = Y,
    ['n'] = Y, ['o'] = Y, ['p'] = Y, ['q'] = Y, ['r'] = Y, ['s'] = Y,  ['t'] = Y, ['u'] = Y,
    ['v'] = Y, ['w'] = Y, ['x'] = Y, ['y'] = Y, ['z'] = Y,
};
#undef Y

// Eight bytes with their capitals made small; bytes beyond ASCII stay.
static uint64_t lower8(const char *p) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t v;
    memcpy(&v, p, sizeof v);
    uint64_t low = v & ones * 0x7f;
    uint64_t capital =
        (low + ones * (0x80 - 'A')) & ~(low + ones * (0x7f - 'Z')) & ~v & ones * 0x80;
    return v | capital >> 2;
}

bool mg_str_ieq(mg_str a, mg_str b) {
    if (a.n != b.n) {
        return false;
    }
    if (a.n >= 8) { // the last eight overlap with those before
        for (size_t i = 0; i < a.n - 8; i += 8) {
            if (lower8(a.p + i) != lower8(b.p + i)) {
                return false;
            }
        }
        return lower8(a.p + a.n - 8) == lower8(b.p + b.n - 8);
    }
    for (size_t i = 0; i < a.n; i++) {
        if (mg_lower(a.p[i]) != mg_lower(b.p[i])) {
            return false;
        }
    }
    return true;
}

bool mg_str_istarts(mg_str s, mg_str prefix) {
    return s.n >= prefix.n && mg_str_ieq((mg_str){s.p, prefix.n}, prefix);
}

bool mg_str_starts(mg_str s, mg_str prefix) {
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool mg_str_ends(mg_str s, mg_str suffix) {
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

mg_str mg_str_cut(mg_str *s, char c) {
    if (s->n == 0) { // it may have no address
        return *s;
    }
    const char *end = memchr(s->p, c, s->n);
    mg_str part = {s->p, end != NULL ? (size_t)(end - s->p) : s->n};
    mg_str_skip(s, part.n + (end != NULL));
    return part;
}

static bool is_ows(char c) {
    return c == ' ' || c == '\t';
}

uint32_t mg_str_hash(mg_str s) {
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s.n; i++) {
        h = (h ^ (uint8_t)s.p[i]) * 16777619u;
    }
    return h;
}

mg_str mg_str_trim(mg_str s) {
    while (s.n > 0 && is_ows(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_ows(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool mg_str_to_u64(mg_str s, uint64_t max, uint64_t *out) {
    if (s.n == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        // No division here: this runs for the port of every request's Host.
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value) || value > max) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool mg_str_to_i64(mg_str s, int64_t *out) {
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t n;
    if (minus) {
        mg_str_skip(&s, 1);
    }
    if (!mg_str_to_u64(s, (uint64_t)INT64_MAX + minus, &n)) {
        return false;
    }
    *out = minus ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

bool mg_str_to_size(mg_str s, uint64_t *out) {
    static const char units[] = "kmgt";
    unsigned shift = 0;
    const char *unit = s.n > 0 ? strchr(units, mg_lower(s.p[s.n - 1])) : NULL;
    if (unit != NULL && *unit != '\0') {
        shift = 10 * (unsigned)(unit - units + 1);
        s.n--;
    }
    if (!mg_str_to_u64(s, UINT64_MAX >> shift, out)) {
        return false;
    }
    *out <<= shift;
    return true;
}

// Where the item that starts at `s.p` ends: the next comma outside a quoted string, or the end.
static size_t item_end(mg_str s) {
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (s.p[i] == ',' && !quoted) {
            return i;
        }
    }
    return s.n;
}

bool mg_str_next_item(mg_str *rest, mg_str *item) {
    while (rest->n > 0) {
        size_t end = item_end(*rest);
        *item = mg_str_trim((mg_str){rest->p, end});
        size_t skip = end < rest->n ? end + 1 : end;
        rest->p += skip;
        rest->n -= skip;
        if (item->n > 0) {
            return true;
        }
    }
    return false;
}

bool mg_str_take_token(mg_str *s, mg_str *token) {
    size_t n = 0;
    while (n < s->n && mg_tchar[(uint8_t)s->p[n]]) {
        n++;
    }
    *token = (mg_str){s->p, n};
    mg_str_skip(s, n);
    return n > 0;
}

bool mg_str_is_token(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (!mg_tchar[(uint8_t)s.p[i]]) {
            return false;
        }
    }
    return s.n > 0;
}

int mg_hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char l = mg_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}
