#include "store/redis_codec.h"

#include "base/json_number.h"
#include "base/mem.h"

#include <math.h>

enum { LINE, TEXT, TEXT_END };

#define STREAMED   UINT64_MAX
#define LENGTH_MAX UINT32_MAX // of whatever a peer announces

void mg_redis_reader_deinit(mg_redis_reader *r) {
    mg_buf_deinit(&r->line);
    mg_buf_deinit(&r->text);
    mg_free(r->values);
    memset(r, 0, sizeof *r);
}

static void begin_reply(mg_redis_reader *r) {
    enum { KEPT = 64 * 1024 };
    if (r->text.cap > KEPT) {
        mg_buf_deinit(&r->text);
    }
    if (r->cap > KEPT / sizeof *r->values) {
        mg_free(r->values);
        r->values = NULL;
        r->cap = 0;
    }
    r->text.n = 0;
    r->count = 0;
    r->depth = 0;
    r->lost = false;
    r->told = false;
}

void mg_redis_reader_reset(mg_redis_reader *r) {
    begin_reply(r);
    r->line.n = 0;
    r->state = LINE;
    r->streamed = false;
}

// --- values ---

static void lose(mg_redis_reader *r) {
    r->lost = true;
    r->count = 0;
    r->text.n = 0;
}

static bool has_text_room(mg_redis_reader *r, uint64_t bytes) {
    if (!r->lost && bytes > r->limits.bytes - r->text.n) {
        lose(r);
    }
    return !r->lost;
}

// The new value's place; NULL: the reply is lost.
static mg_redis_value *add(mg_redis_reader *r, mg_redis_type type) {
    if (!r->lost && r->count >= r->limits.values) {
        lose(r);
    }
    if (r->lost) {
        return NULL;
    }
    if (r->count == r->cap) {
        r->cap = r->cap == 0 ? 16 : r->cap * 2;
        r->values = mg_realloc(r->values, r->cap * sizeof *r->values);
    }
    mg_redis_value *v = &r->values[r->count++];
    *v = (mg_redis_value){.type = type};
    return v;
}

static void close_many(mg_redis_reader *r, const mg_redis_many *o) {
    if (r->lost) {
        return;
    }
    if (o->attribute) {
        r->count = o->value;
        r->text.n = o->text;
    } else {
        r->values[o->value].n = o->filled;
    }
}

// A value is complete, and with it those of many whose last one it is. True: so is the reply.
static bool complete(mg_redis_reader *r) {
    while (r->depth > 0) {
        mg_redis_many *o = &r->open[r->depth - 1];
        o->filled++;
        if (o->left == STREAMED || --o->left > 0) {
            return false;
        }
        close_many(r, o);
        r->depth--;
        if (o->attribute) {
            return false; // what it belongs to is still to come
        }
    }
    return true;
}

static bool begin_many(mg_redis_reader *r, mg_redis_type type, uint64_t n, bool attribute,
                       const char **fault) {
    mg_redis_many o = {.left = n, .value = r->count, .text = r->text.n, .attribute = attribute};
    if (n != STREAMED && !r->lost && n > r->limits.values - r->count) {
        lose(r);
    }
    if (!attribute || n > 0) {
        add(r, type);
    }
    if (n == 0) {
        return !attribute && complete(r);
    }
    if (r->depth == MG_REDIS_DEPTH) {
        *fault = "its values are nested too deeply";
        return false;
    }
    r->open[r->depth++] = o;
    return false;
}

static bool end_streamed(mg_redis_reader *r, const char **fault) {
    mg_redis_many *o = r->depth > 0 ? &r->open[r->depth - 1] : NULL;
    if (o == NULL || o->left != STREAMED) {
        *fault = "an end of what never began";
        return false;
    }
    bool pairs = o->attribute || (!r->lost && r->values[o->value].type == MG_REDIS_MAP);
    if (pairs && o->filled % 2 != 0) {
        *fault = "a key without its value";
        return false;
    }
    close_many(r, o);
    r->depth--;
    return !o->attribute && complete(r);
}

// --- lines ---

static bool read_integer(mg_str s, int64_t *out) {
    if (s.n > 1 && s.p[0] == '+' && s.p[1] != '-') {
        mg_str_skip(&s, 1);
    }
    return mg_str_to_i64(s, out);
}

