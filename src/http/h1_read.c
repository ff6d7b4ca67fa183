#include "http/h1_read.h"

#include "http/framing.h"

static mg_h1_verdict bad(mg_h1_reader *r, int status, const char *reason) {
    r->refusal = (mg_refusal){.status = status, .reason = reason};
    return MG_H1_BAD;
}

void mg_h1_reader_init(mg_h1_reader *r, mg_arena *arena, const mg_guard_limits *limits) {
    *r = (mg_h1_reader){0};
    mg_h1_section_init(&r->section, arena, limits);
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
    if (h->method == MG_METHOD_UNKNOWN && !mg_str_is_token(m)) {
        return bad(r, 400, "the method is not a token");
    }
    return MG_H1_HEAD;
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
    if (mg_target_parse(h->target_text, h->method, r->section.arena, &h->target) != MG_OK) {
        return bad(r, 400, "the request target is malformed");
    }
    return MG_H1_HEAD;
}

static mg_h1_verdict parse_fields(mg_h1_reader *r, mg_head *h) {
    const char *fault = mg_h1_section_fields(&r->section, &h->fields);
    if (fault != NULL) {
        return bad(r, 400, fault);
    }
    r->refusal = mg_framing_of(h);
    r->told = r->refusal.status == 417;
    return r->refusal.status == 0 ? MG_H1_HEAD : MG_H1_BAD;
}

static mg_h1_verdict parse(mg_h1_reader *r, mg_head *h) {
    *h = (mg_head){0};
    mg_h1_verdict verdict = parse_line(r, mg_h1_section_line(&r->section, r->section.bytes), h);
    return verdict == MG_H1_HEAD ? parse_fields(r, h) : verdict;
}

// A record of TLS (RFC 8446 section 5.1): there may be no end of a line in all that comes.
static bool is_handshake(const char *p, size_t n) {
    return n > 0 && p[0] == 0x16;
}

// A request line that is complete and wrong is refused at once, though the rest of the head has not
// come.
static mg_h1_verdict check_line_early(mg_h1_reader *r, const char *p) {
    if (r->line_checked || r->section.guard.first_end == 0) {
        return MG_H1_MORE;
    }
    r->line_checked = true;
    mg_head ignored = {0};
    return parse_line(r, mg_h1_section_line(&r->section, p), &ignored) == MG_H1_BAD ? MG_H1_BAD
                                                                                    : MG_H1_MORE;
}

// Of a head that is too large, what came of it.
static void tell(mg_h1_reader *r, const char *p, mg_head *h) {
    mg_h1_section_cut(&r->section, p);
    r->told = parse(r, h) == MG_H1_HEAD;
    r->refusal = r->section.guard.refusal;
}

// A wrong request line goes before a fault behind it.
static mg_h1_verdict refuse(mg_h1_reader *r, const char *p, mg_head *h) {
    mg_head ignored = {0};
    bool line = r->section.guard.first_end > 0;
    if (line && parse_line(r, mg_h1_section_line(&r->section, p), &ignored) == MG_H1_BAD) {
        return MG_H1_BAD;
    }
    r->refusal = r->section.guard.refusal;
    if (line && r->refusal.status == 431) {
        tell(r, p, h);
    }
    return MG_H1_BAD;
}

mg_h1_verdict mg_h1_read(mg_h1_reader *r, const char *data, size_t n, size_t *used, mg_head *head) {
    const char *p;
    mg_guard_verdict verdict = mg_h1_section_take(&r->section, data, n, used, &p);
    if (is_handshake(p, r->section.n > 0 ? r->section.n : n)) {
        return bad(r, 400, "TLS is not spoken here");
    }
    switch (verdict) {
    case MG_GUARD_BAD:
        return refuse(r, p, head);
    case MG_GUARD_MORE:
        return check_line_early(r, p);
    default:
        return parse(r, head);
    }
}
