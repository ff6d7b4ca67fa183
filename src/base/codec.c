#include "base/codec.h"

#include "base/error.h"

static const char standard_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t encode_tail(char *to, mg_str tail, const char *digits, bool padded) {
    uint32_t bits = (uint32_t)(uint8_t)tail.p[0] << 16;
    if (tail.n == 2) {
        bits |= (uint32_t)(uint8_t)tail.p[1] << 8;
    }
    size_t n = tail.n + 1;
    for (size_t i = 0; i < n; i++) {
        to[i] = digits[bits >> (18 - 6 * i) & 63];
    }
    while (padded && n < 4) {
        to[n++] = '=';
    }
    return n;
}

void mg_base64_encode(mg_buf *out, mg_str in, unsigned flags) {
    const char *digits = (flags & MG_BASE64_URL) != 0 ? url_digits : standard_digits;
    char *to = mg_buf_reserve(out, in.n / 3 * 4 + 4);
    size_t i = 0;
    for (; i + 3 <= in.n; i += 3) {
        const uint8_t *p = (const uint8_t *)in.p + i;
        uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *to++ = digits[bits >> 18];
        *to++ = digits[bits >> 12 & 63];
        *to++ = digits[bits >> 6 & 63];
        *to++ = digits[bits & 63];
    }
    if (i < in.n) {
        mg_str tail = {in.p + i, in.n - i};
        to += encode_tail(to, tail, digits, (flags & MG_BASE64_UNPADDED) == 0);
    }
    out->n = (size_t)(to - out->p);
}

static int base64_value(char c, bool url) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == (url ? '-' : '+')) {
        return 62;
    }
    return c == (url ? '_' : '/') ? 63 : -1;
}

static mg_str without_padding(mg_str in) {
    for (int i = 0; i < 2 && in.n % 4 != 1 && in.n > 0 && in.p[in.n - 1] == '='; i++) {
        in.n--;
    }
    return in;
}

int mg_base64_decode(mg_buf *out, mg_str in, unsigned flags) {
    mg_str text = without_padding(in);
    if (text.n % 4 == 1 || (text.n != in.n && in.n % 4 != 0)) {
        return MG_ESYNTAX;
    }
    char *to = mg_buf_reserve(out, text.n / 4 * 3 + 3);
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = base64_value(text.p[i], (flags & MG_BASE64_URL) != 0);
        if (value < 0) {
            return MG_ESYNTAX;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (char)(uint8_t)(bits >> count);
            bits &= (1u << count) - 1;
        }
    }
    if (bits != 0) {
        return MG_ESYNTAX;
    }
    out->n = (size_t)(to - out->p);
    return MG_OK;
}

void mg_hex_encode(mg_buf *out, mg_str in) {
    static const char digits[] = "0123456789abcdef";
    char *to = mg_buf_reserve(out, in.n * 2);
    for (size_t i = 0; i < in.n; i++) {
        *to++ = digits[(uint8_t)in.p[i] >> 4];
        *to++ = digits[in.p[i] & 15];
    }
    out->n += in.n * 2;
}

// The byte that two hex digits stand for, or -1.
static int hex_byte(const char *p) {
    int high = mg_hex_value(p[0]);
    int low = mg_hex_value(p[1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int mg_hex_decode(mg_buf *out, mg_str in) {
    if (in.n % 2 != 0) {
        return MG_ESYNTAX;
    }
    char *to = mg_buf_reserve(out, in.n / 2);
    for (size_t i = 0; i < in.n; i += 2) {
        int byte = hex_byte(in.p + i);
        if (byte < 0) {
            return MG_ESYNTAX;
        }
        *to++ = (char)byte;
    }
    out->n += in.n / 2;
    return MG_OK;
}

static bool unreserved(char c) {
    return (c >= '0' && c <= '9') || (mg_lower(c) >= 'a' && mg_lower(c) <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void mg_percent_encode(mg_buf *out, mg_str in) {
    static const char digits[] = "0123456789ABCDEF";
    char *to = mg_buf_reserve(out, in.n * 3);
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (unreserved(c)) {
            *to++ = c;
        } else {
            *to++ = '%';
            *to++ = digits[(uint8_t)c >> 4];
            *to++ = digits[c & 15];
        }
    }
    out->n = (size_t)(to - out->p);
}

int mg_percent_decode(mg_buf *out, mg_str in) {
    char *to = mg_buf_reserve(out, in.n);
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == '%') {
            int byte = in.n - i > 2 ? hex_byte(in.p + i + 1) : -1;
            if (byte < 0) {
                return MG_ESYNTAX;
            }
            c = (char)byte;
            i += 2;
        }
        *to++ = c;
    }
    out->n = (size_t)(to - out->p);
    return MG_OK;
}
