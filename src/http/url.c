#include "http/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

// What may stand in a path: everything printable but  " < > \ ^ ` #  and space. Real clients send
// | { } [ ]. NAME: what a host name may hold besides: so hosts are judged by the same table.
enum { PLAIN = 1, PERCENT, QUESTION, DOT, SLASH, NAME };

static const uint8_t kinds[256] = {
    ['!'] = NAME,  ['$'] = NAME,  ['%'] = PERCENT,  ['&'] = NAME,  ['\''] = NAME, ['('] = NAME,
    [')'] = NAME,  ['*'] = NAME,  ['+'] = NAME,     [','] = PLAIN, ['-'] = NAME,  ['.'] = DOT,
    ['/'] = SLASH, ['0'] = NAME,  ['1'] = NAME,     ['2'] = NAME,  ['3'] = NAME,  ['4'] = NAME,
    ['5'] = NAME,  ['6'] = NAME,  ['7'] = NAME,     ['8'] = NAME,  ['9'] = NAME,  [':'] = PLAIN,
    [';'] = NAME,  ['='] = NAME,  ['?'] = QUESTION, ['@'] = PLAIN, ['A'] = NAME,  ['B'] = NAME,
    ['C'] = NAME,  ['D'] = NAME,  ['E'] = NAME,     ['F'] = NAME,  ['G'] = NAME,  ['H'] = NAME,
    ['I'] = NAME,  ['J'] = NAME,  ['K'] = NAME,     ['L'] = NAME,  ['M'] = NAME,  ['N'] = NAME,
    ['O'] = NAME,  ['P'] = NAME,  ['Q'] = NAME,     ['R'] = NAME,  ['S'] = NAME,  ['T'] = NAME,
    ['U'] = NAME,  ['V'] = NAME,  ['W'] = NAME,     ['X'] = NAME,  ['Y'] = NAME,  ['Z'] = NAME,
    ['['] = PLAIN, [']'] = PLAIN, ['_'] = NAME,     ['a'] = NAME,  ['b'] = NAME,  ['c'] = NAME,
    ['d'] = NAME,  ['e'] = NAME,  ['f'] = NAME,     ['g'] = NAME,  ['h'] = NAME,  ['i'] = NAME,
    ['j'] = NAME,  ['k'] = NAME,  ['l'] = NAME,     ['m'] = NAME,  ['n'] = NAME,  ['o'] = NAME,
    ['p'] = NAME,  ['q'] = NAME,  ['r'] = NAME,     ['s'] = NAME,  ['t'] = NAME,  ['u'] = NAME,
    ['v'] = NAME,  ['w'] = NAME,  ['x'] = NAME,     ['y'] = NAME,  ['z'] = NAME,  ['{'] = PLAIN,
    ['|'] = PLAIN, ['}'] = PLAIN, ['~'] = NAME,
};

static bool is_code(mg_str s, size_t i) {
    return i + 2 < s.n && mg_hex_value(s.p[i + 1]) >= 0 && mg_hex_value(s.p[i + 2]) >= 0;
}

// --- dot segments (RFC 3986 section 5.2.4) ---

// 1 for ".", 2 for "..", in any percent coding; 0 for other segments.
static int dots(mg_str segment) {
    int count = 0;
    size_t i = 0;
    while (i < segment.n) {
        if (segment.p[i] == '.') {
            i++;
        } else if (segment.n - i >= 3 && segment.p[i] == '%' && segment.p[i + 1] == '2' &&
                   mg_lower(segment.p[i + 2]) == 'e') {
            i += 3;
        } else {
            return 0;
        }
        count++;
    }
    return count <= 2 ? count : 0;
}

static size_t segment_end(mg_str path, size_t from) {
    const char *slash = memchr(path.p + from, '/', path.n - from);
    return slash != NULL ? (size_t)(slash - path.p) : path.n;
}

static bool has_dot_segment(mg_str path) {
    for (size_t at = 1; at <= path.n;) {
        size_t end = segment_end(path, at);
        if (dots((mg_str){path.p + at, end - at}) > 0) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

int mg_path_remove_dots(mg_str *path, bool clamp, mg_arena *arena) {
    if (!has_dot_segment(*path)) {
        return MG_OK;
    }
    char *out = mg_arena_alloc(arena, path->n + 1);
    size_t n = 0;
    for (size_t at = 1; at <= path->n;) {
        size_t end = segment_end(*path, at);
        mg_str segment = {path->p + at, end - at};
        int kind = dots(segment);
        bool last = end == path->n;
        if (kind == 2) {
            if (n == 0 && !clamp) {
                return MG_ESYNTAX;
            }
            while (n > 0 && out[--n] != '/') {
            }
        }
        if (kind == 0) {
            out[n++] = '/';
            memcpy(out + n, segment.p, segment.n);
            n += segment.n;
        } else if (last) {
            out[n++] = '/';
        }
        at = end + 1;
    }
    *path = (mg_str){out, n};
    return MG_OK;
}

// --- path and query ---

bool mg_url_is_strict(mg_str text) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t kind = kinds[(uint8_t)text.p[i]];
        if (kind == 0 || (kind == PERCENT && !is_code(text, i))) {
            return false;
        }
    }
    return true;
}

// Where the path of `text` ends: at its "?" or end. text.n + 1 if something in it is refused.
static size_t scan_path(mg_str text, bool *dotted) {
    for (size_t i = 0; i < text.n; i++) {
        switch (kinds[(uint8_t)text.p[i]]) {
        case 0:
            return text.n + 1;
        case PERCENT:
            if (!is_code(text, i)) {
                return text.n + 1;
            }
            *dotted |= text.p[i + 1] == '2';
            break;
        case QUESTION:
            return i;
        case DOT:
            *dotted = true;
            break;
        default:
            break;
        }
    }
    return text.n;
}

