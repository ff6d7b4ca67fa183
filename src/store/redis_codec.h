// store/redis_codec.h: what is said to Redis and what it answers, RESP2 and RESP3
// (https://redis.io/docs/reference/protocol-spec): bytes in, replies out; commands in, bytes out.
// Pure.
//
// A reply is a flat list of values: one of many is followed by what is in it. Attributes are read
// and left out, streamed texts and lists come as if they had been whole, and a verbatim string is a
// text. A reply that is too large is read to its end, so that those behind it are found, and told
// as such.
#pragma once

#include "base/buf.h"

typedef enum mg_redis_type {
    MG_REDIS_NULL,
    MG_REDIS_STRING,
    MG_REDIS_ERROR, // its text begins with a code: "ERR ...", "MOVED 3999 127.0.0.1:6381"
    MG_REDIS_INTEGER,
    MG_REDIS_DOUBLE,
    MG_REDIS_BOOLEAN,
    MG_REDIS_NUMBER, // a big one: its digits as text
    MG_REDIS_ARRAY,  // from here on: of many
    MG_REDIS_MAP,    // key, value, key, value
    MG_REDIS_SET,
    MG_REDIS_PUSH, // what nobody asked for; only as a whole reply
} mg_redis_type;

typedef struct mg_redis_value {
    uint32_t type; // mg_redis_type
    uint32_t n;    // of one of many: how many values are in it (of a map twice its pairs), those in
                   // them not counted; of a text: its bytes
    union {
        int64_t integer; // BOOLEAN too: 0 or 1
        double number;
        size_t at; // where its text begins
    };
} mg_redis_value;

typedef struct mg_redis_reply {
    const mg_redis_value *values;
    uint32_t count; // 0: it was beyond the limits and is lost
    const char *text;
    struct mg_redis_reader *from; // NULL: somebody has kept it, or made it
} mg_redis_reply;

// Of one reply.
typedef struct mg_redis_limits {
    size_t bytes;    // of its texts together
    uint32_t values; // at most UINT32_MAX / 2
} mg_redis_limits;

enum {
    MG_REDIS_DEPTH = 32,       // of values in values
    MG_REDIS_LINE_MAX = 65536, // bytes of a line: errors, big numbers
};

// A value of many that is not complete.
typedef struct mg_redis_many {
    uint64_t left;   // of what is to come in it; STREAMED: nobody knows
    uint32_t value;  // its place in the list
    uint32_t filled; // how many have come
    size_t text;     // the text that was there before it
    bool attribute;
} mg_redis_many;

// Owns its memory; zeroed but for the limits is valid.
typedef struct mg_redis_reader {
    mg_redis_limits limits;
    uint8_t state;
    bool streamed;  // of the text under way: another chunk follows
    bool lost;      // the reply under way is beyond the limits
    bool told;      // the reply that there is: the next one begins
    uint8_t prefix; // of a verbatim string: bytes to be left out
    uint32_t depth;
    uint32_t type;  // of the text under way
    uint64_t left;  // bytes of it that are to come
    size_t text_at; // where it begins
    mg_buf line;    // one that has come in part
    mg_buf text;
    mg_redis_value *values;
    uint32_t count, cap;
    mg_redis_many open[MG_REDIS_DEPTH];
} mg_redis_reader;

void mg_redis_reader_deinit(mg_redis_reader *r);

// Forgets what has come in part: for another connection.
void mg_redis_reader_reset(mg_redis_reader *r);

// Takes bytes from the front of `in` until a reply is complete: true, and it is lent until the next
// call. False: all were taken, or `*fault` says what is wrong with them (static; else NULL): then
// nothing of this connection means anything any more.
bool mg_redis_read(mg_redis_reader *r, mg_str *in, mg_redis_reply *out, const char **fault);

// A reply that somebody keeps; owns its memory. Zeroed is none.
typedef struct mg_redis_kept {
    mg_redis_reply reply;
    mg_redis_value *values;
    mg_buf text;
} mg_redis_kept;

// Takes the memory of the reply that is lent: nothing is copied, unless it is of no reader.
void mg_redis_keep(const mg_redis_reply *r, mg_redis_kept *out);
void mg_redis_kept_deinit(mg_redis_kept *k);

static inline bool mg_redis_is_text(const mg_redis_value *v) {
    return v->type == MG_REDIS_STRING || v->type == MG_REDIS_ERROR || v->type == MG_REDIS_NUMBER;
}

// Of a value with text.
static inline mg_str mg_redis_text(const mg_redis_reply *r, const mg_redis_value *v) {
    return (mg_str){mg_ahead(r->text, v->at), v->n};
}

// The place of the value behind the one at `at` and what is in that.
uint32_t mg_redis_behind(const mg_redis_reply *r, uint32_t at);

// Whether the whole reply is an error whose text begins with the word `code`.
bool mg_redis_is_error(const mg_redis_reply *r, mg_str code);

// A command is the count of its words, then the words.
void mg_redis_write_count(mg_buf *out, size_t words);
void mg_redis_write_word(mg_buf *out, mg_str word);
void mg_redis_write(mg_buf *out, const mg_str *words, size_t n);
