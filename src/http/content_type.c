#include "http/content_type.h"

mg_str mg_media_type(mg_str value, mg_str *params) {
    const char *semicolon = value.n > 0 ? memchr(value.p, ';', value.n) : NULL;
    size_t n = semicolon != NULL ? (size_t)(semicolon - value.p) : value.n;
    *params = (mg_str){value.p + n, value.n - n};
    return mg_str_trim((mg_str){value.p, n});
}

static void skip(mg_str *s, size_t n) {
    s->p += n;
    s->n -= n;
}

// A quoted-string at the front. False if it does not end.
static bool take_quoted(mg_str *s, mg_buf *scratch, mg_str *value) {
    mg_buf_clear(scratch);
    for (size_t i = 1; i < s->n; i++) {
        char c = s->p[i];
        if (c == '"') {
            skip(s, i + 1);
            *value = mg_buf_str(scratch);
            return true;
        }
        if (c == '\\' && i + 1 < s->n) {
            c = s->p[++i];
        }
        mg_buf_append_char(scratch, c);
    }
    return false;
}

static mg_str take_token(mg_str *s) {
    size_t n = 0;
    while (n < s->n && mg_tchar[(uint8_t)s->p[n]]) {
        n++;
    }
    mg_str token = {s->p, n};
    skip(s, n);
    return token;
}

bool mg_param_next(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch) {
    mg_str s = mg_str_trim(*params);
    while (s.n > 0 && s.p[0] == ';') {
        skip(&s, 1);
        s = mg_str_trim(s);
    }
    *name = take_token(&s);
    if (name->n == 0 || s.n == 0 || s.p[0] != '=') {
        return false;
    }
    skip(&s, 1);
    if (s.n > 0 && s.p[0] == '"') {
        if (!take_quoted(&s, scratch, value)) {
            return false;
        }
    } else {
        *value = take_token(&s);
    }
    *params = s;
    return true;
}

bool mg_param_find(mg_str params, mg_str name, mg_buf *scratch, mg_str *value) {
    mg_str found;
    while (mg_param_next(&params, &found, value, scratch)) {
        if (mg_str_ieq(found, name)) {
            return true;
        }
    }
    return false;
}
