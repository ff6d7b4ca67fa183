#include "http/route.h"

#include "base/mem.h"
#include "http/url.h"

typedef enum segment_type { PLAIN, INT, UINT, UUID, HEX, ALPHA, SLUG, TYPE_COUNT } segment_type;

static const char *const type_names[TYPE_COUNT] = {"",    "int",   "uint", "uuid",
                                                   "hex", "alpha", "slug"};

// Routes that end in one place, by method: few, so that looking through them is quick.
typedef struct ending {
    unsigned method;
    uint32_t id;
} ending;

typedef struct endings {
    ending *items; // owned
    uint32_t n;
} endings;

typedef struct node node;
struct node {
    mg_str text; // of a static segment; owned
    segment_type type;
    node **statics; // sorted by length, then bytes
    size_t static_count;
    node *typed[TYPE_COUNT];
    endings here;
    endings rest; // in a wildcard below here
};

typedef struct names {
    uint32_t count;
    mg_route_param items[MG_ROUTE_PARAMS]; // names owned
} names;

struct mg_router {
    node root; // of any host
    // Below these stands a node for each host: its name in lower case, of a wildcard what stands
    // behind "*.".
    node exact, below;
    names *names; // by route id
    uint32_t name_count;
    mg_str methods[MG_ROUTE_METHODS]; // from OWN_METHOD on, owned; mg_method knows those before
    unsigned method_end;
};

enum { OWN_METHOD = MG_METHOD_UNKNOWN + 1 };

mg_router *mg_router_new(void) {
    mg_router *r = mg_calloc(1, sizeof *r);
    r->method_end = OWN_METHOD;
    return r;
}

static void free_node(node *n) {
    for (size_t i = 0; i < n->static_count; i++) {
        free_node(n->statics[i]);
        mg_free((char *)(uintptr_t)n->statics[i]->text.p);
        mg_free(n->statics[i]);
    }
    mg_free(n->statics);
    mg_free(n->here.items);
    mg_free(n->rest.items);
    for (int t = 0; t < TYPE_COUNT; t++) {
        if (n->typed[t] != NULL) {
            free_node(n->typed[t]);
            mg_free(n->typed[t]);
        }
    }
}

void mg_router_free(mg_router *r) {
    if (r == NULL) {
        return;
    }
    free_node(&r->root);
    free_node(&r->exact);
    free_node(&r->below);
    for (uint32_t i = 0; i < r->name_count; i++) {
        for (uint32_t k = 0; k < r->names[i].count; k++) {
            mg_free((char *)(uintptr_t)r->names[i].items[k].name.p);
        }
    }
    for (unsigned m = OWN_METHOD; m < r->method_end; m++) {
        mg_free((char *)(uintptr_t)r->methods[m].p);
    }
    mg_free(r->names);
    mg_free(r);
}

// --- methods ---

unsigned mg_router_method(const mg_router *r, mg_str name) {
    mg_method known = mg_method_of(name);
    if (known != MG_METHOD_UNKNOWN) {
        return known;
    }
    for (unsigned m = OWN_METHOD; m < r->method_end; m++) {
        if (mg_str_eq(r->methods[m], name)) {
            return m;
        }
    }
    return MG_METHOD_UNKNOWN;
}

unsigned mg_router_add_method(mg_router *r, mg_str name) {
    unsigned m = mg_router_method(r, name);
    if (m != MG_METHOD_UNKNOWN || r->method_end == MG_ROUTE_METHODS) {
        return m;
    }
    r->methods[r->method_end] = (mg_str){mg_strndup(name.p, name.n), name.n};
    return r->method_end++;
}

mg_str mg_router_method_name(const mg_router *r, unsigned m) {
    return m >= OWN_METHOD && m < r->method_end
               ? r->methods[m]
               : mg_method_name(m < MG_METHOD_COUNT ? (mg_method)m : MG_METHOD_UNKNOWN);
}