static bool read_double(mg_str s, double *out) {
    mg_json_number n = mg_json_find_number(s);
    if (n.good && n.text.n == s.n) {
        return mg_json_to_double(s, out);
    }
    bool minus = s.n > 0 && s.p[0] == '-';
    if (minus || (s.n > 0 && s.p[0] == '+')) {
        mg_str_skip(&s, 1);
    }
    bool infinite = mg_str_eq(s, MG_STR("inf"));
    *out = infinite ? (minus ? -INFINITY : INFINITY) : NAN;
    return infinite || mg_str_eq(s, MG_STR("nan"));
}

static bool is_whole_number(mg_str s) {
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        mg_str_skip(&s, 1);
    }
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') {
        n++;
    }
    return n > 0 && n == s.n;
}

static bool take_line_text(mg_redis_reader *r, mg_redis_type type, mg_str s) {
    mg_redis_value *v = has_text_room(r, s.n) ? add(r, type) : NULL;
    if (v != NULL) {
        v->n = (uint32_t)s.n;
        v->at = r->text.n;
        mg_buf_append_str(&r->text, s);
    }
    return complete(r);
}

static bool take_integer(mg_redis_reader *r, mg_str s, const char **fault) {
    int64_t n;
    if (!read_integer(s, &n)) {
        *fault = "a number that is none";
        return false;
    }
    mg_redis_value *v = add(r, MG_REDIS_INTEGER);
    if (v != NULL) {
        v->integer = n;
    }
    return complete(r);
}

static bool take_double(mg_redis_reader *r, mg_str s, const char **fault) {
    double n;
    if (!read_double(s, &n)) {
        *fault = "a number that is none";
        return false;
    }
    mg_redis_value *v = add(r, MG_REDIS_DOUBLE);
    if (v != NULL) {
        v->number = n;
    }
    return complete(r);
}

static bool take_boolean(mg_redis_reader *r, mg_str s, const char **fault) {
    if (s.n != 1 || (s.p[0] != 't' && s.p[0] != 'f')) {
        *fault = "neither true nor false";
        return false;
    }
    mg_redis_value *v = add(r, MG_REDIS_BOOLEAN);
    if (v != NULL) {
        v->integer = s.p[0] == 't';
    }
    return complete(r);
}

static bool take_null(mg_redis_reader *r) {
    add(r, MG_REDIS_NULL);
    return complete(r);
}

static void begin_text(mg_redis_reader *r, mg_redis_type type, uint64_t bytes, uint8_t prefix) {
    r->type = type;
    r->prefix = prefix;
    r->left = bytes;
    r->state = bytes > 0 || !r->streamed ? TEXT : LINE;
    has_text_room(r, bytes - prefix);
    r->text_at = r->text.n;
}

// The line of a text of a known length, or of one that comes in chunks.
static bool take_text(mg_redis_reader *r, char type, mg_str s, const char **fault) {
    uint64_t n = 0;
    if (type == '$' && mg_str_eq(s, MG_STR("-1"))) {
        return take_null(r);
    }
    r->streamed = type == '$' && mg_str_eq(s, MG_STR("?"));
    if (!r->streamed && !mg_str_to_u64(s, LENGTH_MAX, &n)) {
        *fault = "a length that is none";
        return false;
    }
    if (type == '=' && n < 4) {
        *fault = "a verbatim string without its kind";
        return false;
    }
    begin_text(r, type == '!' ? MG_REDIS_ERROR : MG_REDIS_STRING, n, type == '=' ? 4 : 0);
    return false;
}

static bool end_text(mg_redis_reader *r) {
    size_t bytes = r->text.n - r->text_at;
    mg_redis_value *v = add(r, (mg_redis_type)r->type);
    if (v != NULL) {
        v->n = (uint32_t)bytes;
        v->at = r->text_at;
    }
    r->streamed = false;
    return complete(r);
}

static bool take_chunk(mg_redis_reader *r, mg_str line, const char **fault) {
    uint64_t n;
    if (line.n == 0 || line.p[0] != ';' ||
        !mg_str_to_u64((mg_str){line.p + 1, line.n - 1}, LENGTH_MAX, &n)) {
        *fault = "a chunk's length that is none";
        return false;
    }
    if (n == 0) {
        return end_text(r);
    }
    r->left = n;
    r->state = TEXT;
    has_text_room(r, n);
    return false;
}

