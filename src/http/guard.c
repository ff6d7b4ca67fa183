#include "http/guard.h"

enum { EMPTY_LINES_BEFORE = 4 };

static mg_guard_verdict bad(mg_guard *g, int status, const char *reason) {
    g->refusal = (mg_refusal){.status = status, .reason = reason};
    return MG_GUARD_BAD;
}

static bool in_first_line(const mg_guard *g, const mg_guard_limits *limits) {
    return limits->first_line_bytes > 0 && g->first_end == 0;
}

// How many of the section's `n` bytes are the first that are too many. Faults are judged by where
// they show, so that a split input is refused for the same reason as a whole one. The empty line at
// the end is not counted; a CR begins nothing else.
static size_t too_many(const mg_guard *g, const mg_guard_limits *limits, const char *p, size_t n) {
    if (in_first_line(g, limits)) {
        return g->line_start + limits->first_line_bytes + 3;
    }
    bool last = g->line_start == n || p[g->line_start] == '\r';
    return g->first_end + limits->bytes + (last ? 3 : 1);
}

static mg_guard_verdict too_large(mg_guard *g, const mg_guard_limits *limits) {
    return in_first_line(g, limits) ? bad(g, 414, "the request line is too long")
                                    : bad(g, 431, "the header section is too large");
}

// A fault that shows once `seen` bytes are there, unless the size was exceeded before.
static mg_guard_verdict bad_end(mg_guard *g, const mg_guard_limits *limits, const char *p,
                                size_t seen, const char *reason) {
    return too_many(g, limits, p, seen) < seen ? too_large(g, limits) : bad(g, 400, reason);
}

// The line from line_start to `end` (behind its CRLF) is complete and not empty.
static mg_guard_verdict take_line(mg_guard *g, const mg_guard_limits *limits, const char *p,
                                  size_t end) {
    char c = p[g->line_start];
    if (c == ' ' || c == '\t') {
        return bad(g, 400,
                   "a line begins with white space: a field is folded, which RFC 9112 forbids");
    }
    if (c == ':') {
        return bad(g, 400, "a header field without a name");
    }
    if (too_many(g, limits, p, end) <= end) {
        return too_large(g, limits);
    }
    if (in_first_line(g, limits)) {
        g->first = g->line_start;
        g->first_end = end;
    } else if (g->lines - (limits->first_line_bytes > 0) >= limits->lines) {
        return bad(g, 431, "too many header fields");
    }
    g->lines++;
    g->line_start = end;
    return MG_GUARD_MORE;
}

static mg_guard_verdict take_empty_line(mg_guard *g, const mg_guard_limits *limits, size_t end) {
    if (!in_first_line(g, limits)) {
        g->at = end;
        return MG_GUARD_END;
    }
    if (++g->skipped > EMPTY_LINES_BEFORE) {
        return bad(g, 400, "too many empty lines before the first one");
    }
    g->line_start = end;
    return MG_GUARD_MORE;
}

// No LF lies between g->at and `n`: a CR is in order only as the last byte.
static mg_guard_verdict check_tail(mg_guard *g, const mg_guard_limits *limits, const char *p,
                                   size_t n) {
    const char *cr = n > g->at ? memchr(p + g->at, '\r', n - g->at) : NULL;
    if (cr != NULL && cr != p + n - 1) {
        return bad_end(g, limits, p, (size_t)(cr - p) + 2, "a CR without LF");
    }
    g->at = cr != NULL ? n - 1 : n;
    return too_many(g, limits, p, n) <= n ? too_large(g, limits) : MG_GUARD_MORE;
}

mg_guard_verdict mg_guard_scan(mg_guard *g, const mg_guard_limits *limits, const char *p,
                               size_t n) {
    for (;;) {
        const char *lf = n > g->at ? memchr(p + g->at, '\n', n - g->at) : NULL;
        if (lf == NULL) {
            return check_tail(g, limits, p, n);
        }
        size_t end = (size_t)(lf - p) + 1;
        const char *cr = memchr(p + g->at, '\r', end - g->at);
        if (cr == NULL) {
            return bad_end(g, limits, p, end, "an LF without CR");
        }
        if (cr + 1 != lf) {
            return bad_end(g, limits, p, (size_t)(cr - p) + 2, "a CR without LF");
        }
        if (too_many(g, limits, p, end) < end) {
            return too_large(g, limits);
        }
        mg_guard_verdict verdict = end - g->line_start == 2 ? take_empty_line(g, limits, end)
                                                            : take_line(g, limits, p, end);
        if (verdict != MG_GUARD_MORE) {
            return verdict;
        }
        g->at = end;
    }
}