uint64_t mg_router_own_methods(const mg_router *r) {
    return ((uint64_t)1 << r->method_end) - ((uint64_t)1 << OWN_METHOD);
}

// --- adding ---

static int compare(mg_str a, mg_str b) {
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    return a.n == 0 ? 0 : memcmp(a.p, b.p, a.n);
}

// The place of `text` among the static children: where it is, or where it would go.
static size_t place_of(const node *n, mg_str text, bool *found) {
    size_t low = 0;
    size_t high = n->static_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(n->statics[middle]->text, text);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = false;
    return low;
}

static node *static_child(node *n, mg_str text) {
    bool found;
    size_t place = place_of(n, text, &found);
    if (found) {
        return n->statics[place];
    }
    n->statics = mg_realloc(n->statics, sizeof(node *) * (n->static_count + 1));
    memmove(n->statics + place + 1, n->statics + place, sizeof(node *) * (n->static_count - place));
    n->static_count++;
    node *child = mg_calloc(1, sizeof *child);
    child->text = (mg_str){mg_strndup(text.p, text.n), text.n};
    n->statics[place] = child;
    return child;
}

// --- hosts ---

// In lower case, without port and without a dot behind it; empty if it is too long to be one.
static mg_str plain_host(mg_str s, char out[MG_ROUTE_HOST_BYTES]) {
    const char *end = s.n > 0 && s.p[0] == '[' ? memchr(s.p, ']', s.n) : NULL;
    const char *colon = end != NULL ? end + 1 : memchr(s.p, ':', s.n);
    s.n = colon != NULL ? (size_t)(colon - s.p) : s.n;
    s.n -= s.n > 0 && s.p[s.n - 1] == '.';
    if (s.n > MG_ROUTE_HOST_BYTES) {
        s.n = 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        out[i] = mg_lower(s.p[i]);
    }
    return (mg_str){out, s.n};
}

// Where the routes of a host as it is declared begin. NULL: it is none.
static node *root_for(mg_router *r, mg_str declared) {
    char text[MG_ROUTE_HOST_BYTES];
    if (declared.n == 0) {
        return &r->root;
    }
    mg_str name = plain_host(declared, text);
    bool wildcard = name.n > 2 && name.p[0] == '*' && name.p[1] == '.';
    if (wildcard) {
        name = (mg_str){name.p + 2, name.n - 2};
    }
    bool good = name.n > 0 && memchr(name.p, '*', name.n) == NULL;
    return good ? static_child(wildcard ? &r->below : &r->exact, name) : NULL;
}

bool mg_router_has_hosts(const mg_router *r) {
    return r->exact.static_count + r->below.static_count > 0;
}

// --- adding to a tree ---

static node *typed_child(node *n, segment_type type) {
    if (n->typed[type] == NULL) {
        n->typed[type] = mg_calloc(1, sizeof(node));
        n->typed[type]->type = type;
    }
    return n->typed[type];
}

static bool is_name(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = mg_lower(s.p[i]);
        bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
            return false;
        }
    }
    return s.n > 0;
}

static mg_route_kind kind_of(segment_type type) {
    return type == INT ? MG_ROUTE_INT : type == UINT ? MG_ROUTE_UINT : MG_ROUTE_TEXT;
}

static int add_name(names *list, mg_str name, segment_type type, mg_error *err) {
    if (!is_name(name)) {
        return mg_error_set(err, MG_ESYNTAX,
                            "a parameter's name is letters, digits and _, not '%.*s'", (int)name.n,
                            name.p);
    }
    if (list->count == MG_ROUTE_PARAMS) {
        return mg_error_set(err, MG_ESYNTAX, "at most %d parameters are allowed", MG_ROUTE_PARAMS);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (mg_str_eq(list->items[i].name, name)) {
            return mg_error_set(err, MG_ESYNTAX, "the parameter '%.*s' stands there twice",
                                (int)name.n, name.p);
        }
    }
    list->items[list->count++] = (mg_route_param){name, kind_of(type)};
    return MG_OK;
}