// Browsers leave  " < > \ ^ ` { | }  and a stray % as they are there (WHATWG), and nobody's routing
// depends on it: only what cannot be part of a target in a request line is refused.
static bool query_valid(mg_str query) {
    for (size_t i = 0; i < query.n; i++) {
        uint8_t c = (uint8_t)query.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return false;
        }
    }
    return true;
}

static int parse_path(mg_str text, mg_arena *arena, mg_target *out) {
    bool dotted = false;
    size_t end = scan_path(text, &dotted);
    if (end > text.n) {
        return MG_ESYNTAX;
    }
    out->path = (mg_str){text.p, end};
    out->has_query = end < text.n;
    if (out->has_query) {
        out->query = (mg_str){text.p + end + 1, text.n - end - 1};
        if (!query_valid(out->query)) {
            return MG_ESYNTAX;
        }
    }
    return dotted ? mg_path_remove_dots(&out->path, false, arena) : MG_OK;
}

// --- hosts ---

static bool valid_port(mg_str port) {
    uint64_t ignored;
    return port.n == 0 || mg_str_to_u64(port, 65535, &ignored);
}

// What is no address, a zone id or a later version's literal (IPvFuture) included, is refused.
static bool valid_ipv6(mg_str s) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    if (s.n >= sizeof text || (s.n > 0 && memchr(s.p, '\0', s.n) != NULL)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, &ignored) == 1;
}

// reg-name, but for the comma: no host has one, and two Host fields joined by a proxy do.
static bool valid_name(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t kind = kinds[(uint8_t)s.p[i]];
        if (kind != NAME && kind != DOT && !(kind == PERCENT && is_code(s, i))) {
            return false;
        }
    }
    return true;
}

bool mg_host_valid(mg_str host) {
    if (host.n > 0 && host.p[0] == '[') {
        const char *end = memchr(host.p, ']', host.n);
        if (end == NULL || !valid_ipv6((mg_str){host.p + 1, (size_t)(end - host.p - 1)})) {
            return false;
        }
        mg_str rest = {end + 1, (size_t)(host.p + host.n - end - 1)};
        return rest.n == 0 || (rest.p[0] == ':' && valid_port((mg_str){rest.p + 1, rest.n - 1}));
    }
    const char *colon = host.n > 0 ? memchr(host.p, ':', host.n) : NULL;
    if (colon == NULL) {
        return host.n > 0 && valid_name(host);
    }
    mg_str name = {host.p, (size_t)(colon - host.p)};
    return name.n > 0 && valid_name(name) && valid_port((mg_str){colon + 1, host.n - name.n - 1});
}

// --- forms ---

static int parse_absolute(mg_str text, mg_arena *arena, mg_target *out) {
    size_t scheme = text.n > 7 && mg_str_istarts(text, MG_STR("http://"))    ? 4
                    : text.n > 8 && mg_str_istarts(text, MG_STR("https://")) ? 5
                                                                             : 0;
    if (scheme == 0) {
        return MG_ESYNTAX;
    }
    mg_str rest = {text.p + scheme + 3, text.n - scheme - 3};
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?') {
        end++;
    }
    out->form = MG_TARGET_ABSOLUTE;
    out->scheme = (mg_str){text.p, scheme};
    out->authority = (mg_str){rest.p, end};
    if (!mg_host_valid(out->authority)) {
        return MG_ESYNTAX;
    }
    mg_str path = {rest.p + end, rest.n - end};
    int rc = parse_path(path, arena, out);
    if (out->path.n == 0) {
        out->path = MG_STR("/");
    }
    return rc;
}

static int parse_authority(mg_str text, mg_target *out) {
    out->form = MG_TARGET_AUTHORITY;
    out->authority = text;
    const char *port = memrchr(text.p, ':', text.n);
    bool sound = port != NULL && port + 1 < text.p + text.n;
    return sound && mg_host_valid(text) ? MG_OK : MG_ESYNTAX;
}

int mg_target_parse(mg_str text, mg_method m, mg_arena *arena, mg_target *out) {
    *out = (mg_target){0};
    if (text.n == 0) {
        return MG_ESYNTAX;
    }
    if (m == MG_METHOD_CONNECT) {
        return parse_authority(text, out);
    }
    if (text.p[0] == '/') {
        return parse_path(text, arena, out);
    }
    if (text.n == 1 && text.p[0] == '*' && m == MG_METHOD_OPTIONS) {
        out->form = MG_TARGET_ASTERISK;
        out->path = text;
        return MG_OK;
    }
    return parse_absolute(text, arena, out);
}

// --- decoding ---

void mg_url_decode(mg_str s, bool plus, mg_buf *out) {
    char *to = mg_buf_reserve(out, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && is_code(s, i)) {
            to[n++] = (char)(mg_hex_value(s.p[i + 1]) << 4 | mg_hex_value(s.p[i + 2]));
            i += 2;
        } else {
            to[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    out->n += n;
}

bool mg_query_next(mg_str *rest, mg_str *key, mg_str *value) {
    while (rest->n > 0) {
        mg_str pair = mg_str_cut(rest, '&');
        if (pair.n == 0) {
            continue;
        }
        const char *eq = memchr(pair.p, '=', pair.n);
        *key = (mg_str){pair.p, eq != NULL ? (size_t)(eq - pair.p) : pair.n};
        *value = eq != NULL ? (mg_str){eq + 1, pair.n - key->n - 1} : (mg_str){pair.p + pair.n, 0};
        return true;
    }
    return false;
}
