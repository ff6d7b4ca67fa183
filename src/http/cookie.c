#include "http/cookie.h"

#include "http/date.h"

// Browsers ignore cookies beyond these sizes.
enum { PAIR_BYTES = 4096, ATTRIBUTE_BYTES = 1024 };

// --- reading ---

static mg_str without_quotes(mg_str s) {
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';
    return quoted ? (mg_str){s.p + 1, s.n - 2} : s;
}

bool mg_cookie_next(mg_str *rest, mg_str *name, mg_str *value) {
    while (rest->n > 0) {
        mg_str pair = mg_str_cut(rest, ';');
        const char *eq = memchr(pair.p, '=', pair.n);
        if (eq == NULL) {
            continue;
        }
        *name = mg_str_trim((mg_str){pair.p, (size_t)(eq - pair.p)});
        *value = mg_str_trim((mg_str){eq + 1, (size_t)(pair.p + pair.n - eq - 1)});
        *value = without_quotes(*value);
        if (name->n > 0) {
            return true;
        }
    }
    return false;
}

// --- checking ---

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

static bool is_path(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c < 0x20 || c >= 0x7f || c == ';') {
            return false;
        }
    }
    return s.n == 0 || (s.p[0] == '/' && s.n <= ATTRIBUTE_BYTES);
}

static bool is_domain(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = mg_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
            return false;
        }
    }
    return s.n <= ATTRIBUTE_BYTES;
}

static const char *attribute_fault(const mg_cookie *c) {
    if (!is_path(c->path)) {
        return "path begins with / and holds no semicolon, no control character and only ASCII";
    }
    if (!is_domain(c->domain)) {
        return "domain is a host name";
    }
    if (c->has_expires && (c->expires_s < MG_DATE_MIN || c->expires_s > MG_DATE_MAX)) {
        return "expires lies beyond the year 9999";
    }
    if (c->same_site == MG_SAME_SITE_NONE && !c->secure) {
        return "same_site \"none\" needs secure";
    }
    if (c->partitioned && !c->secure) {
        return "partitioned needs secure";
    }
    return NULL;
}

static const char *fault(const mg_cookie *c) {
    if (!is_value(c->value)) {
        return "the value holds a space, a control character, one of \" , ; \\ or no ASCII: "
               "encode it first";
    }
    if (c->name.n + c->value.n > PAIR_BYTES) {
        return "name and value are longer than 4096 bytes";
    }
    if (mg_str_istarts(c->name, MG_STR("__Secure-")) && !c->secure) {
        return "the prefix __Secure- needs secure";
    }
    bool bound = c->secure && c->domain.n == 0 && mg_str_eq(c->path, MG_STR("/"));
    if (mg_str_istarts(c->name, MG_STR("__Host-")) && !bound) {
        return "the prefix __Host- needs secure, path \"/\" and no domain";
    }
    return attribute_fault(c);
}

// --- writing ---

static void append_attribute(mg_buf *out, const char *name, mg_str value) {
    if (value.n > 0) {
        mg_buf_printf(out, "; %s=", name);
        mg_buf_append_str(out, value);
    }
}

static void append_life(mg_buf *out, const mg_cookie *c) {
    if (c->has_max_age) {
        mg_buf_printf(out, "; Max-Age=%lld", (long long)c->max_age_s);
    }
    if (c->has_expires) {
        char date[MG_DATE_BYTES + 1];
        mg_date_write(date, c->expires_s);
        append_attribute(out, "Expires", (mg_str){date, MG_DATE_BYTES});
    }
}

int mg_cookie_write(mg_buf *out, const mg_cookie *c, mg_error *err) {
    static const char *const same_sites[] = {
        [MG_SAME_SITE_UNSET] = "",
        [MG_SAME_SITE_STRICT] = "; SameSite=Strict",
        [MG_SAME_SITE_LAX] = "; SameSite=Lax",
        [MG_SAME_SITE_NONE] = "; SameSite=None",
    };
    if (!mg_str_is_token(c->name)) {
        return mg_error_set(err, MG_ESYNTAX, "cookie: the name is not a token");
    }
    const char *what = fault(c);
    if (what != NULL) {
        int shown = c->name.n < 64 ? (int)c->name.n : 64;
        return mg_error_set(err, MG_ESYNTAX, "cookie %.*s: %s", shown, c->name.p, what);
    }
    mg_buf_append_str(out, c->name);
    mg_buf_append_char(out, '=');
    mg_buf_append_str(out, c->value);
    append_attribute(out, "Path", c->path);
    append_attribute(out, "Domain", c->domain);
    append_life(out, c);
    mg_buf_append_str(out, mg_str_of(same_sites[c->same_site]));
    mg_buf_append_str(out, c->secure ? MG_STR("; Secure") : MG_STR(""));
    mg_buf_append_str(out, c->http_only ? MG_STR("; HttpOnly") : MG_STR(""));
    mg_buf_append_str(out, c->partitioned ? MG_STR("; Partitioned") : MG_STR(""));
    return MG_OK;
}
