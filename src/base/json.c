#include "base/json.h"

#include "base/json_number.h"
#include "base/json_text.h"

#include <stdio.h>

// What the grammar allows next.
enum {
    WANT_VALUE,
    WANT_ITEM_OR_END, // just behind [
    WANT_KEY_OR_END,  // just behind {
    WANT_COMMA_OR_END,
    WANT_NOTHING, // the value is complete
    WANT_FAILED,
};

static mg_json_token fail(mg_json_reader *r, const char *message) {
    r->expect = WANT_FAILED;
    r->error = message;
    return MG_JSON_ERROR;
}

static mg_json_token fail_unexpected(mg_json_reader *r, const char *message) {
    return fail(r, r->at == r->input.n ? "the text ends too early" : message);
}

// The next byte, or NUL at the end, which fits nowhere in the grammar either.
static char peek(const mg_json_reader *r) {
    return r->at < r->input.n ? r->input.p[r->at] : '\0';
}

static char peek_behind_space(mg_json_reader *r) {
    for (;;) {
        char c = peek(r);
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return c;
        }
        r->at++;
    }
}

static mg_str rest(const mg_json_reader *r) {
    return (mg_str){r->input.p + r->at, r->input.n - r->at};
}

static mg_json_token done_with(mg_json_reader *r, mg_json_token token) {
    r->expect = r->depth == 0 ? WANT_NOTHING : WANT_COMMA_OR_END;
    return token;
}

static bool in_object(const mg_json_reader *r) {
    unsigned level = r->depth - 1;
    return (r->in_object[level / 64] >> (level % 64) & 1) != 0;
}

static mg_json_token enter(mg_json_reader *r, mg_json_token token) {
    if (r->depth == r->max_depth) {
        return fail(r, "nested too deep");
    }
    r->at++;
    uint64_t bit = (uint64_t)1 << (r->depth % 64);
    uint64_t *word = &r->in_object[r->depth / 64];
    r->depth++;
    if (token == MG_JSON_OBJECT) {
        *word |= bit;
        r->expect = WANT_KEY_OR_END;
    } else {
        *word &= ~bit;
        r->expect = WANT_ITEM_OR_END;
    }
    return token;
}

static mg_json_token leave(mg_json_reader *r) {
    mg_json_token token = in_object(r) ? MG_JSON_OBJECT_END : MG_JSON_ARRAY_END;
    r->at++;
    r->depth--;
    return done_with(r, token);
}

static mg_json_token read_literal(mg_json_reader *r, mg_str word, mg_json_token token) {
    if (!mg_str_starts(rest(r), word)) {
        return fail(r, "expected a value");
    }
    r->at += word.n;
    return done_with(r, token);
}

static mg_json_token read_integer(mg_json_reader *r, mg_str text) {
    uint64_t magnitude;
    bool negative = text.p[0] == '-';
    if (mg_json_magnitude(text, &magnitude)) {
        if (!negative) {
            r->u64 = magnitude;
            return magnitude <= INT64_MAX ? MG_JSON_I64 : MG_JSON_U64;
        }
        if (magnitude > 0 && magnitude <= (uint64_t)INT64_MAX + 1) {
            r->u64 = 0 - magnitude;
            return MG_JSON_I64;
        }
    }
    return mg_json_to_double(text, &r->number) ? MG_JSON_DOUBLE : MG_JSON_ERROR;
}

static mg_json_token read_number(mg_json_reader *r) {
    mg_json_number found = mg_json_find_number(rest(r));
    if (!found.good) {
        r->at += found.text.n;
        return fail_unexpected(r, "malformed number");
    }
    mg_json_token token = MG_JSON_DOUBLE;
    if (found.integer) {
        token = read_integer(r, found.text);
    } else if (!mg_json_to_double(found.text, &r->number)) {
        token = MG_JSON_ERROR;
    }
    if (token == MG_JSON_ERROR) {
        return fail(r, "the number is too large");
    }
    r->at += found.text.n;
    return done_with(r, token);
}

// Stands on the byte that ended a run within a string, which is neither quote nor backslash.
static bool fail_in_string(mg_json_reader *r) {
    bool control = (uint8_t)peek(r) < 0x20;
    fail_unexpected(r, control ? "control character in a string" : "invalid UTF-8");
    return false;
}

