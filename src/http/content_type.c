#include "http/content_type.h"

mg_str mg_media_type(mg_str value, mg_str *params) {
    const char *semicolon = value.n > 0 ? memchr(value.p, ';', value.n) : NULL;
    mg_str type = {value.p, semicolon != NULL ? (size_t)(semicolon - value.p) : value.n};
    *params = (mg_str){semicolon, value.n - type.n};
    return mg_str_trim(type);
}

bool mg_media_type_valid(mg_str type) {
    const char *slash = type.n > 0 ? memchr(type.p, '/', type.n) : NULL;
    if (slash == NULL) {
        return false;
    }
    size_t n = (size_t)(slash - type.p);
    return mg_str_is_token((mg_str){type.p, n}) &&
           mg_str_is_token((mg_str){slash + 1, type.n - n - 1});
}

// A quoted-string at the front. Browsers leave the backslashes of file names alone, so one quotes
// only the two characters that need it. False if the string does not end.
static bool take_quoted(mg_str *s, mg_buf *scratch, mg_str *value) {
    mg_buf_clear(scratch);
    for (size_t i = 1; i < s->n; i++) {
        char c = s->p[i];
        if (c == '"') {
            mg_str_skip(s, i + 1);
            *value = mg_buf_str(scratch);
            return true;
        }
        if (c == '\\' && i + 1 < s->n && (s->p[i + 1] == '"' || s->p[i + 1] == '\\')) {
            c = s->p[++i];
        }
        mg_buf_append_char(scratch, c);
    }
    return false;
}

static bool take_raw(mg_str *s, mg_str *value) {
    size_t n = 0;
    while (n < s->n && strchr("; \t", s->p[n]) == NULL) {
        n++;
    }
    *value = (mg_str){s->p, n};
    mg_str_skip(s, n);
    return n > 0;
}

// Steps over the semicolon in front of a parameter; empty parameters are allowed (RFC 9110 section
// 5.6.6). False if there is none.
static bool take_semicolons(mg_str *s) {
    bool any = false;
    *s = mg_str_trim(*s);
    while (s->n > 0 && s->p[0] == ';') {
        mg_str_skip(s, 1);
        *s = mg_str_trim(*s);
        any = true;
    }
    return any;
}

typedef bool (*take_unquoted)(mg_str *s, mg_str *value);

static bool next_param(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch,
                       take_unquoted take) {
    mg_str s = *params;
    bool separated = take_semicolons(&s);
    if (s.n == 0) {
        *params = s;
        return false;
    }
    if (!separated || !mg_str_take_token(&s, name) || s.n < 2 || s.p[0] != '=') {
        return false;
    }
    mg_str_skip(&s, 1);
    bool good = s.p[0] == '"' ? take_quoted(&s, scratch, value) : take(&s, value);
    if (good) {
        *params = s;
    }
    return good;
}

bool mg_param_next(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch) {
    return next_param(params, name, value, scratch, mg_str_take_token);
}

bool mg_param_next_raw(mg_str *params, mg_str *name, mg_str *value, mg_buf *scratch) {
    return next_param(params, name, value, scratch, take_raw);
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
