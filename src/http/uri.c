#include "http/uri.h"

#include "http/url.h"

#include <arpa/inet.h>

static int refuse(const char **why, const char *text) {
    *why = text;
    return MG_ESYNTAX;
}

// A NUL ends nothing: what is behind it must not go unseen.
static mg_str until(mg_str s, const char *ends) {
    size_t n = 0;
    while (n < s.n && (s.p[n] == '\0' || strchr(ends, s.p[n]) == NULL)) {
        n++;
    }
    return (mg_str){s.p, n};
}

static mg_str behind(mg_str s, size_t n) {
    return (mg_str){s.p + n, s.n - n};
}

// --- parsing ---

static int parse_scheme(mg_str *rest, mg_uri *out, const char **why) {
    static const mg_str plain = {"http://", 7};
    static const mg_str tls = {"https://", 8};
    if (mg_str_istarts(*rest, plain)) {
        *rest = behind(*rest, plain.n);
        return MG_OK;
    }
    if (!mg_str_istarts(*rest, tls)) {
        return refuse(why, "it does not begin with http:// or https://");
    }
    *rest = behind(*rest, tls.n);
    out->tls = true;
    return MG_OK;
}

// Splits a valid host[:port]; `port` is empty if there is none.
static void split_authority(mg_str authority, mg_str *host, mg_str *port) {
    const char *bracket = memrchr(authority.p, ']', authority.n);
    size_t from = bracket != NULL ? (size_t)(bracket - authority.p) : 0;
    const char *colon = memchr(authority.p + from, ':', authority.n - from);
    size_t n = colon != NULL ? (size_t)(colon - authority.p) : authority.n;
    *host = (mg_str){authority.p, n};
    *port = colon != NULL ? behind(authority, n + 1) : (mg_str){authority.p + n, 0};
}

// Hosts are the same in capitals (RFC 3986 section 3.2.2).
static mg_str lower(mg_str s, mg_arena *arena) {
    char *copy = mg_arena_alloc(arena, s.n);
    for (size_t i = 0; i < s.n; i++) {
        copy[i] = mg_lower(s.p[i]);
    }
    return (mg_str){copy, s.n};
}

static bool has_capitals(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 'A' && s.p[i] <= 'Z') {
            return true;
        }
    }
    return false;
}

static bool is_ipv4(mg_str s) {
    char text[INET_ADDRSTRLEN];
    struct in_addr ignored;
    if (s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET, text, &ignored) == 1;
}

static bool is_number(mg_str label) {
    bool hex = label.n > 1 && label.p[0] == '0' && label.p[1] == 'x';
    for (size_t i = hex ? 2 : 0; i < label.n; i++) {
        if (hex ? mg_hex_value(label.p[i]) < 0 : label.p[i] < '0' || label.p[i] > '9') {
            return false;
        }
    }
    return label.n > 0;
}

// Whether the last label, a dot behind it set aside, is a number: 127.0.0.010, 127.1, 0x7f000001.
static bool ends_in_number(mg_str host) {
    host.n -= host.p[host.n - 1] == '.';
    const char *dot = memrchr(host.p, '.', host.n);
    return is_number(dot != NULL ? behind(host, (size_t)(dot - host.p) + 1) : host);
}

// An address has one spelling only: readers differ over the others, and a filter would judge
// another host than is dialled. Takes the brackets off.
static int judge_host(mg_str *host, const char **why) {
    if (host->p[0] == '[') {
        *host = (mg_str){host->p + 1, host->n - 2};
        return MG_OK;
    }
    return !ends_in_number(*host) || is_ipv4(*host)
               ? MG_OK
               : refuse(why, "its host ends in a number, but is no IPv4 address of four decimal "
                             "numbers without leading zeros");
}

static int parse_authority(mg_str authority, mg_arena *arena, mg_uri *out, const char **why) {
    mg_str port;
    if (memchr(authority.p, '@', authority.n) != NULL) {
        return refuse(why, "it holds a user or password: send them as an Authorization field");
    }
    if (!mg_host_valid(authority)) {
        return refuse(why, "its host or port is not valid");
    }
    authority = has_capitals(authority) ? lower(authority, arena) : authority;
    split_authority(authority, &out->host, &port);
    uint64_t number = out->tls ? 443 : 80;
    bool is_default =
        port.n == 0 || (mg_str_to_u64(port, 65535, &number) && number == (out->tls ? 443u : 80u));
    if (number == 0) {
        return refuse(why, "its port is 0");
    }
    out->port = (uint16_t)number;
    out->authority = is_default ? out->host : authority;
    return judge_host(&out->host, why);
}

