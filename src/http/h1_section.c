#include "http/h1_section.h"

#include <llhttp.h>

enum { PLAIN_FIELDS = 32 }; // that a plain head has at most

void mg_h1_section_init(mg_h1_section *s, mg_arena *arena, const mg_guard_limits *limits) {
    *s = (mg_h1_section){.arena = arena, .limits = limits};
}

// --- gathering ---

static void append(mg_h1_section *s, const char *data, size_t n) {
    if (n == 0) {
        return;
    }
    if (s->cap - s->n < n) {
        size_t cap = s->n > 0 ? (s->n + n) * 2 : n; // what has not come whole may come in drops
        char *bytes = mg_arena_alloc(s->arena, cap);
        if (s->n > 0) {
            memcpy(bytes, s->bytes, s->n);
        }
        s->bytes = bytes;
        s->cap = cap;
    }
    memcpy(s->bytes + s->n, data, n);
    s->n += n;
}

// The most bytes that a head within its limits has, leading empty lines and the last one included.
static size_t most(const mg_h1_section *s) {
    return (size_t)s->limits->first_line_bytes + s->limits->bytes + 64;
}

// --- the fields, where they are plain ---

static bool is_plain_length(mg_str value) {
    size_t i = 0;
    while (i < value.n && value.p[i] >= '0' && value.p[i] <= '9') {
        i++;
    }
    return i > 0 && i == value.n && i <= 18;
}

// Of what says how the content is framed llhttp has an opinion besides its form, but of one length.
static bool frames_plainly(const mg_fields *before, const mg_field *f) {
    switch (f->id) {
    case MG_FIELD_CONTENT_LENGTH:
        return (before->ids & mg_field_bit(f->id)) == 0 && is_plain_length(f->value);
    case MG_FIELD_TRANSFER_ENCODING:
        return false;
    default:
        return true;
    }
}

// Mostly one SP stands before it, and nothing else around it.
static mg_str trimmed(const char *p, const char *end) {
    p += end - p > 1 && p[0] == ' ';
    mg_str value = {p, (size_t)(end - p)};
    return value.n > 0 && p[0] > ' ' && end[-1] > ' ' ? value : mg_str_trim(value);
}

// One line, without its CRLF. A name that is known is a token.
static bool read_plain_line(const mg_fields *before, mg_str line, mg_field *f) {
    const char *colon = memchr(line.p, ':', line.n);
    if (colon == NULL) {
        return false;
    }
    f->name = (mg_str){line.p, (size_t)(colon - line.p)};
    f->value = trimmed(colon + 1, line.p + line.n);
    f->id = mg_field_id_of(f->name);
    return frames_plainly(before, f) && (f->id != MG_FIELD_OTHER || mg_str_is_token(f->name)) &&
           mg_field_is_value(f->value);
}

// The lines from `p` to the empty one, behind which it points then. NULL: there is none before
// `end`, or something is not as in almost every message. A CR that is no part of a line's end shows
// in a name that is no token, or in a value; so does white space before a name.
static const char *read_plain(mg_fields *l, const char *p, const char *end) {
    for (;;) {
        const char *lf = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        if (lf == NULL || lf == p || lf[-1] != '\r') {
            return NULL;
        }
        if (lf == p + 1) {
            return lf + 1;
        }
        mg_field *f = &l->at[l->count];
        if (l->count == l->cap || !read_plain_line(l, (mg_str){p, (size_t)(lf - p) - 1}, f)) {
            return NULL;
        }
        l->count++;
        l->ids |= mg_field_bit(f->id);
        p = lf + 1;
    }
}

// The end of the first line, its CRLF included; NULL: it is not whole, or not plain.
static const char *plain_first_line(const mg_guard_limits *limits, const char *p, size_t n) {
    const char *lf = n > 0 ? memchr(p, '\n', n) : NULL;
    size_t line = lf != NULL ? (size_t)(lf - p) : 0;
    bool good = line > 1 && line - 1 <= limits->first_line_bytes && p[0] != ' ' && p[0] != '\t' &&
                p[0] != ':' && memchr(p, '\r', line) == lf - 1;
    return good ? lf + 1 : NULL;
}

// Takes over what lies at `data`: the same as if it had been guarded and split.
static void keep_plain(mg_h1_section *s, const char *data, const mg_fields *l) {
    s->bytes = mg_arena_alloc(s->arena, s->n);
    memcpy(s->bytes, data, s->n);
    s->plain = mg_arena_alloc(s->arena, sizeof(mg_field) * l->count);
    for (uint32_t i = 0; i < l->count; i++) {
        mg_field f = l->at[i];
        f.name.p = s->bytes + (f.name.p - data);
        f.value.p = s->bytes + (f.value.p - data);
        s->plain[i] = f;
    }
    s->ids = l->ids;
}

// A head that lies whole at the front of the `n` bytes at `data` and is plain. False: it is not,
// and nothing is taken.
static bool take_plain(mg_h1_section *s, const char *data, size_t n) {
    mg_field found[PLAIN_FIELDS];
    mg_fields l = {.at = found, .cap = PLAIN_FIELDS};
    const char *fields = plain_first_line(s->limits, data, n);
    const char *end = fields != NULL ? read_plain(&l, fields, data + n) : NULL;
    if (end == NULL || l.count > s->limits->lines ||
        (size_t)(end - fields) - 2 > s->limits->bytes) {
        return false;
    }
    s->n = s->cap = (size_t)(end - data);
    s->guard = (mg_guard){.at = s->n,
                          .line_start = s->n - 2,
                          .lines = l.count + 1,
                          .first_end = (size_t)(fields - data)};
    keep_plain(s, data, &l);
    return true;
}

// --- the others, guarded ---

