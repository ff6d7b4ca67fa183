#include "http/h2_decode.h"

#include "base/mem.h"
#include "http/h2_frame.h"
#include "http/h2_huffman.h"
#include "http/h2_table.h"

struct mg_h2_decoder {
    mg_h2_dynamic table;
    uint32_t allowed; // the most that the table may have by our settings
    bool begun;       // a field of the block has come, so the table's size may not
    bool owed;        // the table is larger than is allowed: its size has to come
    mg_buf kept;      // of a field that has not come whole, and what is behind it
    size_t kept_at;   // what is before it was taken
    mg_buf texts;     // of a field, where they are not found as they are
};

// What is read, up to where nothing has come yet.
typedef struct cursor {
    const uint8_t *p, *end;
} cursor;

// A string as it came.
typedef struct string {
    const uint8_t *p;
    uint32_t n;
    bool huffman;
} string;

// A field with its name, or the index of that.
typedef struct literal {
    uint32_t index;
    string name, value;
} literal;

// --- life ---

mg_h2_decoder *mg_h2_decoder_new(void) {
    mg_h2_decoder *d = mg_calloc(1, sizeof *d);
    d->allowed = MG_H2_TABLE;
    d->table.limit = MG_H2_TABLE;
    return d;
}

void mg_h2_decoder_free(mg_h2_decoder *d) {
    if (d != NULL) {
        mg_h2_dynamic_deinit(&d->table);
        mg_buf_deinit(&d->kept);
        mg_buf_deinit(&d->texts);
        mg_free(d);
    }
}

void mg_h2_decoder_rest(mg_h2_decoder *d) {
    mg_buf_deinit(&d->texts);
}

void mg_h2_decoder_resize(mg_h2_decoder *d, uint32_t table) {
    d->allowed = table;
    d->owed = table < d->table.limit;
}

// --- integers and strings (section 5) ---

// The lower `bits` of the next byte, or what follows it. MG_EAGAIN: it is not whole.
static int take_int(cursor *c, unsigned bits, uint32_t *v) {
    const uint8_t *p = c->p;
    uint32_t most = (1u << bits) - 1;
    if (p == c->end) {
        return MG_EAGAIN;
    }
    uint64_t sum = *p++ & most;
    if (sum == most) {
        unsigned shift = 0;
        uint8_t byte;
        do {
            if (p == c->end) {
                return MG_EAGAIN;
            }
            byte = *p++;
            sum += (uint64_t)(byte & 0x7f) << shift;
            shift += 7;
            if (sum > UINT32_MAX || shift > 35) {
                return MG_ESYNTAX;
            }
        } while ((byte & 0x80) != 0);
    }
    c->p = p;
    *v = (uint32_t)sum;
    return MG_OK;
}

static int take_string(cursor *c, string *s) {
    s->huffman = c->p < c->end && (*c->p & 0x80) != 0;
    int rc = take_int(c, 7, &s->n);
    if (rc != MG_OK) {
        return rc;
    }
    if ((size_t)(c->end - c->p) < s->n) {
        return MG_EAGAIN;
    }
    s->p = c->p;
    c->p += s->n;
    return MG_OK;
}

static int take_literal(cursor *c, unsigned bits, literal *l) {
    int rc = take_int(c, bits, &l->index);
    if (rc == MG_OK && l->index == 0) {
        rc = take_string(c, &l->name);
    }
    return rc == MG_OK ? take_string(c, &l->value) : rc;
}

// --- texts ---

static mg_str as_it_came(const string *s) {
    return (mg_str){(const char *)s->p, s->n};
}

// Both put a text behind what is in `texts`, where there is room, and make it that one.
static void put_copied(mg_h2_decoder *d, mg_str *text) {
    char *to = d->texts.p + d->texts.n;
    mg_buf_append_str(&d->texts, *text);
    text->p = to;
}

static bool put_decoded(mg_h2_decoder *d, mg_str *text) {
    char *to = d->texts.p + d->texts.n;
    size_t n = mg_h2_huffman_decode((const uint8_t *)text->p, text->n, to);
    if (n == SIZE_MAX) {
        return false;
    }
    d->texts.n += n;
    *text = (mg_str){to, n};
    return true;
}