// Splits "id<int>" into name and type.
static int parse_type(mg_str *name, segment_type *type, mg_error *err) {
    const char *open = memchr(name->p, '<', name->n);
    *type = PLAIN;
    if (open == NULL) {
        return MG_OK;
    }
    mg_str text = {open + 1, (size_t)(name->p + name->n - open - 1)};
    name->n = (size_t)(open - name->p);
    for (int t = INT; t < TYPE_COUNT; t++) {
        size_t n = strlen(type_names[t]);
        if (text.n == n + 1 && memcmp(text.p, type_names[t], n) == 0 && text.p[n] == '>') {
            *type = (segment_type)t;
            return MG_OK;
        }
    }
    return mg_error_set(err, MG_ESYNTAX,
                        "a type is <int>, <uint>, <uuid>, <hex>, <alpha> or <slug>, not '<%.*s'",
                        (int)text.n, text.p);
}

// Goes one static segment down. Two spellings of one text are one.
static int descend_static(node **at, mg_str segment, mg_error *err) {
    if (segment.n > 0 && memchr(segment.p, '*', segment.n) != NULL) {
        return mg_error_set(err, MG_ESYNTAX, "a wildcard is the whole last segment: /*name");
    }
    mg_buf decoded = {0};
    mg_url_decode(segment, false, &decoded);
    mg_str text = mg_buf_str(&decoded);
    bool dots = mg_str_eq(text, MG_STR(".")) || mg_str_eq(text, MG_STR(".."));
    if (!dots) {
        *at = static_child(*at, text);
    }
    mg_buf_deinit(&decoded);
    return dots ? mg_error_set(
                      err, MG_ESYNTAX,
                      "the segments . and .. are taken out of paths before they are matched")
                : MG_OK;
}

// Goes one segment down, making what is missing.
static int descend(node **at, mg_str segment, names *list, mg_error *err) {
    if (segment.n == 0 || segment.p[0] != ':') {
        return descend_static(at, segment, err);
    }
    mg_str name = {segment.p + 1, segment.n - 1};
    segment_type type;
    int rc = parse_type(&name, &type, err);
    if (rc == MG_OK) {
        rc = add_name(list, name, type, err);
    }
    if (rc == MG_OK) {
        *at = typed_child(*at, type);
    }
    return rc;
}

static void keep_names(mg_router *r, uint32_t id, const names *list) {
    if (id >= r->name_count) {
        r->names = mg_realloc(r->names, sizeof(names) * (id + 1));
        memset(r->names + r->name_count, 0, sizeof(names) * (id + 1 - r->name_count));
        r->name_count = id + 1;
    }
    if (r->names[id].count > 0) {
        return; // the same route under another method
    }
    r->names[id].count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        mg_str name = list->items[i].name;
        r->names[id].items[i] =
            (mg_route_param){{mg_strndup(name.p, name.n), name.n}, list->items[i].kind};
    }
}

static uint32_t id_of(const endings *e, unsigned m) {
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->items[i].method == m) {
            return e->items[i].id;
        }
    }
    return 0;
}

static int settle(mg_router *r, endings *e, ending new, const names *list, uint32_t *existing) {
    *existing = id_of(e, new.method);
    if (*existing != 0) {
        return MG_ELIMIT;
    }
    e->items = mg_realloc(e->items, sizeof *e->items * (e->n + 1));
    e->items[e->n++] = new;
    keep_names(r, new.id, list);
    return MG_OK;
}

int mg_router_add(mg_router *r, unsigned m, mg_str pattern, uint32_t id, uint32_t *existing,
                  mg_error *err) {
    return mg_router_add_for(r, (mg_str){NULL, 0}, m, pattern, id, existing, err);
}

