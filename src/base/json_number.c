#include "base/json_number.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

// Up to here an integer, and a power of ten, is exact in a double.
#define EXACT_INTEGER ((uint64_t)1 << 53)
enum { EXACT_POWER = 22 };
static const double powers[EXACT_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static size_t digits(mg_str s, size_t at) {
    size_t i = at;
    while (i < s.n && is_digit(s.p[i])) {
        i++;
    }
    return i - at;
}

static size_t fraction(mg_str s, size_t at, bool *good) {
    if (at == s.n || s.p[at] != '.') {
        return 0;
    }
    size_t n = digits(s, at + 1);
    *good = n > 0;
    return 1 + n;
}

static size_t exponent(mg_str s, size_t at, bool *good) {
    if (at == s.n || (s.p[at] | 0x20) != 'e') {
        return 0;
    }
    size_t sign = at + 1 < s.n && (s.p[at + 1] == '+' || s.p[at + 1] == '-') ? 1 : 0;
    size_t n = digits(s, at + 1 + sign);
    *good = n > 0;
    return 1 + sign + n;
}

mg_json_number mg_json_find_number(mg_str s) {
    size_t at = s.n > 0 && s.p[0] == '-' ? 1 : 0;
    // A leading zero stands alone; what follows it is the caller's to refuse.
    size_t whole = at < s.n && s.p[at] == '0' ? 1 : digits(s, at);
    bool good = whole > 0;
    size_t integer_end = at += whole;
    if (good) {
        at += fraction(s, at, &good);
    }
    if (good) {
        at += exponent(s, at, &good);
    }
    return (mg_json_number){{s.p, at}, good, at == integer_end};
}

bool mg_json_magnitude(mg_str text, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = text.p[0] == '-' ? 1 : 0; i < text.n; i++) {
        uint64_t digit = (uint64_t)(text.p[i] - '0');
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

// strtod and printf follow the locale, which a script may set: "1,5" would be no JSON.
static locale_t plain_locale;

static void make_locale(void) {
    plain_locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

static locale_t enter_locale(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return uselocale(plain_locale);
}

static double slow_to_double(mg_str text) {
    char local[64];
    char *copy = text.n < sizeof local ? local : mg_malloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    locale_t before = enter_locale();
    double value = strtod(copy, NULL);
    uselocale(before);
    if (copy != local) {
        mg_free(copy);
    }
    return value;
}

// Reads the digits into `*mantissa` and returns the power of ten that goes with it; false if they
// are too many.
static bool split(mg_str text, uint64_t *mantissa, int *power) {
    uint64_t m = 0;
    int shift = 0;
    bool after_point = false;
    size_t i = text.p[0] == '-' ? 1 : 0;
    for (; i < text.n && (text.p[i] | 0x20) != 'e'; i++) {
        if (text.p[i] == '.') {
            after_point = true;
            continue;
        }
        if (m > UINT64_MAX / 10 - 1) {
            return false;
        }
        m = m * 10 + (uint64_t)(text.p[i] - '0');
        shift -= after_point ? 1 : 0;
    }
    int e = 0;
    bool negative = i + 1 < text.n && text.p[i + 1] == '-';
    for (i++; i < text.n && e < 1000; i++) {
        e = is_digit(text.p[i]) ? e * 10 + (text.p[i] - '0') : e;
    }
    *mantissa = m;
    *power = shift + (negative ? -e : e);
    return true;
}

bool mg_json_to_double(mg_str text, double *out) {
    uint64_t mantissa;
    int power;
    // Two exact operands and one rounding: the result is the correctly rounded one.
    if (split(text, &mantissa, &power) && mantissa <= EXACT_INTEGER && power >= -EXACT_POWER &&
        power <= EXACT_POWER) {
        double m = (double)mantissa;
        double value = power < 0 ? m / powers[-power] : m * powers[power];
        *out = text.p[0] == '-' ? -value : value;
        return true;
    }
    *out = slow_to_double(text);
    return isfinite(*out);
}

void mg_json_write_u64(mg_buf *b, uint64_t v) {
    mg_buf_append_u64(b, v);
}

void mg_json_write_i64(mg_buf *b, int64_t v) {
    if (v < 0) {
        mg_buf_append_char(b, '-');
    }
    mg_buf_append_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

static void write_fixed(mg_buf *b, uint64_t scaled, unsigned places) {
    uint64_t unit = (uint64_t)powers[places];
    mg_buf_append_u64(b, scaled / unit);
    char *p = mg_buf_reserve(b, places + 1);
    p[0] = '.';
    uint64_t rest = scaled % unit;
    for (unsigned i = places; i > 0; i--) {
        p[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    b->n += places + 1;
}

// Amounts and times have few decimal places: v = scaled / 10^places, divided exactly, is proof that
// the text reads back.
static bool write_short(mg_buf *b, double v) {
    enum { PLACES = 8 };
    for (unsigned places = 1; places <= PLACES && v >= 1e-4; places++) {
        double scaled = v * powers[places];
        if (scaled >= (double)EXACT_INTEGER) {
            return false;
        }
        uint64_t rounded = (uint64_t)(scaled + 0.5);
        if ((double)rounded / powers[places] == v) {
            write_fixed(b, rounded, places);
            return true;
        }
    }
    return false;
}

static void write_long(mg_buf *b, double v) {
    // Every double with few digits shows them at 15; below DBL_MIN there is less precision than
    // that.
    int precision = v < DBL_MIN ? 1 : DBL_DIG;
    char text[32];
    locale_t before = enter_locale();
    int n = snprintf(text, sizeof text, "%.*g", precision, v);
    while (precision < 17 && strtod(text, NULL) != v) {
        n = snprintf(text, sizeof text, "%.*g", ++precision, v);
    }
    uselocale(before);
    mg_buf_append(b, text, (size_t)n);
}

int mg_json_write_double(mg_buf *b, double v) {
    if (!isfinite(v)) {
        return MG_ESYNTAX;
    }
    if (signbit(v)) {
        mg_buf_append_char(b, '-');
        v = -v;
    }
    if (v <= (double)EXACT_INTEGER && (double)(uint64_t)v == v) {
        mg_buf_append_u64(b, (uint64_t)v);
    } else if (!write_short(b, v)) {
        write_long(b, v);
    }
    return MG_OK;
}