// What `l` means: texts that stay where they are while the table changes.
static int read_texts(mg_h2_decoder *d, const literal *l, mg_h2_decoded *f) {
    if (l->index == 0) {
        *f = (mg_h2_decoded){.name = as_it_came(&l->name)};
    } else if (!mg_h2_table_get(&d->table, l->index, f)) {
        return MG_ESYNTAX;
    }
    f->value = as_it_came(&l->value);
    bool leaves = l->index > MG_H2_STATIC_FIELDS;
    if (!leaves && !l->name.huffman && !l->value.huffman) {
        return MG_OK;
    }
    mg_buf_clear(&d->texts);
    mg_buf_reserve(&d->texts, mg_h2_huffman_most(f->name.n) + mg_h2_huffman_most(f->value.n));
    if (leaves) {
        put_copied(d, &f->name);
    }
    bool good = (!l->name.huffman || put_decoded(d, &f->name)) &&
                (!l->value.huffman || put_decoded(d, &f->value));
    return good ? MG_OK : MG_ESYNTAX;
}

// --- representations (section 6) ---

static int read_indexed(mg_h2_decoder *d, cursor *c, mg_h2_decoded *f) {
    uint32_t index;
    int rc = take_int(c, 7, &index);
    if (rc == MG_OK && !mg_h2_table_get(&d->table, index, f)) {
        rc = MG_ESYNTAX;
    }
    return rc;
}

static int read_literal(mg_h2_decoder *d, cursor *c, bool added, mg_h2_decoded *f) {
    literal l = {0};
    int rc = take_literal(c, added ? 6 : 4, &l);
    if (rc == MG_OK) {
        rc = read_texts(d, &l, f);
    }
    if (rc == MG_OK && added) {
        mg_h2_dynamic_add(&d->table, f);
    }
    return rc;
}

static int read_size(mg_h2_decoder *d, cursor *c) {
    uint32_t size;
    int rc = take_int(c, 5, &size);
    if (rc != MG_OK) {
        return rc;
    }
    if (d->begun || size > d->allowed) {
        return MG_ESYNTAX;
    }
    d->owed = false;
    mg_h2_dynamic_resize(&d->table, size);
    return MG_OK;
}

// Takes sizes, then a field. MG_EAGAIN: what is left is not whole, or nothing.
static int read_field(mg_h2_decoder *d, cursor *c, mg_h2_decoded *f) {
    while (c->p < c->end && (*c->p & 0xe0) == 0x20) {
        int rc = read_size(d, c);
        if (rc != MG_OK) {
            return rc;
        }
    }
    if (c->p == c->end) {
        return MG_EAGAIN;
    }
    if (d->owed) {
        return MG_ESYNTAX;
    }
    d->begun = true;
    const uint8_t *start = c->p;
    int rc =
        (*start & 0x80) != 0 ? read_indexed(d, c, f) : read_literal(d, c, (*start & 0x40) != 0, f);
    c->p = rc == MG_EAGAIN ? start : c->p;
    return rc;
}

// --- a block in pieces ---

// The front of what is kept, or of `in`, is taken as far as `c` says.
static void take(mg_h2_decoder *d, mg_str *in, const cursor *c) {
    if (d->kept.n > 0) {
        d->kept_at = (size_t)((const char *)c->p - d->kept.p);
    } else {
        mg_str_skip(in, in->n - (size_t)(c->end - c->p));
    }
}

// All has come that there is for now.
static int pause_block(mg_h2_decoder *d, mg_str *in, bool last) {
    if (d->kept_at == d->kept.n) {
        mg_buf_deinit(&d->kept);
        d->kept_at = 0;
    }
    mg_buf_append_str(&d->kept, *in);
    mg_str_skip(in, in->n);
    if (last && (d->kept.n > 0 || d->owed)) {
        return MG_ESYNTAX; // it is cut, or has not said what it had to
    }
    d->begun = d->begun && !last;
    return MG_EAGAIN;
}

int mg_h2_decode(mg_h2_decoder *d, mg_str *in, bool last, mg_h2_decoded *f) {
    mg_str from = *in;
    if (d->kept.n > 0) {
        mg_buf_append_behind(&d->kept, &d->kept_at, *in);
        mg_str_skip(in, in->n);
        from = (mg_str){d->kept.p + d->kept_at, d->kept.n - d->kept_at};
    }
    cursor c = {(const uint8_t *)from.p, (const uint8_t *)mg_ahead(from.p, from.n)};
    int rc = read_field(d, &c, f);
    take(d, in, &c);
    return rc == MG_EAGAIN ? pause_block(d, in, last) : rc;
}
