#include "store/postgres_scan.h"

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c) {
    return (mg_lower(c) >= 'a' && mg_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80) != 0;
}

// The end of what `what` closes, from `at` on.
static size_t behind(mg_str sql, size_t at, mg_str what) {
    const char *end = at < sql.n ? memmem(sql.p + at, sql.n - at, what.p, what.n) : NULL;
    return end == NULL ? sql.n : (size_t)(end - sql.p) + what.n;
}

// Comments nest (section 4.1.5 of the manual).
static size_t behind_comment(mg_str sql, size_t at) {
    unsigned depth = 0;
    do {
        bool two = at + 1 < sql.n;
        if (two && sql.p[at] == '/' && sql.p[at + 1] == '*') {
            depth++;
            at += 2;
        } else if (two && sql.p[at] == '*' && sql.p[at + 1] == '/') {
            depth--;
            at += 2;
        } else {
            at++;
        }
    } while (depth > 0 && at < sql.n);
    return at < sql.n ? at : sql.n;
}

// In E'...' a backslash hides the quote.
static size_t behind_quoted(mg_str sql, size_t at) {
    char quote = sql.p[at];
    bool escapes = quote == '\'' && at > 0 && mg_lower(sql.p[at - 1]) == 'e' &&
                   (at < 2 || !is_word(sql.p[at - 2]));
    for (at++; at < sql.n && sql.p[at] != quote; at++) {
        at += escapes && sql.p[at] == '\\';
    }
    return at < sql.n ? at + 1 : sql.n;
}

// $tag$ ... $tag$; a single dollar sign is what it is.
static size_t behind_dollar(mg_str sql, size_t at) {
    size_t end = at + 1;
    while (end < sql.n && is_word(sql.p[end])) {
        end++;
    }
    bool opens = end < sql.n && sql.p[end] == '$' && (at == 0 || !is_word(sql.p[at - 1])) &&
                 !(sql.p[at + 1] >= '0' && sql.p[at + 1] <= '9');
    mg_str tag = {sql.p + at, end + 1 - at};
    return opens ? behind(sql, end + 1, tag) : at + 1;
}

size_t mg_pg_scan_token(mg_str sql, size_t at, bool *blank) {
    char c = sql.p[at];
    char next = at + 1 < sql.n ? sql.p[at + 1] : '\0';
    *blank = is_space(c) || c == ';';
    if (c == '-' && next == '-') {
        *blank = true;
        return behind(sql, at, MG_STR("\n"));
    }
    if (c == '/' && next == '*') {
        *blank = true;
        return behind_comment(sql, at);
    }
    if (c == '\'' || c == '"') {
        return behind_quoted(sql, at);
    }
    return c == '$' ? behind_dollar(sql, at) : at + 1;
}
