#include "http/h2_encode.h"

#include "base/mem.h"

enum {
    KNOWN_BY_PEER = 4096, // bytes of its table, until it is told (RFC 7541 section 4.2)
    STATIC_ENTRIES = 61,
    SEEN = 64,         // a power of two
    SHORT_COOKIE = 20, // bytes, below which it could be guessed (section 7.1.3)
    INT_BYTES = 6,     // of an integer of 32 bits
};

// How a field is represented: the first byte, and how many bits of it are a number (section 6).
enum {
    INDEXED = 0x80,
    ADDED = 0x40,
    RESIZED = 0x20,
    NEVER_INDEXED = 0x10,
    PLAIN = 0,
};

typedef struct entry {
    uint32_t hash;
    uint32_t at; // of its texts: the name, unless `key` says it, and the value
    uint32_t name_bytes, value_bytes;
    uint16_t key;
} entry;

struct mg_h2_encoder {
    uint32_t most, limit; // bytes of the table, as section 4.1 counts them
    uint32_t least;       // the smallest limit since the last block
    bool told;            // the peer knows the limit
    uint32_t bytes, count;
    uint32_t added;    // entries so far: the place of the next one, by `slots`
    uint32_t slots;    // a power of two
    uint32_t text_end; // where the next texts go
    char *text;        // twice `most`, so that none has to be cut in two
    uint16_t seen[SEEN];
    entry entries[];
};

// A field on its way into a block.
typedef struct wanted {
    uint32_t hash;
    uint16_t key;         // what stands for the name; 0: nothing, it is compared
    uint8_t static_index; // of the name; 0: it is not there
    uint8_t how;          // if it is not indexed
    mg_str name, value;
} wanted;

// --- names ---

// Those of http/fields that the static table has.
static const uint8_t static_names[MG_FIELD_COUNT] = {
    [MG_FIELD_ACCEPT_ENCODING] = 16,
    [MG_FIELD_ACCEPT_LANGUAGE] = 17,
    [MG_FIELD_ACCEPT_RANGES] = 18,
    [MG_FIELD_ACCEPT] = 19,
    [MG_FIELD_AGE] = 21,
    [MG_FIELD_ALLOW] = 22,
    [MG_FIELD_AUTHORIZATION] = 23,
    [MG_FIELD_CACHE_CONTROL] = 24,
    [MG_FIELD_CONTENT_DISPOSITION] = 25,
    [MG_FIELD_CONTENT_ENCODING] = 26,
    [MG_FIELD_CONTENT_LANGUAGE] = 27,
    [MG_FIELD_CONTENT_LENGTH] = 28,
    [MG_FIELD_CONTENT_LOCATION] = 29,
    [MG_FIELD_CONTENT_RANGE] = 30,
    [MG_FIELD_CONTENT_TYPE] = 31,
    [MG_FIELD_COOKIE] = 32,
    [MG_FIELD_DATE] = 33,
    [MG_FIELD_ETAG] = 34,
    [MG_FIELD_EXPECT] = 35,
    [MG_FIELD_EXPIRES] = 36,
    [MG_FIELD_HOST] = 38,
    [MG_FIELD_IF_MATCH] = 39,
    [MG_FIELD_IF_MODIFIED_SINCE] = 40,
    [MG_FIELD_IF_NONE_MATCH] = 41,
    [MG_FIELD_IF_RANGE] = 42,
    [MG_FIELD_IF_UNMODIFIED_SINCE] = 43,
    [MG_FIELD_LAST_MODIFIED] = 44,
    [MG_FIELD_LINK] = 45,
    [MG_FIELD_LOCATION] = 46,
    [MG_FIELD_PROXY_AUTHENTICATE] = 48,
    [MG_FIELD_PROXY_AUTHORIZATION] = 49,
    [MG_FIELD_RANGE] = 50,
    [MG_FIELD_REFERER] = 51,
    [MG_FIELD_RETRY_AFTER] = 53,
    [MG_FIELD_SERVER] = 54,
    [MG_FIELD_SET_COOKIE] = 55,
    [MG_FIELD_STRICT_TRANSPORT_SECURITY] = 56,
    [MG_FIELD_TRANSFER_ENCODING] = 57,
    [MG_FIELD_USER_AGENT] = 58,
    [MG_FIELD_VARY] = 59,
    [MG_FIELD_VIA] = 60,
    [MG_FIELD_WWW_AUTHENTICATE] = 61,
};

// Values of the static table that are not empty, from its second entry on; Accept-Encoding's is
// none that anybody sends.
static const mg_str static_values[] = {
    [MG_H2_STATIC_METHOD] = {"GET", 3},     {"POST", 4},
    [MG_H2_STATIC_PATH] = {"/", 1},         {"/index.html", 11},
    [MG_H2_STATIC_SCHEME] = {"http", 4},    {"https", 5},
    [MG_H2_STATIC_STATUS] = {"200", 3},     {"204", 3},
    [MG_H2_STATIC_STATUS + 2] = {"206", 3}, {"304", 3},
    [MG_H2_STATIC_STATUS + 4] = {"400", 3}, {"404", 3},
    [MG_H2_STATIC_STATUS + 6] = {"500", 3},
};

