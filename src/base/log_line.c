#include "base/log_line.h"

#include "base/utf8.h"

#include <time.h>

static const char *const level_names[] = {
    [MG_LOG_DEBUG] = "debug",
    [MG_LOG_INFO] = "info",
    [MG_LOG_WARN] = "warn",
    [MG_LOG_ERROR] = "error",
};
enum { LEVELS = sizeof level_names / sizeof level_names[0] };

const char *mg_log_level_name(mg_log_level level) {
    return level_names[level];
}

bool mg_log_level_of(mg_str name, mg_log_level *out) {
    for (int i = 0; i < LEVELS; i++) {
        if (mg_str_eq(name, mg_str_of(level_names[i]))) {
            *out = (mg_log_level)i;
            return true;
        }
    }
    return false;
}

static void put_digits(char *out, unsigned v, int width) {
    while (width-- > 0) {
        out[width] = (char)('0' + v % 10);
        v /= 10;
    }
}

void mg_log_append_time(mg_buf *out, uint64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[] = "0000-00-00T00:00:00.000Z";
    put_digits(text, (unsigned)tm.tm_year + 1900, 4);
    put_digits(text + 5, (unsigned)tm.tm_mon + 1, 2);
    put_digits(text + 8, (unsigned)tm.tm_mday, 2);
    put_digits(text + 11, (unsigned)tm.tm_hour, 2);
    put_digits(text + 14, (unsigned)tm.tm_min, 2);
    put_digits(text + 17, (unsigned)tm.tm_sec, 2);
    put_digits(text + 20, (unsigned)(wall_ms % 1000), 3);
    mg_buf_append(out, text, sizeof text - 1);
}

// Eight bytes at once.
static bool all_plain(const char *p) {
    const uint64_t ones = 0x0101010101010101;
    uint64_t w;
    memcpy(&w, p, sizeof w);
    uint64_t quote = w ^ ones * '"';
    uint64_t slash = w ^ ones * '\\';
    // A byte's top bit is set here if it was set before, if the byte was below 0x20 or 0x7f, or if
    // it was one of the two. A borrow or carry can only come from a lower byte that is a hit
    // itself.
    uint64_t hits = w | (w - ones * 0x20) | (w + ones) | (quote - ones) | (slash - ones);
    return (hits & ones * 0x80) == 0;
}

size_t mg_log_plain_ascii(mg_str s) {
    size_t i = 0;
    while (s.n - i >= 8 && all_plain(s.p + i)) {
        i += 8;
    }
    if (s.n - i < 8 && s.n >= 8 && all_plain(s.p + s.n - 8)) {
        return s.n;
    }
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\\') {
        i++;
    }
    return i;
}

// How many bytes at the start of `s` may stand as they are: printable ASCII without quote and
// backslash, and UTF-8 without the control characters U+0080 to U+009F, which terminals obey as
// they do the old ones.
static size_t plain_run(mg_str s) {
    size_t i = mg_log_plain_ascii(s);
    while (i < s.n) {
        uint8_t c = (uint8_t)s.p[i];
        if (c >= 0x80) {
            size_t n = mg_utf8_sequence(s.p + i, s.n - i);
            if (n == 0 || (c == 0xc2 && (uint8_t)s.p[i + 1] < 0xa0)) {
                break;
            }
            i += n;
        } else if (c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            break;
        } else {
            i++;
        }
    }
    return i;
}

static mg_str after(mg_str s, size_t n) {
    return (mg_str){s.p + n, s.n - n};
}

static void append_hex(mg_buf *out, const char *before, uint8_t byte) {
    static const char hex[] = "0123456789abcdef";
    mg_buf_append_str(out, mg_str_of(before));
    mg_buf_append_char(out, hex[byte >> 4]);
    mg_buf_append_char(out, hex[byte & 15]);
}

// The letter that stands behind a backslash for `c`, or 0.
static char short_escape(char c) {
    switch (c) {
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return c;
    default:
        return 0;
    }
}

static void append_short(mg_buf *out, char letter) {
    mg_buf_append_char(out, '\\');
    mg_buf_append_char(out, letter);
}

static void append_escaped(mg_buf *out, mg_str s, bool quotes_too) {
    while (s.n > 0) {
        size_t n = plain_run(s);
        mg_buf_append(out, s.p, n);
        s = after(s, n);
        if (s.n == 0) {
            return;
        }
        char letter = short_escape(s.p[0]);
        if (letter == '"' && !quotes_too) {
            mg_buf_append_char(out, letter);
        } else if (letter != 0) {
            append_short(out, letter);
        } else {
            append_hex(out, "\\x", (uint8_t)s.p[0]);
        }
        s = after(s, 1);
    }
}

// Escapes the byte or character that stopped a run and returns how many bytes that were.
static size_t append_json_escape(mg_buf *out, mg_str s) {
    uint8_t c = (uint8_t)s.p[0];
    char letter = short_escape(s.p[0]);
    if (letter != 0) {
        append_short(out, letter);
    } else if (c < 0x80) {
        append_hex(out, "\\u00", c);
    } else if (mg_utf8_sequence(s.p, s.n) == 2) {
        append_hex(out, "\\u00", (uint8_t)s.p[1]);
        return 2;
    } else {
        mg_buf_append_str(out, MG_STR("\\ufffd"));
        return mg_utf8_subpart(s.p, s.n);
    }
    return 1;
}

