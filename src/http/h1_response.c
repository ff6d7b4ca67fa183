#include "http/h1_response.h"

#include "http/framing.h"

static mg_h1_response_verdict bad(mg_h1_response_reader *r, const char *fault) {
    r->fault = fault;
    return MG_H1_RESPONSE_BAD;
}

void mg_h1_response_init(mg_h1_response_reader *r, mg_arena *arena, const mg_guard_limits *limits,
                         bool to_head) {
    *r = (mg_h1_response_reader){.to_head = to_head};
    mg_h1_section_init(&r->section, arena, limits);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The reason phrase: HTAB, SP, VCHAR, obs-text.
static bool is_phrase(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

// "HTTP/1.1 200 OK"; the space behind the code may be missing, as many servers leave it out.
static const char *read_status_line(mg_str line, mg_response *out) {
    const char *p = line.p;
    bool version = line.n >= 12 && memcmp(p, "HTTP/", 5) == 0 && is_digit(p[5]) && p[6] == '.' &&
                   is_digit(p[7]) && p[8] == ' ';
    if (!version) {
        return "the status line is not: version SP status SP reason";
    }
    if (p[5] != '1' || p[7] > '1') {
        return "the version is neither HTTP/1.1 nor HTTP/1.0";
    }
    bool code = is_digit(p[9]) && is_digit(p[10]) && is_digit(p[11]) && p[9] != '0';
    if (!code || (line.n > 12 && p[12] != ' ')) {
        return "the status is not a number of three digits";
    }
    out->head.minor = p[7] - '0';
    out->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    out->reason = line.n > 13 ? (mg_str){p + 13, line.n - 13} : (mg_str){p + 12, 0};
    return is_phrase(out->reason) ? NULL : "the reason phrase has a control character";
}

static mg_h1_response_verdict parse(mg_h1_response_reader *r, mg_response *out) {
    *out = (mg_response){0};
    const char *fault = read_status_line(mg_h1_section_line(&r->section, r->section.bytes), out);
    if (fault == NULL) {
        fault = mg_h1_section_fields(&r->section, &out->head.fields);
    }
    if (fault == NULL) {
        fault = mg_framing_of_response(out, r->to_head).reason;
    }
    return fault == NULL ? MG_H1_RESPONSE_HEAD : bad(r, fault);
}

// A wrong status line is told before the rest has come, and goes before a fault behind it.
static const char *early_fault(const mg_h1_response_reader *r, const char *p) {
    mg_response ignored;
    bool line = r->section.guard.first_end > 0;
    return line ? read_status_line(mg_h1_section_line(&r->section, p), &ignored) : NULL;
}

static const char *guard_fault(const mg_refusal *refusal) {
    return refusal->status == 414 ? "the status line is too long" : refusal->reason;
}

mg_h1_response_verdict mg_h1_response_read(mg_h1_response_reader *r, const char *data, size_t n,
                                           size_t *used, mg_response *out) {
    const char *p;
    mg_guard_verdict verdict = mg_h1_section_take(&r->section, data, n, used, &p);
    if (verdict == MG_GUARD_END) {
        return parse(r, out);
    }
    const char *fault = early_fault(r, p);
    if (fault == NULL && verdict == MG_GUARD_BAD) {
        fault = guard_fault(&r->section.guard.refusal);
    }
    return fault == NULL ? MG_H1_RESPONSE_MORE : bad(r, fault);
}