int mg_router_add_for(mg_router *r, mg_str host, unsigned m, mg_str pattern, uint32_t id,
                      uint32_t *existing, mg_error *err) {
    if (pattern.n == 0 || pattern.p[0] != '/' || pattern.n > MG_ROUTE_PATTERN_BYTES) {
        return mg_error_set(err, MG_ESYNTAX, "a pattern begins with / and has at most %d bytes",
                            MG_ROUTE_PATTERN_BYTES);
    }
    names list = {0};
    node *at = root_for(r, host);
    if (at == NULL) {
        return mg_error_set(err, MG_ESYNTAX,
                            "a host is a name such as api.example.org or *.example.org");
    }
    size_t from = 1;
    for (int depth = 0;; depth++) {
        if (depth == MG_ROUTE_SEGMENTS) {
            return mg_error_set(err, MG_ESYNTAX, "at most %d segments are allowed",
                                MG_ROUTE_SEGMENTS);
        }
        const char *slash = memchr(pattern.p + from, '/', pattern.n - from);
        size_t end = slash != NULL ? (size_t)(slash - pattern.p) : pattern.n;
        mg_str segment = {pattern.p + from, end - from};
        if (segment.n > 0 && segment.p[0] == '*' && slash == NULL) {
            int rc = add_name(&list, (mg_str){segment.p + 1, segment.n - 1}, PLAIN, err);
            return rc != MG_OK ? rc : settle(r, &at->rest, (ending){m, id}, &list, existing);
        }
        int rc = descend(&at, segment, &list, err);
        if (rc != MG_OK) {
            return rc;
        }
        if (slash == NULL) {
            return settle(r, &at->here, (ending){m, id}, &list, existing);
        }
        from = end + 1;
    }
}

mg_route_param mg_router_param(const mg_router *r, uint32_t id, uint32_t place) {
    bool known = id < r->name_count && place < r->names[id].count;
    return known ? r->names[id].items[place] : (mg_route_param){.name = {"", 0}};
}

// --- types ---

