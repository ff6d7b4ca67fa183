#include "http/h1_read.h"

#include "http/framing.h"

#include <llhttp.h>

// What llhttp's callbacks fill.
typedef struct gather {
    mg_field *fields;
    uint32_t count;
    uint32_t cap;
} gather;

static mg_h1_verdict bad(mg_h1_reader *r, int status, const char *reason) {
    r->refusal = (mg_refusal){.status = status, .reason = reason};
    return MG_H1_BAD;
}

void mg_h1_reader_init(mg_h1_reader *r, mg_arena *arena, const mg_guard_limits *limits) {
    *r = (mg_h1_reader){.arena = arena, .limits = limits};
}

// --- the request line (RFC 9112 section 3) ---

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static mg_h1_verdict parse_version(mg_h1_reader *r, mg_str v, mg_head *h) {
    bool formed = v.n == 8 && memcmp(v.p, "HTTP/", 5) == 0 && is_digit(v.p[5]) && v.p[6] == '.' &&
                  is_digit(v.p[7]);
    if (!formed) {
        return bad(r, 400, "the request line does not end in a version such as HTTP/1.1");
    }
    if (v.p[5] != '1' || v.p[7] > '1') {
        return bad(r, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    h->minor = v.p[7] - '0';
    return MG_H1_HEAD;
}

static mg_h1_verdict parse_method(mg_h1_reader *r, mg_str m, mg_head *h) {
    h->method = mg_method_of(m);
    h->method_text = m;
    if (h->method != MG_METHOD_UNKNOWN) {
        return MG_H1_HEAD;
    }
    if (!mg_str_is_token(m)) {
        return bad(r, 400, "the method is not a token");
    }
    return bad(r, 501, "the method is not known here");
}

// `line` is without its CRLF. On success method, target and minor of `*h` are filled.
static mg_h1_verdict parse_line(mg_h1_reader *r, mg_str line, mg_head *h) {
    const char *end = line.p + line.n;
    const char *sp = memchr(line.p, ' ', line.n);
    const char *last = memrchr(line.p, ' ', line.n);
    if (sp == NULL || sp == last) {
        return bad(r, 400, "the request line is not: method SP target SP version");
    }
    r->method_text = (mg_str){line.p, (size_t)(sp - line.p)};
    r->target_text = (mg_str){sp + 1, (size_t)(last - sp - 1)};
    mg_h1_verdict verdict = parse_version(r, (mg_str){last + 1, (size_t)(end - last - 1)}, h);
    if (verdict == MG_H1_HEAD) {
        verdict = parse_method(r, r->method_text, h);
    }
    if (verdict != MG_H1_HEAD) {
        return verdict;
    }
    h->target_text = r->target_text;
    if (mg_target_parse(h->target_text, h->method, r->arena, &h->target) != MG_OK) {
        return bad(r, 400, "the request target is malformed");
    }
    return MG_H1_HEAD;
}

static mg_str first_line(const mg_h1_reader *r, const char *p) {
    return (mg_str){p + r->guard.first, r->guard.first_end - r->guard.first - 2};
}

// --- the fields, by llhttp ---

static int on_field(llhttp_t *p, const char *at, size_t n) {
    gather *g = p->data;
    if (g->count == g->cap) {
        return HPE_USER;
    }
    g->fields[g->count++] = (mg_field){.name = {at, n}, .value = {at + n, 0}};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n) {
    gather *g = p->data;
    mg_field *f = &g->fields[g->count - 1];
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

static mg_h1_verdict parse_fields(mg_h1_reader *r, mg_str head, mg_head *h) {
    gather g = {.cap = r->guard.lines};
    g.fields = mg_arena_alloc(r->arena, sizeof(mg_field) * g.cap);
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &g;
    llhttp_errno_t err = llhttp_execute(&parser, head.p, head.n);
    h->fields = g.fields;
    h->field_count = g.count;
    for (uint32_t i = 0; i < g.count; i++) {
        g.fields[i].value = mg_str_trim(g.fields[i].value);
    }
    if (err != HPE_PAUSED_UPGRADE) {
        return bad(r, 400, fault_of(err));
    }
    r->refusal = mg_framing_of(h);
    return r->refusal.status == 0 ? MG_H1_HEAD : MG_H1_BAD;
}

static mg_h1_verdict parse(mg_h1_reader *r, mg_head *h) {
    *h = (mg_head){0};
    mg_h1_verdict verdict = parse_line(r, first_line(r, r->bytes), h);
    if (verdict != MG_H1_HEAD) {
        return verdict;
    }
    return parse_fields(r, (mg_str){r->bytes + r->guard.first, r->n - r->guard.first}, h);
}

// --- gathering ---

static void append(mg_h1_reader *r, const char *data, size_t n) {
    if (r->cap - r->n < n) {
        size_t cap = r->n + n > 1024 ? (r->n + n) * 2 : r->n + n;
        char *bytes = mg_arena_alloc(r->arena, cap);
        if (r->n > 0) {
            memcpy(bytes, r->bytes, r->n);
        }
        r->bytes = bytes;
        r->cap = cap;
    }
    memcpy(r->bytes + r->n, data, n);
    r->n += n;
}

// The most bytes that a head within its limits has, leading empty lines and the last one included.
static size_t most(const mg_h1_reader *r) {
    return (size_t)r->limits->first_line_bytes + r->limits->bytes + 64;
}

// A request line that is complete and wrong is refused at once, though the rest of the head has not
// come.
static mg_h1_verdict check_line_early(mg_h1_reader *r, const char *p) {
    if (r->line_checked || r->guard.first_end == 0) {
        return MG_H1_MORE;
    }
    r->line_checked = true;
    mg_head ignored = {0};
    return parse_line(r, first_line(r, p), &ignored) == MG_H1_BAD ? MG_H1_BAD : MG_H1_MORE;
}

mg_h1_verdict mg_h1_read(mg_h1_reader *r, const char *data, size_t n, size_t *used, mg_head *head) {
    size_t before = r->n;
    const char *p = data;
    size_t seen = n;
    // The ordinary head comes whole: it is scanned where it lies and copied once.
    if (before > 0) {
        size_t room = most(r) - before;
        append(r, data, n < room ? n : room);
        p = r->bytes;
        seen = r->n;
    }
    mg_guard_verdict verdict = mg_guard_scan(&r->guard, r->limits, p, seen);
    if (verdict == MG_GUARD_BAD) {
        r->refusal = r->guard.refusal;
        if (r->guard.first_end > 0) {
            mg_head ignored = {0};
            mg_refusal first = r->refusal;
            // A wrong request line goes before a fault behind it.
            if (parse_line(r, first_line(r, p), &ignored) != MG_H1_BAD) {
                r->refusal = first;
            }
        }
        return MG_H1_BAD;
    }
    if (verdict == MG_GUARD_MORE) {
        if (before == 0) {
            append(r, data, n);
        }
        *used = n;
        return check_line_early(r, r->bytes);
    }
    *used = r->guard.at - before;
    if (before == 0) {
        append(r, data, *used);
    }
    r->n = r->guard.at;
    return parse(r, head);
}
