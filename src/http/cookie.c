#include "http/cookie.h"

#include "http/date.h"

bool mg_cookie_next(mg_str *rest, mg_str *name, mg_str *value) {
    while (rest->n > 0) {
        const char *end = memchr(rest->p, ';', rest->n);
        mg_str pair = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n};
        size_t skip = pair.n + (end != NULL);
        rest->p += skip;
        rest->n -= skip;
        const char *eq = pair.n > 0 ? memchr(pair.p, '=', pair.n) : NULL;
        if (eq == NULL) {
            continue;
        }
        *name = mg_str_trim((mg_str){pair.p, (size_t)(eq - pair.p)});
        *value = mg_str_trim((mg_str){eq + 1, (size_t)(pair.p + pair.n - eq - 1)});
        if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"') {
            *value = (mg_str){value->p + 1, value->n - 2};
        }
        if (name->n > 0) {
            return true;
        }
    }
    return false;
}

// cookie-octet: printable ASCII but space, double quote, comma, semicolon and backslash.
static bool is_value(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\') {
            return false;
        }
    }
    return true;
}

static bool is_attribute(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c < 0x20 || c >= 0x7f || c == ';') {
            return false;
        }
    }
    return true;
}

static bool is_domain(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = mg_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
            return false;
        }
    }
    return true;
}

static bool has_prefix(mg_str name, mg_str prefix) {
    return name.n >= prefix.n && mg_str_ieq((mg_str){name.p, prefix.n}, prefix);
}

static int check(const mg_cookie *c, mg_error *err) {
    if (!mg_str_is_token(c->name)) {
        return mg_error_set(err, MG_ESYNTAX, "cookie: the name is not a token");
    }
    int n = (int)c->name.n;
    const char *p = c->name.p;
    if (!is_value(c->value)) {
        return mg_error_set(err, MG_ESYNTAX, "cookie %.*s: the value holds a control character, space, quote, "
                            "comma, semicolon or backslash, or is no ASCII: encode it first", n, p);
    }
    if (!is_attribute(c->path) || (c->path.n > 0 && c->path.p[0] != '/')) {
        return mg_error_set(err, MG_ESYNTAX, "cookie %.*s: path begins with / and holds no semicolon", n, p);
    }
    if (!is_domain(c->domain)) {
        return mg_error_set(err, MG_ESYNTAX, "cookie %.*s: domain is a host name", n, p);
    }
    if ((c->same_site == MG_SAME_SITE_NONE || c->partitioned) && !c->secure) {
        return mg_error_set(err, MG_ESYNTAX, "cookie %.*s: same_site \"none\" and partitioned need secure", n, p);
    }
    if (has_prefix(c->name, MG_STR("__Secure-")) && !c->secure) {
        return mg_error_set(err, MG_ESYNTAX, "cookie %.*s: the prefix __Secure- needs secure", n, p);
    }
    bool host = c->secure && c->domain.n == 0 && mg_str_eq(c->path, MG_STR("/"));
    if (has_prefix(c->name, MG_STR("__Host-")) && !host) {
        return mg_error_set(err, MG_ESYNTAX,
                            "cookie %.*s: the prefix __Host- needs secure, path \"/\" and no domain", n, p);
    }
    return MG_OK;
}

int mg_cookie_write(mg_buf *out, const mg_cookie *c, mg_error *err) {
    static const char *const same_sites[] = {"", "; SameSite=Strict", "; SameSite=Lax", "; SameSite=None"};
    int rc = check(c, err);
    if (rc != MG_OK) {
        return rc;
    }
    mg_buf_printf(out, "%.*s=%.*s", (int)c->name.n, c->name.p, (int)c->value.n, c->value.p);
    if (c->path.n > 0) {
        mg_buf_printf(out, "; Path=%.*s", (int)c->path.n, c->path.p);
    }
    if (c->domain.n > 0) {
        mg_buf_printf(out, "; Domain=%.*s", (int)c->domain.n, c->domain.p);
    }
    if (c->has_max_age) {
        mg_buf_printf(out, "; Max-Age=%lld", (long long)c->max_age_s);
    }
    if (c->has_expires) {
        char date[30];
        mg_date_write(date, c->expires_s);
        mg_buf_printf(out, "; Expires=%s", date);
    }
    mg_buf_append_str(out, mg_str_of(same_sites[c->same_site]));
    mg_buf_append_str(out, c->secure ? MG_STR("; Secure") : MG_STR(""));
    mg_buf_append_str(out, c->http_only ? MG_STR("; HttpOnly") : MG_STR(""));
    mg_buf_append_str(out, c->partitioned ? MG_STR("; Partitioned") : MG_STR(""));
    return MG_OK;
}