static bool take_many(mg_redis_reader *r, char type, mg_str s, const char **fault) {
    uint64_t n = STREAMED;
    bool pairs = type == '%' || type == '|';
    if (type == '*' && mg_str_eq(s, MG_STR("-1"))) {
        return take_null(r);
    }
    if (!mg_str_eq(s, MG_STR("?"))) {
        if (!mg_str_to_u64(s, LENGTH_MAX, &n)) {
            *fault = "a length that is none";
            return false;
        }
        n *= pairs ? 2 : 1;
    }
    if (type == '>' && r->depth > 0) {
        *fault = "a push inside of a reply";
        return false;
    }
    mg_redis_type as = pairs         ? MG_REDIS_MAP
                       : type == '~' ? MG_REDIS_SET
                       : type == '>' ? MG_REDIS_PUSH
                                     : MG_REDIS_ARRAY;
    return begin_many(r, as, n, type == '|', fault);
}

static bool take_number(mg_redis_reader *r, mg_str s, const char **fault) {
    if (!is_whole_number(s)) {
        *fault = "a number that is none";
        return false;
    }
    return take_line_text(r, MG_REDIS_NUMBER, s);
}

static bool take_nothing(mg_redis_reader *r, mg_str s, bool null, const char **fault) {
    if (s.n > 0) {
        *fault = "a line with more than its type";
        return false;
    }
    return null ? take_null(r) : end_streamed(r, fault);
}

static bool take_line(mg_redis_reader *r, mg_str line, const char **fault) {
    if (r->streamed) {
        return take_chunk(r, line, fault);
    }
    mg_str s = line;
    char type = line.n > 0 ? line.p[0] : '\0';
    if (line.n > 0) {
        mg_str_skip(&s, 1);
    }
    switch (type) {
    case '+':
        return take_line_text(r, MG_REDIS_STRING, s);
    case '-':
        return take_line_text(r, MG_REDIS_ERROR, s);
    case ':':
        return take_integer(r, s, fault);
    case '$':
    case '!':
    case '=':
        return take_text(r, type, s, fault);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
        return take_many(r, type, s, fault);
    case '_':
    case '.':
        return take_nothing(r, s, type == '_', fault);
    case ',':
        return take_double(r, s, fault);
    case '#':
        return take_boolean(r, s, fault);
    case '(':
        return take_number(r, s, fault);
    default:
        *fault = "it begins with no type of RESP";
        return false;
    }
}

// --- bytes ---

// A line's end is CR LF, and neither stands in it.
static bool strip_line(mg_str *line) {
    if (line->n == 0 || line->p[line->n - 1] != '\r') {
        return false;
    }
    line->n--;
    return memchr(line->p, '\r', line->n) == NULL;
}

static bool read_line(mg_redis_reader *r, mg_str *in, const char **fault) {
    const char *lf = memchr(in->p, '\n', in->n);
    size_t n = lf != NULL ? (size_t)(lf - in->p) : in->n;
    if (n + r->line.n > MG_REDIS_LINE_MAX) {
        *fault = "a line is too long";
        return false;
    }
    mg_str line = {in->p, n};
    if (lf == NULL || r->line.n > 0) {
        mg_buf_append_str(&r->line, line);
        line = mg_buf_str(&r->line);
    }
    mg_str_skip(in, lf != NULL ? n + 1 : n);
    if (lf == NULL) {
        return false;
    }
    if (!strip_line(&line)) {
        *fault = "a line that does not end with CR LF";
        return false;
    }
    bool whole = take_line(r, line, fault);
    r->line.n = 0;
    return whole;
}

static void read_text(mg_redis_reader *r, mg_str *in) {
    size_t n = in->n < r->left ? in->n : (size_t)r->left;
    size_t left_out = n < r->prefix ? n : r->prefix;
    r->prefix = (uint8_t)(r->prefix - left_out);
    if (!r->lost) {
        mg_buf_append(&r->text, in->p + left_out, n - left_out);
    }
    mg_str_skip(in, n);
    r->left -= n;
    if (r->left == 0) {
        r->state = TEXT_END;
        r->left = 2;
    }
}