mg_guard_verdict mg_h1_section_take(mg_h1_section *s, const char *data, size_t n, size_t *used,
                                    const char **p) {
    size_t before = s->n;
    size_t seen = n;
    *p = data;
    if (before == 0 && take_plain(s, data, n)) {
        *used = s->n;
        *p = s->bytes;
        return MG_GUARD_END;
    }
    if (before > 0) {
        size_t room = most(s) - before;
        append(s, data, n < room ? n : room);
        *p = s->bytes;
        seen = s->n;
    }
    mg_guard_verdict verdict = mg_guard_scan(&s->guard, s->limits, *p, seen);
    if (verdict == MG_GUARD_BAD) {
        return verdict;
    }
    *used = verdict == MG_GUARD_MORE ? n : s->guard.at - before;
    if (before == 0) {
        append(s, data, *used);
    }
    if (verdict == MG_GUARD_END) {
        s->n = s->guard.at;
    }
    *p = s->bytes;
    return verdict;
}

void mg_h1_section_cut(mg_h1_section *s, const char *p) {
    size_t n = s->guard.line_start;
    char *bytes = mg_arena_alloc(s->arena, n + 2);
    memcpy(bytes, p, n);
    memcpy(bytes + n, "\r\n", 2);
    s->bytes = bytes;
    s->n = s->cap = n + 2;
}

mg_str mg_h1_section_line(const mg_h1_section *s, const char *p) {
    return (mg_str){p + s->guard.first, s->guard.first_end - s->guard.first - 2};
}

// --- and split by llhttp ---

static int on_field(llhttp_t *p, const char *at, size_t n) {
    mg_fields *l = p->data;
    if (l->count == l->cap) {
        return HPE_USER;
    }
    l->at[l->count++] = (mg_field){.name = {at, n}, .value = {at + n, 0}};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n) {
    mg_fields *l = p->data;
    mg_field *f = &l->at[l->count - 1];
    // One value may come in several adjoining pieces.
    if (f->value.n == 0) {
        f->value.p = at;
    }
    f->value.n = (size_t)(at + n - f->value.p);
    return 0;
}

static int on_head_complete(llhttp_t *p) {
    (void)p;
    return 2; // no body for llhttp: stop right behind the head
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head_complete,
};

// llhttp stops within the head where framing is contradictory. The rest, such as an unknown coding,
// is judged by http/framing.
static const char *fault_of(llhttp_errno_t err) {
    switch (err) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return "Content-Length is repeated, or comes with Transfer-Encoding";
    case HPE_INVALID_TRANSFER_ENCODING:
        return "chunked is not the last transfer coding, or comes twice";
    default:
        return "a header field is malformed";
    }
}

// The first line is its reader's business: llhttp gets one that is always good, and so judges the
// fields of requests and responses alike. It reads that line once: a parser is plain data, and each
// section begins with a copy of the one that stands behind it.
static llhttp_t behind_first_line(void) {
    static _Thread_local llhttp_t parser;
    static _Thread_local bool made;
    if (!made) {
        static const mg_str line = {"GET / HTTP/1.1\r\n", 16};
        llhttp_init(&parser, HTTP_REQUEST, &settings);
        made = llhttp_execute(&parser, line.p, line.n) == HPE_OK;
    }
    return parser;
}

static const char *split(mg_fields *l, mg_str lines) {
    llhttp_t parser = behind_first_line();
    parser.data = l;
    llhttp_errno_t err = llhttp_execute(&parser, lines.p, lines.n);
    return err == HPE_PAUSED_UPGRADE ? NULL : fault_of(err);
}

// OWS is SP and HTAB, either may stand for the other (RFC 9112 section 5); llhttp knows only SP
// around the values that it reads itself. HTABs inside values stay.
static void blank_tabs(char *line, char *end) {
    char *colon = memchr(line, ':', (size_t)(end - line));
    char *value = colon != NULL ? colon + 1 : end;
    for (; value < end && (*value == ' ' || *value == '\t'); value++) {
        *value = ' ';
    }
    for (; end > value && (end[-1] == ' ' || end[-1] == '\t'); end--) {
        end[-1] = ' ';
    }
}

static void normalize_space(char *p, size_t n) {
    char *end = p + n;
    char *tab;
    while (p < end && (tab = memchr(p, '\t', (size_t)(end - p))) != NULL) {
        char *before = memrchr(p, '\n', (size_t)(tab - p));
        char *lf = memchr(tab, '\n', (size_t)(end - tab));
        blank_tabs(before != NULL ? before + 1 : p, lf - 1);
        p = lf + 1;
    }
}

static const char *read_by_llhttp(mg_fields *l, char *p, size_t n) {
    l->count = 0;
    l->ids = 0;
    normalize_space(p, n);
    const char *fault = split(l, (mg_str){p, n});
    for (uint32_t i = 0; i < l->count; i++) {
        mg_field *f = &l->at[i];
        f->value = mg_str_trim(f->value);
        f->id = mg_field_id_of(f->name);
        l->ids |= mg_field_bit(f->id);
    }
    return fault;
}

const char *mg_h1_section_fields(const mg_h1_section *s, mg_fields *l) {
    size_t at = s->guard.first_end;
    char *p = s->bytes + at;
    size_t n = s->n - at;
    mg_fields_init(l, s->arena);
    l->bytes = (uint32_t)n + s->guard.lines * MG_FIELD_OVERHEAD;
    if (s->plain != NULL) {
        l->at = s->plain;
        l->count = l->cap = s->guard.lines - 1;
        l->ids = s->ids;
        return NULL;
    }
    l->cap = s->guard.lines;
    l->at = mg_arena_alloc(s->arena, sizeof(mg_field) * l->cap);
    return read_plain(l, p, p + n) != NULL ? NULL : read_by_llhttp(l, p, n);
}
