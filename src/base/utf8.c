#include "base/utf8.h"

static bool follows(char c) {
    return ((uint8_t)c & 0xC0) == 0x80;
}

// The second byte carries the rules against overlong forms, surrogates and the end of Unicode.
static bool second_fits(uint8_t first, uint8_t second) {
    switch (first) {
    case 0xE0:
        return second >= 0xA0;
    case 0xED:
        return second < 0xA0;
    case 0xF0:
        return second >= 0x90;
    case 0xF4:
        return second < 0x90;
    default:
        return true;
    }
}

size_t mg_utf8_sequence(const char *p, size_t n) {
    if (n == 0) {
        return 0;
    }
    uint8_t first = (uint8_t)p[0];
    if (first < 0x80) {
        return 1;
    }
    size_t len = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first < 0xC2 || first > 0xF4 || n < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if (!follows(p[i])) {
            return 0;
        }
    }
    return second_fits(first, (uint8_t)p[1]) ? len : 0;
}

size_t mg_utf8_subpart(const char *p, size_t n) {
    uint8_t first = (uint8_t)p[0];
    if (first < 0xC2 || first > 0xF4 || n < 2 || !follows(p[1]) ||
        !second_fits(first, (uint8_t)p[1])) {
        return 1;
    }
    return first >= 0xF0 && n > 2 && follows(p[2]) ? 3 : 2;
}

static bool is_ascii_word(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return (word & 0x8080808080808080u) == 0;
}

size_t mg_utf8_whole(mg_str s, bool *broken) {
    size_t i = 0;
    while (i < s.n) {
        if (s.n - i >= sizeof(uint64_t) && is_ascii_word(s.p + i)) {
            i += sizeof(uint64_t);
            continue;
        }
        size_t len = mg_utf8_sequence(s.p + i, s.n - i);
        if (len == 0) {
            uint8_t first = (uint8_t)s.p[i];
            *broken = first < 0xC2 || first > 0xF4 || mg_utf8_subpart(s.p + i, s.n - i) != s.n - i;
            return i;
        }
        i += len;
    }
    *broken = false;
    return i;
}

bool mg_utf8_valid(mg_str s) {
    bool broken;
    return mg_utf8_whole(s, &broken) == s.n;
}

size_t mg_utf8_write(char *out, uint32_t code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)((0xF00u >> len & 0xFF) | code);
    return len;
}