static mg_str join(mg_str a, mg_str b, mg_arena *arena) {
    char *joined = mg_arena_alloc(arena, a.n + b.n + 1);
    memcpy(joined, a.p, a.n);
    memcpy(joined + a.n, b.p, b.n);
    return (mg_str){joined, a.n + b.n};
}

// A target in one piece, with a slash in front and without dot segments. What is removed is judged
// too.
static int parse_target(mg_str text, mg_arena *arena, mg_uri *out, const char **why) {
    bool slash = text.n > 0 && text.p[0] == '/';
    if (!mg_url_is_strict(text)) {
        return refuse(why, "a character of its path or query must be percent-encoded "
                           "(moongate.url_encode)");
    }
    out->target = slash ? text : join(MG_STR("/"), text, arena);
    mg_str path = until(out->target, "?");
    mg_str plain = path;
    (void)mg_path_remove_dots(&plain, true, arena);
    if (plain.p != path.p) {
        out->target = join(plain, behind(out->target, path.n), arena);
    }
    return MG_OK;
}

int mg_uri_parse(mg_str text, mg_arena *arena, mg_uri *out, const char **why) {
    *out = (mg_uri){0};
    mg_str rest = until(text, "#");
    int rc = parse_scheme(&rest, out, why);
    if (rc != MG_OK) {
        return rc;
    }
    mg_str authority = until(rest, "/?");
    rc = parse_authority(authority, arena, out, why);
    return rc == MG_OK ? parse_target(behind(rest, authority.n), arena, out, why) : rc;
}

// --- references (RFC 3986 section 5.2) ---

static bool has_scheme(mg_str s) {
    mg_str before = until(s, ":/?#");
    return before.n > 0 && before.n < s.n && s.p[before.n] == ':';
}

static void append_origin(const mg_uri *base, mg_buf *out) {
    mg_buf_append_str(out, base->tls ? MG_STR("https://") : MG_STR("http://"));
    mg_buf_append_str(out, base->authority);
}

// The base's path up to and including its last slash.
static mg_str folder_of(mg_str target) {
    mg_str path = until(target, "?");
    const char *slash = memrchr(path.p, '/', path.n);
    return slash != NULL ? (mg_str){path.p, (size_t)(slash - path.p) + 1} : MG_STR("/");
}

// Servers write references as people read them: spaces, letters beyond ASCII, what RFC 3986 has no
// place for. That is encoded, as browsers do.
static void append_encoded(mg_str s, mg_buf *out) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        bool code = i + 2 < s.n && mg_hex_value(s.p[i + 1]) >= 0 && mg_hex_value(s.p[i + 2]) >= 0;
        bool stray = c != '\0' && strchr(" \t\"<>\\^`", c) != NULL;
        if (stray || c >= 0x80 || (c == '%' && !code)) {
            mg_buf_printf(out, "%%%02X", c);
        } else {
            mg_buf_append_char(out, (char)c);
        }
    }
}

// Hosts are left as they are: another spelling would be another host.
static void append_behind_authority(mg_str reference, size_t authority, mg_buf *out) {
    size_t n = authority + until(behind(reference, authority), "/?").n;
    mg_buf_append(out, reference.p, n);
    append_encoded(behind(reference, n), out);
}

int mg_uri_resolve(const mg_uri *base, mg_str reference, mg_buf *out) {
    reference = until(reference, "#");
    if (has_scheme(reference)) {
        static const mg_str plain = {"http://", 7};
        static const mg_str tls = {"https://", 8};
        if (mg_str_istarts(reference, plain)) {
            append_behind_authority(reference, plain.n, out);
        } else if (mg_str_istarts(reference, tls)) {
            append_behind_authority(reference, tls.n, out);
        } else {
            return MG_ESYNTAX;
        }
        return MG_OK;
    }
    if (mg_str_starts(reference, MG_STR("//"))) {
        mg_buf_append_str(out, base->tls ? MG_STR("https:") : MG_STR("http:"));
        append_behind_authority(reference, 2, out);
        return MG_OK;
    }
    append_origin(base, out);
    if (reference.n == 0) {
        mg_buf_append_str(out, base->target);
    } else if (reference.p[0] == '?') {
        mg_buf_append_str(out, until(base->target, "?"));
    } else if (reference.p[0] != '/') {
        mg_buf_append_str(out, folder_of(base->target));
    }
    append_encoded(reference, out);
    return MG_OK;
}
