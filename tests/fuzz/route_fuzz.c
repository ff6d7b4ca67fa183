// The tree finds what trying the patterns one by one, in order of precedence, finds. Lines of input
// are routes, the last line is the request; each begins with a byte that is its method.
#include "fuzz.h"
#include "http/route.h"
#include "http/url.h"

enum { ROUTES = 16, BYTES_MAX = 1000 };

// How a segment is matched, in the order in which that is tried.
enum { STATIC, INT, UINT, UUID, HEX, ALPHA, SLUG, ANY, REST };

typedef struct route {
    unsigned method;
    mg_str pattern;
} route;

// What one pattern makes of a path.
typedef struct trial {
    bool fits;
    uint32_t count;
    mg_str values[MG_ROUTE_PARAMS];
} trial;

static mg_str take(mg_str *rest, char separator) {
    const char *end = rest->n > 0 ? memchr(rest->p, separator, rest->n) : NULL;
    mg_str s = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n};
    size_t skip = s.n + (end != NULL);
    *rest = (mg_str){rest->p + skip, rest->n - skip};
    return s;
}

static int kind_of(mg_str segment) {
    static const char *const types[] = {"<int>", "<uint>", "<uuid>", "<hex>", "<alpha>", "<slug>"};
    if (segment.n == 0 || (segment.p[0] != ':' && segment.p[0] != '*')) {
        return STATIC;
    }
    if (segment.p[0] == '*') {
        return REST;
    }
    const char *open = memchr(segment.p, '<', segment.n);
    for (int i = 0; open != NULL && i < 6; i++) {
        if (mg_str_eq((mg_str){open, (size_t)(segment.p + segment.n - open)},
                      mg_str_of(types[i]))) {
            return INT + i;
        }
    }
    return ANY;
}

static bool is_made_of(mg_str s, const char *bytes) {
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\0' || strchr(bytes, s.p[i]) == NULL) {
            return false;
        }
    }
    return s.n > 0;
}

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_uuid(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (!is_made_of((mg_str){s.p + i, 1}, dash ? "-" : DIGITS "abcdefABCDEF")) {
            return false;
        }
    }
    return s.n == 36;
}

static bool is_static(mg_str want, mg_str segment) {
    mg_buf decoded = {0};
    mg_buf wanted = {0};
    mg_url_decode(segment, false, &decoded);
    mg_url_decode(want, false, &wanted);
    bool same = mg_str_eq(mg_buf_str(&wanted), mg_buf_str(&decoded));
    mg_buf_deinit(&decoded);
    mg_buf_deinit(&wanted);
    return same;
}

// The digits of a number up to `most`.
static bool is_number(mg_str s, const char *most) {
    size_t n = strlen(most);
    bool digits = is_made_of(s, DIGITS);
    while (s.n > 1 && s.p[0] == '0') {
        s = (mg_str){s.p + 1, s.n - 1};
    }
    return digits && (s.n < n || (s.n == n && memcmp(s.p, most, n) <= 0));
}

static bool is_int(mg_str s) {
    if (s.n > 1 && s.p[0] == '-') {
        return is_number((mg_str){s.p + 1, s.n - 1}, "9223372036854775808");
    }
    return is_number(s, "9223372036854775807");
}

static bool fits(mg_str want, mg_str segment) {
    switch (kind_of(want)) {
    case STATIC:
        return is_static(want, segment);
    case INT:
        return is_int(segment);
    case UINT:
        return is_number(segment, "18446744073709551615");
    case UUID:
        return is_uuid(segment);
    case HEX:
        return is_made_of(segment, DIGITS "abcdefABCDEF");
    case ALPHA:
        return is_made_of(segment, LOWER UPPER);
    case SLUG:
        return is_made_of(segment, DIGITS LOWER UPPER "-_");
    default:
        return segment.n > 0;
    }
}

static trial try_pattern(mg_str pattern, mg_str path) {
    trial t = {0};
    if (path.n == 0 || path.p[0] != '/') {
        return t;
    }
    const char *pattern_end = pattern.p + pattern.n;
    const char *path_end = path.p + path.n;
    mg_str p = {pattern.p + 1, pattern.n - 1};
    mg_str s = {path.p + 1, path.n - 1};
    for (;;) {
        mg_str rest = s;
        mg_str want = take(&p, '/');
        mg_str got = take(&s, '/');
        bool last = want.p + want.n == pattern_end;
        int kind = kind_of(want);
        if (kind == REST) {
            t.values[t.count++] = rest;
            t.fits = rest.n > 0;
            return t;
        }
        if (!fits(want, got)) {
            return t;
        }
        if (kind != STATIC) {
            t.values[t.count++] = got;
        }
        if (last || got.p + got.n == path_end) {
            t.fits = last && got.p + got.n == path_end;
            return t;
        }
    }
}

