// The tree finds a route exactly when one of the patterns, tried one by one, takes the path; what
// it finds does take the path. Lines of input are patterns, the last line is the path.
#include "fuzz.h"
#include "http/route.h"

enum { ROUTES = 16 };

static mg_str take_segment(mg_str *rest, bool *last) {
    const char *slash = rest->n > 0 ? memchr(rest->p, '/', rest->n) : NULL;
    mg_str s = {rest->p, slash != NULL ? (size_t)(slash - rest->p) : rest->n};
    *last = slash == NULL;
    *rest = *last ? (mg_str){rest->p + rest->n, 0} : (mg_str){slash + 1, rest->n - s.n - 1};
    return s;
}

// Without types and percent coding, which the input is kept free of.
static bool takes(mg_str pattern, mg_str path) {
    bool pattern_last = false;
    bool path_last = false;
    mg_str p = {pattern.p + 1, pattern.n - 1};
    mg_str s = {path.p + 1, path.n - 1};
    for (;;) {
        mg_str rest = s;
        mg_str want = take_segment(&p, &pattern_last);
        if (pattern_last && want.n > 0 && want.p[0] == '*') {
            return rest.n > 0;
        }
        mg_str got = take_segment(&s, &path_last);
        bool param = want.n > 0 && want.p[0] == ':';
        if (param ? got.n == 0 : !mg_str_eq(want, got)) {
            return false;
        }
        if (pattern_last || path_last) {
            return pattern_last && path_last;
        }
    }
}

static mg_str take_line(mg_str *rest) {
    const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
    mg_str line = {rest->p, end != NULL ? (size_t)(end - rest->p) : rest->n};
    size_t skip = line.n + (end != NULL);
    *rest = (mg_str){rest->p + skip, rest->n - skip};
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 4096 || memchr(data, '%', size) != NULL ||
        memchr(data, '<', size) != NULL) {
        return 0;
    }
    mg_str rest = {(const char *)data, size};
    mg_router *r = mg_router_new();
    mg_str patterns[ROUTES + 1];
    uint32_t n = 0;
    mg_str line = take_line(&rest);
    while (rest.n > 0 && n < ROUTES) {
        uint32_t existing = 0;
        if (mg_router_add(r, MG_METHOD_GET, line, n + 1, &existing, NULL) == MG_OK) {
            patterns[++n] = line;
        }
        line = take_line(&rest);
    }
    mg_route_match match;
    bool any = false;
    mg_route_result result = mg_router_match(r, MG_METHOD_GET, line, &match);
    for (uint32_t i = 1; i <= n && line.n > 0 && line.p[0] == '/'; i++) {
        any |= takes(patterns[i], line);
    }
    must(any == (result == MG_ROUTE_FOUND));
    must(!any || takes(patterns[match.id], line));
    mg_router_free(r);
    return 0;
}