static bool read_text_end(mg_redis_reader *r, mg_str *in, const char **fault) {
    char wanted = r->left == 2 ? '\r' : '\n';
    if (in->p[0] != wanted) {
        *fault = "a text that is longer than was said";
        return false;
    }
    mg_str_skip(in, 1);
    if (--r->left > 0) {
        return false;
    }
    r->state = LINE;
    return !r->streamed && end_text(r);
}

bool mg_redis_read(mg_redis_reader *r, mg_str *in, mg_redis_reply *out, const char **fault) {
    bool whole = false;
    *fault = NULL;
    if (r->told) {
        begin_reply(r);
    }
    while (in->n > 0 && !whole && *fault == NULL) {
        if (r->state == LINE) {
            whole = read_line(r, in, fault);
        } else if (r->state == TEXT && r->left > 0) {
            read_text(r, in);
        } else if (r->state == TEXT) { // without a byte
            r->state = TEXT_END;
            r->left = 2;
        } else {
            whole = read_text_end(r, in, fault);
        }
    }
    if (whole) {
        r->told = true;
        *out = (mg_redis_reply){r->values, r->lost ? 0 : r->count, r->text.p, r};
    }
    return whole;
}

// --- replies ---

static void copy(const mg_redis_reply *r, mg_redis_kept *out) {
    *out = (mg_redis_kept){.values = mg_malloc((r->count + 1) * sizeof *out->values)};
    for (uint32_t i = 0; i < r->count; i++) {
        out->values[i] = r->values[i];
        if (mg_redis_is_text(&r->values[i])) {
            out->values[i].at = out->text.n;
            mg_buf_append_str(&out->text, mg_redis_text(r, &r->values[i]));
        }
    }
    out->reply = (mg_redis_reply){.values = out->values, .count = r->count, .text = out->text.p};
}

void mg_redis_keep(const mg_redis_reply *r, mg_redis_kept *out) {
    if (r->from == NULL) {
        copy(r, out);
        return;
    }
    mg_redis_reader *from = r->from;
    *out = (mg_redis_kept){*r, from->values, from->text};
    out->reply.from = NULL;
    from->values = NULL;
    from->cap = 0;
    from->text = (mg_buf){0};
}

void mg_redis_kept_deinit(mg_redis_kept *k) {
    mg_free(k->values);
    mg_buf_deinit(&k->text);
    memset(k, 0, sizeof *k);
}

uint32_t mg_redis_behind(const mg_redis_reply *r, uint32_t at) {
    uint64_t left = 1;
    while (left > 0) {
        const mg_redis_value *v = &r->values[at++];
        left += v->type >= MG_REDIS_ARRAY ? v->n : 0;
        left--;
    }
    return at;
}

bool mg_redis_is_error(const mg_redis_reply *r, mg_str code) {
    if (r->count == 0 || r->values[0].type != MG_REDIS_ERROR) {
        return false;
    }
    mg_str text = mg_redis_text(r, &r->values[0]);
    return mg_str_starts(text, code) && (text.n == code.n || text.p[code.n] == ' ');
}

// --- commands ---

static void write_length(mg_buf *out, char type, size_t n) {
    char *p = mg_buf_reserve(out, 24);
    p[0] = type;
    size_t digits = mg_format_u64(p + 1, n);
    p[digits + 1] = '\r';
    p[digits + 2] = '\n';
    out->n += digits + 3;
}

void mg_redis_write_count(mg_buf *out, size_t words) {
    write_length(out, '*', words);
}

void mg_redis_write_word(mg_buf *out, mg_str word) {
    write_length(out, '$', word.n);
    char *p = mg_buf_reserve(out, word.n + 2);
    if (word.n > 0) {
        memcpy(p, word.p, word.n);
    }
    p[word.n] = '\r';
    p[word.n + 1] = '\n';
    out->n += word.n + 2;
}

void mg_redis_write(mg_buf *out, const mg_str *words, size_t n) {
    mg_redis_write_count(out, n);
    for (size_t i = 0; i < n; i++) {
        mg_redis_write_word(out, words[i]);
    }
}
