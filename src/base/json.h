// base/json.h: reads and writes JSON (RFC 8259), strictly.
//
// The reader pulls one token at a time out of borrowed bytes and lives in caller memory; there is
// nothing to release. It refuses what the RFC does not allow: trailing bytes, broken UTF-8, lone
// surrogates, numbers no double can hold. A byte order mark in front is skipped (section 8.1 leaves
// that to the reader). Repeated keys are handed out as they come. The writer
// appends to a buffer; brackets, commas and literals go in with mg_buf_append.
#pragma once

#include "base/buf.h"
#include "base/str.h"

typedef enum mg_json_token {
    MG_JSON_ERROR, // `error` says what, mg_json_where says where; every later token is this one too
    MG_JSON_END,   // the one value and nothing else was read; every later token is this one too
    MG_JSON_NULL,
    MG_JSON_FALSE,
    MG_JSON_TRUE,
    MG_JSON_I64,    // in `i64`: an integer that fits; "-0" is a double
    MG_JSON_U64,    // in `u64`: an integer above INT64_MAX that fits
    MG_JSON_DOUBLE, // in `number`: all other numbers, always finite
    MG_JSON_STRING, // in `text`
    MG_JSON_KEY,    // in `text`; the next token is its value
    MG_JSON_ARRAY,
    MG_JSON_ARRAY_END,
    MG_JSON_OBJECT,
    MG_JSON_OBJECT_END,
} mg_json_token;

enum { MG_JSON_DEPTH = 128, MG_JSON_DEPTH_MAX = 1024 };

typedef struct mg_json_reader {
    mg_str text; // of the last string or key: borrows the input or `decoded`, until the next token
    union {      // of the last number
        int64_t i64;
        uint64_t u64;
        double number;
    };
    const char *error; // static text, set with MG_JSON_ERROR
    bool any_bytes;    // to be set after init: takes strings of mg_json_write_raw

    // Private.
    mg_str input;
    size_t at;
    mg_buf *decoded;
    unsigned depth;
    unsigned max_depth;
    int expect;
    uint64_t in_object[MG_JSON_DEPTH_MAX / 64]; // one bit a level
} mg_json_reader;

// Borrows `input` and `decoded` until the last token is used. Strings that hold an escape are
// decoded into `decoded`, which is cleared for each. `max_depth` counts nested arrays and objects:
// 1 to MG_JSON_DEPTH_MAX, 0 means MG_JSON_DEPTH.
void mg_json_reader_init(mg_json_reader *r, mg_str input, mg_buf *decoded, unsigned max_depth);

mg_json_token mg_json_next(mg_json_reader *r);

// What the last token was: its string or key, cut to `n` bytes with a terminator; the number that
// `t` is, 0 if it is none.
void mg_json_copy_text(const mg_json_reader *r, char *out, size_t n);
double mg_json_double(const mg_json_reader *r, mg_json_token t);

// Where the reader stands, after an error where it is: bytes before it, its line and its column in
// bytes, both from 1.
typedef struct mg_json_place {
    size_t offset;
    size_t line;
    size_t column;
} mg_json_place;

mg_json_place mg_json_where(const mg_json_reader *r);

// Appends `s` in quotes. Returns MG_ESYNTAX and appends nothing if `s` is not UTF-8.
int mg_json_write_string(mg_buf *b, mg_str s);

// The same for any bytes: U+FFFD stands for what is not UTF-8 (mg_utf8_subpart).
void mg_json_write_replaced(mg_buf *b, mg_str s);

// The same for readers with `any_bytes`: bytes that are not UTF-8 stay as they are. No JSON then.
void mg_json_write_raw(mg_buf *b, mg_str s);

void mg_json_write_i64(mg_buf *b, int64_t v);
void mg_json_write_u64(mg_buf *b, uint64_t v);

// Appends the fewest digits that read back as `v`; integers up to 2^53 without point or exponent.
// Returns MG_ESYNTAX and appends nothing for NaN and the infinities.
int mg_json_write_double(mg_buf *b, double v);