enum { STATIC_VALUES = sizeof static_values / sizeof *static_values };

// The entry of a pseudo-field with that value; 0: there is none.
static unsigned static_entry(unsigned name, mg_str value) {
    static const uint8_t last[] = {0, 1, 3, 0, 5, 0, 7, 0, STATIC_VALUES - 1};
    for (unsigned i = name; i <= last[name]; i++) {
        if (mg_str_eq(static_values[i], value)) {
            return i;
        }
    }
    return 0;
}

// --- life ---

static uint32_t slots_for(uint32_t table) {
    uint32_t slots = 1;
    while (slots < table / MG_FIELD_OVERHEAD) {
        slots *= 2;
    }
    return slots;
}

mg_h2_encoder *mg_h2_encoder_new(uint32_t table) {
    uint32_t slots = slots_for(table);
    size_t head = sizeof(mg_h2_encoder) + slots * sizeof(entry);
    mg_h2_encoder *e = mg_malloc(head + 2 * (size_t)table);
    *e = (mg_h2_encoder){
        .most = table,
        .limit = table < KNOWN_BY_PEER ? table : KNOWN_BY_PEER,
        .least = table < KNOWN_BY_PEER ? table : KNOWN_BY_PEER,
        .told = table >= KNOWN_BY_PEER,
        .slots = slots,
        .text = (char *)e + head,
    };
    return e;
}

void mg_h2_encoder_free(mg_h2_encoder *e) {
    mg_free(e);
}

// --- the dynamic table ---

static entry *entry_at(mg_h2_encoder *e, uint32_t number) {
    return &e->entries[number & (e->slots - 1)];
}

static uint32_t bytes_of(uint32_t name, uint32_t value) {
    return name + value + MG_FIELD_OVERHEAD;
}

// The oldest go first (section 4.4).
static void shrink_to(mg_h2_encoder *e, uint32_t bytes) {
    while (e->bytes > bytes) {
        const entry *oldest = entry_at(e, e->added - e->count);
        e->bytes -= bytes_of(oldest->name_bytes, oldest->value_bytes);
        e->count--;
    }
}

void mg_h2_encoder_resize(mg_h2_encoder *e, uint32_t table) {
    uint32_t limit = table < e->most ? table : e->most;
    e->least = e->told || limit < e->least ? limit : e->least;
    e->told = e->told && limit == e->limit;
    e->limit = limit;
    shrink_to(e, limit);
}

static bool is_entry(const mg_h2_encoder *e, const entry *at, const wanted *w) {
    if (at->hash != w->hash || at->key != w->key || at->value_bytes != w->value.n ||
        at->name_bytes != w->name.n) {
        return false;
    }
    const char *text = e->text + at->at;
    if (w->key == 0) {
        if (!mg_str_ieq((mg_str){text, w->name.n}, w->name)) {
            return false;
        }
        text += w->name.n;
    }
    return w->value.n == 0 || memcmp(text, w->value.p, w->value.n) == 0;
}

// 0: it is not there.
static uint32_t find(mg_h2_encoder *e, const wanted *w) {
    for (uint32_t i = 1; i <= e->count; i++) {
        if (is_entry(e, entry_at(e, e->added - i), w)) {
            return STATIC_ENTRIES + i;
        }
    }
    return 0;
}

static char *put_lowered(char *to, mg_str name) {
    for (size_t i = 0; i < name.n; i++) {
        to[i] = mg_lower(name.p[i]);
    }
    return to + name.n;
}

// There is room: what is in the table has at most `most` bytes, in at most two pieces, and begins
// behind what is overwritten.
static char *room_for(mg_h2_encoder *e, uint32_t n) {
    if (e->text_end + n > 2 * e->most) {
        e->text_end = 0;
    }
    char *p = e->text + e->text_end;
    e->text_end += n;
    return p;
}

static void add(mg_h2_encoder *e, const wanted *w) {
    uint32_t name_bytes = (uint32_t)w->name.n, value_bytes = (uint32_t)w->value.n;
    shrink_to(e, e->limit - bytes_of(name_bytes, value_bytes));
    char *to = room_for(e, (w->key == 0 ? name_bytes : 0) + value_bytes);
    *entry_at(e, e->added) = (entry){
        .hash = w->hash,
        .at = (uint32_t)(to - e->text),
        .name_bytes = name_bytes,
        .value_bytes = value_bytes,
        .key = w->key,
    };
    to = w->key == 0 ? put_lowered(to, w->name) : to;
    if (value_bytes > 0) {
        memcpy(to, w->value.p, value_bytes);
    }
    e->bytes += bytes_of(name_bytes, value_bytes);
    e->added++;
    e->count++;
}