// The slow half of read_string: `start` is where the string begins, the reader stands on its first
// backslash.
static bool read_escaped(mg_json_reader *r, size_t start) {
    mg_buf *out = r->decoded;
    mg_buf_clear(out);
    mg_buf_append(out, r->input.p + start, r->at - start);
    while (peek(r) == '\\') {
        size_t taken = 0;
        const char *wrong = mg_json_unescape(rest(r), out, &taken);
        if (wrong != NULL) {
            fail(r, wrong);
            return false;
        }
        r->at += taken;
        mg_str s = rest(r);
        size_t run = mg_json_run(s.p, s.n, r->any_bytes);
        mg_buf_append(out, s.p, run);
        r->at += run;
    }
    if (peek(r) != '"') {
        return fail_in_string(r);
    }
    r->at++;
    r->text = mg_buf_str(out);
    return true;
}

// Stands on the opening quote. Fills `text`.
static bool read_string(mg_json_reader *r) {
    size_t start = ++r->at;
    r->at += mg_json_run(r->input.p + start, r->input.n - start, r->any_bytes);
    char c = peek(r);
    if (c == '\\') {
        return read_escaped(r, start);
    }
    if (c != '"') {
        return fail_in_string(r);
    }
    r->text = (mg_str){r->input.p + start, r->at - start};
    r->at++;
    return true;
}

static mg_json_token read_value(mg_json_reader *r, char first) {
    switch (first) {
    case '"':
        return read_string(r) ? done_with(r, MG_JSON_STRING) : MG_JSON_ERROR;
    case '{':
        return enter(r, MG_JSON_OBJECT);
    case '[':
        return enter(r, MG_JSON_ARRAY);
    case 't':
        return read_literal(r, MG_STR("true"), MG_JSON_TRUE);
    case 'f':
        return read_literal(r, MG_STR("false"), MG_JSON_FALSE);
    case 'n':
        return read_literal(r, MG_STR("null"), MG_JSON_NULL);
    default:
        break;
    }
    if (first == '-' || (first >= '0' && first <= '9')) {
        return read_number(r);
    }
    return fail_unexpected(r, "expected a value");
}

static mg_json_token read_key(mg_json_reader *r, char first) {
    if (first != '"') {
        return fail_unexpected(r, "expected a key in quotes");
    }
    if (!read_string(r)) {
        return MG_JSON_ERROR;
    }
    if (peek_behind_space(r) != ':') {
        return fail_unexpected(r, "expected ':' behind the key");
    }
    r->at++;
    r->expect = WANT_VALUE;
    return MG_JSON_KEY;
}

static mg_json_token read_behind_value(mg_json_reader *r, char c) {
    bool object = in_object(r);
    if (c == (object ? '}' : ']')) {
        return leave(r);
    }
    if (c != ',') {
        return fail_unexpected(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    r->at++;
    char first = peek_behind_space(r);
    return object ? read_key(r, first) : read_value(r, first);
}

void mg_json_reader_init(mg_json_reader *r, mg_str input, mg_buf *decoded, unsigned max_depth) {
    // The bits of in_object are written before they are read.
    r->text = (mg_str){0};
    r->u64 = 0;
    r->error = NULL;
    // An empty input may come as NULL, which no pointer arithmetic likes.
    r->input = input.n > 0 ? input : MG_STR("");
    r->at = input.n >= 3 && memcmp(input.p, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    r->any_bytes = false;
    r->decoded = decoded;
    r->depth = 0;
    r->max_depth = max_depth == 0 ? MG_JSON_DEPTH : max_depth;
    if (r->max_depth > MG_JSON_DEPTH_MAX) {
        r->max_depth = MG_JSON_DEPTH_MAX;
    }
    r->expect = WANT_VALUE;
}

mg_json_token mg_json_next(mg_json_reader *r) {
    if (r->expect == WANT_FAILED) {
        return MG_JSON_ERROR;
    }
    char c = peek_behind_space(r);
    switch (r->expect) {
    case WANT_ITEM_OR_END:
        return c == ']' ? leave(r) : read_value(r, c);
    case WANT_KEY_OR_END:
        return c == '}' ? leave(r) : read_key(r, c);
    case WANT_COMMA_OR_END:
        return read_behind_value(r, c);
    case WANT_NOTHING:
        return r->at == r->input.n ? MG_JSON_END : fail(r, "something follows the value");
    default:
        return read_value(r, c);
    }
}

void mg_json_copy_text(const mg_json_reader *r, char *out, size_t n) {
    snprintf(out, n, "%.*s", (int)r->text.n, r->text.p);
}

double mg_json_double(const mg_json_reader *r, mg_json_token t) {
    return t == MG_JSON_I64      ? (double)r->i64
           : t == MG_JSON_U64    ? (double)r->u64
           : t == MG_JSON_DOUBLE ? r->number
                                 : 0;
}

mg_json_place mg_json_where(const mg_json_reader *r) {
    mg_json_place place = {r->at, 1, 1};
    for (size_t i = 0; i < r->at; i++) {
        place.column++;
        if (r->input.p[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}