static bool all_of(mg_str s, bool (*is)(char c)) {
    for (size_t i = 0; i < s.n; i++) {
        if (!is(s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c) {
    return mg_lower(c) >= 'a' && mg_lower(c) <= 'z';
}

static bool is_hex(char c) {
    return mg_hex_value(c) >= 0;
}

static bool is_slug(char c) {
    return is_digit(c) || is_alpha(c) || c == '-' || c == '_';
}

static bool is_natural(mg_str s) {
    uint64_t value;
    return mg_str_to_u64(s, UINT64_MAX, &value);
}

static bool is_int(mg_str s) {
    int64_t value;
    return mg_str_to_i64(s, &value);
}

// 8-4-4-4-12 hex digits (RFC 9562).
static bool is_uuid(mg_str s) {
    if (s.n != 36) {
        return false;
    }
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : !is_hex(s.p[i])) {
            return false;
        }
    }
    return true;
}

static bool fits(segment_type type, mg_str s) {
    switch (type) {
    case INT:
        return is_int(s);
    case UINT:
        return is_natural(s);
    case UUID:
        return is_uuid(s);
    case HEX:
        return all_of(s, is_hex);
    case ALPHA:
        return all_of(s, is_alpha);
    case SLUG:
        return all_of(s, is_slug);
    default:
        return s.n > 0;
    }
}

// --- matching ---

typedef struct walk {
    unsigned method;
    mg_route_match *out;
    uint32_t count; // of parameters on the way here
    const char *end;
    int depth;
} walk;

static uint32_t id_for(walk *w, const endings *e) {
    uint32_t id = id_of(e, w->method);
    if (id == 0 && w->method == MG_METHOD_HEAD) {
        id = id_of(e, MG_METHOD_GET);
    }
    for (uint32_t i = 0; id == 0 && i < e->n; i++) {
        w->out->allowed |= (uint64_t)1 << e->items[i].method;
    }
    return id;
}

static bool take(walk *w, const endings *e) {
    w->out->id = id_for(w, e);
    w->out->count = w->count;
    return w->out->id != 0;
}

static const node *find_static(const node *n, mg_str segment) {
    char decoded[MG_ROUTE_PATTERN_BYTES];
    if (segment.n > 0 && memchr(segment.p, '%', segment.n) != NULL) {
        mg_buf b = {.p = decoded, .cap = sizeof decoded};
        if (segment.n >= sizeof decoded) {
            return NULL;
        }
        mg_url_decode(segment, false, &b);
        segment = mg_buf_str(&b);
    }
    bool found;
    size_t place = place_of(n, segment, &found);
    return found ? n->statics[place] : NULL;
}

static bool match_below(walk *w, const node *n, const char *at);

static bool match_param(walk *w, const node *child, mg_str segment, const char *next) {
    if (child == NULL || w->count == MG_ROUTE_PARAMS || !fits(child->type, segment)) {
        return false;
    }
    w->out->values[w->count++] = segment;
    bool found = next == NULL ? take(w, &child->here) : match_below(w, child, next);
    w->count -= !found;
    return found;
}

static bool match_rest(walk *w, const node *n, const char *at) {
    if (at == w->end || w->count == MG_ROUTE_PARAMS) {
        return false;
    }
    w->out->values[w->count++] = (mg_str){at, (size_t)(w->end - at)};
    bool found = take(w, &n->rest);
    w->count -= !found;
    return found;
}

// Matches what begins at `at`, behind a slash, below `n`.
static bool match_below(walk *w, const node *n, const char *at) {
    const char *slash = memchr(at, '/', (size_t)(w->end - at));
    mg_str segment = {at, (size_t)((slash != NULL ? slash : w->end) - at)};
    const char *next = slash != NULL ? slash + 1 : NULL;
    bool found = false;
    if (w->depth++ < MG_ROUTE_SEGMENTS) {
        const node *child = n->static_count > 0 ? find_static(n, segment) : NULL;
        found =
            child != NULL && (next == NULL ? take(w, &child->here) : match_below(w, child, next));
        for (int t = INT; !found && t < TYPE_COUNT; t++) {
            found = match_param(w, n->typed[t], segment, next);
        }
        found = found || match_param(w, n->typed[PLAIN], segment, next);
    }
    w->depth--;
    return found || match_rest(w, n, at);
}

static bool match_host(walk *w, const node *hosts, mg_str name, mg_str path) {
    bool found;
    size_t place = place_of(hosts, name, &found);
    return found && match_below(w, hosts->statics[place], path.p + 1);
}

// Its own routes, then those of each wildcard above it.
static bool match_hosts(walk *w, const mg_router *r, mg_str host, mg_str path) {
    char text[MG_ROUTE_HOST_BYTES];
    if (host.n == 0 || !mg_router_has_hosts(r)) {
        return false;
    }
    mg_str name = plain_host(host, text);
    bool found = match_host(w, &r->exact, name, path);
    const char *dot;
    while (!found && (dot = memchr(name.p, '.', name.n)) != NULL) {
        name = (mg_str){dot + 1, (size_t)(name.p + name.n - dot - 1)};
        found = match_host(w, &r->below, name, path);
    }
    return found;
}

mg_route_result mg_router_match(const mg_router *r, unsigned m, mg_str path, mg_route_match *out) {
    return mg_router_match_for(r, (mg_str){NULL, 0}, m, path, out);
}

mg_route_result mg_router_match_for(const mg_router *r, mg_str host, unsigned m, mg_str path,
                                    mg_route_match *out) {
    out->id = 0;
    out->allowed = 0;
    out->count = 0;
    if (path.n == 0 || path.p[0] != '/') {
        return MG_ROUTE_NONE;
    }
    walk w = {.method = m, .out = out, .end = path.p + path.n};
    if (match_hosts(&w, r, host, path) || match_below(&w, &r->root, path.p + 1)) {
        return MG_ROUTE_FOUND;
    }
    if (out->allowed == 0) {
        return MG_ROUTE_NONE;
    }
    out->allowed |= 1 << MG_METHOD_OPTIONS;
    if (out->allowed & 1 << MG_METHOD_GET) {
        out->allowed |= 1 << MG_METHOD_HEAD;
    }
    return MG_ROUTE_METHOD;
}