// Whether it has come before, and fits. One that would leave no room for others does not.
static bool is_to_be_added(mg_h2_encoder *e, const wanted *w) {
    uint16_t *seen = &e->seen[w->hash & (SEEN - 1)];
    uint16_t mark = (uint16_t)(w->hash >> 16 | 1);
    bool again = *seen == mark;
    *seen = mark;
    return again && w->name.n + w->value.n + MG_FIELD_OVERHEAD <= e->limit / 4 * 3;
}

// --- hashes ---

static uint64_t eight(const char *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

// Its ends and its middle: what differs elsewhere is compared. `fold` makes letters small.
static uint64_t mix_text(uint64_t h, mg_str s, uint64_t fold) {
    if (s.n >= 8) {
        h = mix(h, eight(s.p) | fold);
        h = mix(h, eight(s.p + s.n / 2 - 4) | fold);
        return mix(h, eight(s.p + s.n - 8) | fold);
    }
    uint64_t v = s.n;
    for (size_t i = 0; i < s.n; i++) {
        v = v << 8 | (uint8_t)s.p[i];
    }
    return mix(h, v | fold);
}

static void hash(wanted *w) {
    uint64_t h = mix(w->key, w->value.n);
    if (w->key == 0) {
        h = mix_text(h, w->name, 0x2020202020202020u);
    }
    w->hash = (uint32_t)mix_text(h, w->value, 0);
}

// --- writing ---

static uint8_t *put_int(uint8_t *p, uint8_t first, uint8_t most, size_t v) {
    if (v < most) {
        *p++ = (uint8_t)(first | v);
        return p;
    }
    *p++ = first | most;
    for (v -= most; v >= 0x80; v >>= 7) {
        *p++ = (uint8_t)(v | 0x80);
    }
    *p++ = (uint8_t)v;
    return p;
}

static void put_literal(mg_buf *out, uint8_t how, const wanted *w) {
    uint8_t *p = (uint8_t *)mg_buf_reserve(out, 3 * INT_BYTES + w->name.n + w->value.n);
    const uint8_t *before = p;
    p = put_int(p, how, how == ADDED ? 0x3f : 0x0f, w->static_index);
    if (w->static_index == 0) {
        p = put_int(p, 0, 0x7f, w->name.n);
        p = (uint8_t *)put_lowered((char *)p, w->name);
    }
    p = put_int(p, 0, 0x7f, w->value.n);
    if (w->value.n > 0) {
        memcpy(p, w->value.p, w->value.n);
    }
    out->n += (size_t)(p - before) + w->value.n;
}

static void put_index(mg_buf *out, size_t index) {
    uint8_t *p = (uint8_t *)mg_buf_reserve(out, INT_BYTES);
    out->n += (size_t)(put_int(p, INDEXED, 0x7f, index) - p);
}

static void put(mg_h2_encoder *e, mg_buf *out, wanted *w) {
    if (w->how == NEVER_INDEXED) {
        put_literal(out, NEVER_INDEXED, w);
        return;
    }
    hash(w);
    uint32_t index = find(e, w);
    if (index != 0) {
        put_index(out, index);
    } else if (is_to_be_added(e, w)) {
        put_literal(out, ADDED, w);
        add(e, w);
    } else {
        put_literal(out, PLAIN, w);
    }
}

static void put_size(mg_buf *out, uint32_t size) {
    uint8_t *p = (uint8_t *)mg_buf_reserve(out, INT_BYTES);
    out->n += (size_t)(put_int(p, RESIZED, 0x1f, size) - p);
}

// Section 4.2: the smallest size in between is told too.
void mg_h2_encode_begin(mg_h2_encoder *e, mg_buf *out) {
    if (e->told) {
        return;
    }
    if (e->least < e->limit) {
        put_size(out, e->least);
    }
    put_size(out, e->limit);
    e->told = true;
    e->least = e->limit;
}

// What lets somebody in is kept out of tables, here and further on (section 7.1.3).
static bool is_secret(const mg_field *f) {
    return f->id == MG_FIELD_AUTHORIZATION || f->id == MG_FIELD_PROXY_AUTHORIZATION ||
           (f->id == MG_FIELD_COOKIE && f->value.n < SHORT_COOKIE);
}

void mg_h2_encode(mg_h2_encoder *e, mg_buf *out, const mg_field *f) {
    put(e, out,
        &(wanted){
            .key = f->id != MG_FIELD_OTHER ? (uint16_t)(STATIC_ENTRIES + f->id) : 0,
            .static_index = static_names[f->id],
            .how = is_secret(f) ? NEVER_INDEXED : PLAIN,
            .name = f->name,
            .value = f->value,
        });
}

void mg_h2_encode_pseudo(mg_h2_encoder *e, mg_buf *out, unsigned name, mg_str value) {
    static const uint8_t name_bytes[] = {0, 10, 7, 0, 5, 0, 7, 0, 7};
    unsigned index = static_entry(name, value);
    if (index != 0) {
        put_index(out, index);
        return;
    }
    put(e, out,
        &(wanted){
            .key = (uint16_t)name,
            .static_index = (uint8_t)name,
            .name = {NULL, name_bytes[name]},
            .value = value,
        });
}