// Negative: `a` is tried before `b`. Zero: they have the same shape, if both fit one path.
static int compare(mg_str a, mg_str b) {
    while (a.n > 0 && b.n > 0) {
        int order = kind_of(take(&a, '/')) - kind_of(take(&b, '/'));
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static bool same_shape(mg_str a, mg_str b) {
    const char *a_end = a.p + a.n;
    const char *b_end = b.p + b.n;
    for (;;) {
        mg_str x = take(&a, '/');
        mg_str y = take(&b, '/');
        bool a_last = x.p + x.n == a_end;
        bool b_last = y.p + y.n == b_end;
        if (a_last != b_last || kind_of(x) != kind_of(y) ||
            (kind_of(x) == STATIC && !is_static(x, y))) {
            return false;
        }
        if (a_last) {
            return true;
        }
    }
}

static bool serves(const route *r, unsigned m) {
    return r->method == m || (m == MG_METHOD_HEAD && r->method == MG_METHOD_GET);
}

// The place of the route for a request, or -1 and the methods that would be served.
static int find(const route *routes, int n, unsigned m, mg_str path, uint64_t *allowed) {
    int best = -1;
    for (int i = 0; i < n; i++) {
        if (!try_pattern(routes[i].pattern, path).fits) {
            continue;
        }
        *allowed |= (uint64_t)1 << routes[i].method;
        if (!serves(&routes[i], m)) {
            continue;
        }
        int order = best < 0 ? -1 : compare(routes[i].pattern, routes[best].pattern);
        if (order < 0 || (order == 0 && routes[i].method == m)) {
            best = i;
        }
    }
    return best;
}

static void check_match(const route *routes, int n, const mg_router *r, unsigned m, mg_str path) {
    uint64_t allowed = 0;
    mg_route_match match;
    int want = find(routes, n, m, path, &allowed);
    switch (mg_router_match(r, m, path, &match)) {
    case MG_ROUTE_FOUND:
        must(want >= 0 && match.id == (uint32_t)want + 1);
        trial t = try_pattern(routes[want].pattern, path);
        must(match.count == t.count);
        for (uint32_t i = 0; i < t.count; i++) {
            must(mg_str_eq(match.values[i], t.values[i]));
            must(mg_router_param(r, match.id, i).name.n > 0);
        }
        break;
    case MG_ROUTE_METHOD:
        allowed |= 1 << MG_METHOD_OPTIONS;
        allowed |= allowed & 1 << MG_METHOD_GET ? 1 << MG_METHOD_HEAD : 0;
        must(want < 0 && match.allowed == allowed);
        break;
    case MG_ROUTE_NONE:
        must(want < 0 && allowed == 0);
        break;
    }
}

// HTTP's own methods, and two that the router is told.
static unsigned take_method(mg_router *r, mg_str *line) {
    unsigned m = line->n > 0 ? (uint8_t)line->p[0] % (MG_METHOD_COUNT + 2) : MG_METHOD_GET;
    *line = line->n > 0 ? (mg_str){line->p + 1, line->n - 1} : *line;
    return m < MG_METHOD_COUNT    ? m
           : m == MG_METHOD_COUNT ? mg_router_add_method(r, MG_STR("PURGE"))
                                  : mg_router_add_method(r, MG_STR("QUERY"));
}

static int add(mg_router *r, route *routes, int n, unsigned m, mg_str pattern) {
    uint32_t existing = 0;
    uint32_t twin = 0;
    int rc = mg_router_add(r, m, pattern, (uint32_t)n + 1, &existing, NULL);
    if (rc == MG_ESYNTAX) {
        return n;
    }
    for (int i = 0; i < n; i++) {
        if (routes[i].method == m && same_shape(routes[i].pattern, pattern)) {
            twin = (uint32_t)i + 1;
        }
    }
    must(existing == twin && (rc == MG_ELIMIT) == (twin != 0));
    if (rc == MG_OK) {
        routes[n++] = (route){m, pattern};
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > BYTES_MAX) {
        return 0;
    }
    mg_str rest = {(const char *)data, size};
    mg_router *r = mg_router_new();
    route routes[ROUTES];
    int n = 0;
    mg_str line = take(&rest, '\n');
    while (rest.n > 0 && n < ROUTES) {
        unsigned m = take_method(r, &line);
        n = add(r, routes, n, m, line);
        line = take(&rest, '\n');
    }
    unsigned m = take_method(r, &line);
    check_match(routes, n, r, m, line);
    mg_router_free(r);
    return 0;
}