void mg_log_append_json_string(mg_buf *out, mg_str s) {
    mg_buf_append_char(out, '"');
    while (s.n > 0) {
        size_t n = plain_run(s);
        mg_buf_append(out, s.p, n);
        s = after(s, n);
        if (s.n > 0) {
            s = after(s, append_json_escape(out, s));
        }
    }
    mg_buf_append_char(out, '"');
}

static bool is_key_char(char c) {
    char l = mg_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

static void append_key(mg_buf *out, mg_str key) {
    for (size_t i = 0; i < key.n; i++) {
        mg_buf_append_char(out, is_key_char(key.p[i]) ? key.p[i] : '_');
    }
}

static bool needs_quotes(mg_str s) {
    return s.n == 0 || plain_run(s) < s.n || memchr(s.p, ' ', s.n) != NULL ||
           memchr(s.p, '=', s.n) != NULL;
}

static void append_text_field(mg_buf *out, const mg_log_field *f) {
    mg_buf_append_char(out, ' ');
    append_key(out, f->key);
    mg_buf_append_char(out, '=');
    if (f->literal || !needs_quotes(f->value)) {
        mg_buf_append_str(out, f->value);
        return;
    }
    mg_buf_append_char(out, '"');
    append_escaped(out, f->value, true);
    mg_buf_append_char(out, '"');
}

static const char *const columns[] = {" debug ", " info  ", " warn  ", " error "};

void mg_log_append_text(mg_buf *out, const mg_log_event *e) {
    mg_log_append_time(out, e->wall_ms);
    mg_buf_append(out, columns[e->level], 7);
    append_escaped(out, e->message, false);
    for (size_t i = 0; i < e->field_count; i++) {
        append_text_field(out, &e->fields[i]);
    }
    mg_buf_append_char(out, '\n');
}

#define DIM   "\x1b[2m"
#define PLAIN "\x1b[0m"
static const char *const colours[] = {DIM, "\x1b[36m", "\x1b[33m", "\x1b[31m"};

static void append_clock(mg_buf *out, uint64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    char text[] = "00:00:00.000";
    put_digits(text, (unsigned)tm.tm_hour, 2);
    put_digits(text + 3, (unsigned)tm.tm_min, 2);
    put_digits(text + 6, (unsigned)tm.tm_sec, 2);
    put_digits(text + 9, (unsigned)(wall_ms % 1000), 3);
    mg_buf_append(out, text, sizeof text - 1);
}

static mg_str first_line(mg_str s) {
    const char *end = s.n > 0 ? memchr(s.p, '\n', s.n) : NULL;
    return (mg_str){s.p, end != NULL ? (size_t)(end - s.p) : s.n};
}

// A tab of a traceback is a step to the right.
static void append_further_line(mg_buf *out, mg_str line) {
    mg_buf_append_str(out, MG_STR("\n    "));
    while (line.n > 0 && line.p[0] == '\t') {
        mg_buf_append_str(out, MG_STR("  "));
        line = after(line, 1);
    }
    append_escaped(out, line, false);
}

void mg_log_append_people(mg_buf *out, const mg_log_event *e, bool colour) {
    mg_str line = first_line(e->message);
    mg_str rest = after(e->message, line.n);
    mg_buf_append_str(out, colour ? MG_STR(DIM) : MG_STR(""));
    append_clock(out, e->wall_ms);
    mg_buf_append_str(out, mg_str_of(colour ? PLAIN : ""));
    mg_buf_append_str(out, mg_str_of(colour ? colours[e->level] : ""));
    mg_buf_append(out, columns[e->level], 7);
    mg_buf_append_str(out, mg_str_of(colour ? PLAIN : ""));
    append_escaped(out, line, false);
    for (size_t i = 0; i < e->field_count; i++) {
        append_text_field(out, &e->fields[i]);
    }
    while (rest.n > 0) {
        rest = after(rest, 1); // the line's end
        line = first_line(rest);
        append_further_line(out, line);
        rest = after(rest, line.n);
    }
    mg_buf_append_char(out, '\n');
}

// Two equal keys would let a field stand for the real level or time.
static bool is_taken(mg_str key) {
    return mg_str_eq(key, MG_STR("time")) || mg_str_eq(key, MG_STR("level")) ||
           mg_str_eq(key, MG_STR("message"));
}

static void append_json_field(mg_buf *out, const mg_log_field *f) {
    mg_buf_append_str(out, MG_STR(",\""));
    append_key(out, f->key);
    mg_buf_append_str(out, is_taken(f->key) ? MG_STR("_\":") : MG_STR("\":"));
    if (f->literal) {
        mg_buf_append_str(out, f->value);
    } else {
        mg_log_append_json_string(out, f->value);
    }
}

void mg_log_append_json(mg_buf *out, const mg_log_event *e) {
    mg_buf_append_str(out, MG_STR("{\"time\":\""));
    mg_log_append_time(out, e->wall_ms);
    mg_buf_append_str(out, MG_STR("\",\"level\":\""));
    mg_buf_append_str(out, mg_str_of(mg_log_level_name(e->level)));
    mg_buf_append_str(out, MG_STR("\",\"message\":"));
    mg_log_append_json_string(out, e->message);
    for (size_t i = 0; i < e->field_count; i++) {
        append_json_field(out, &e->fields[i]);
    }
    mg_buf_append_str(out, MG_STR("}\n"));
}
