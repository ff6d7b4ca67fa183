#include "http/forwarded.h"

#include "base/mem.h"
#include "base/network.h"

enum { FORWARDED = 1, X_FOR = 2, X_PROTO = 4, X_HOST = 8 };

struct mg_trust {
    mg_network *networks;
    size_t n;
    bool local;
    unsigned heeded; // fields
};

static bool trusts(const mg_trust *t, const mg_ip *a) {
    for (size_t i = 0; i < t->n; i++) {
        if (mg_network_has(&t->networks[i], a)) {
            return true;
        }
    }
    return false;
}

int mg_trust_new(mg_trust **out, const char *const *texts, size_t n, mg_error *err) {
    mg_trust *t = mg_calloc(1, sizeof *t);
    t->networks = mg_calloc(n, sizeof *t->networks);
    t->heeded = X_FOR;
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(texts[i], "unix") == 0) {
            t->local = true;
        } else if (mg_network_parse(mg_str_of(texts[i]), &t->networks[t->n])) {
            t->n++;
        } else {
            mg_trust_free(t);
            return mg_error_set(err, MG_ECONFIG,
                                "'%s' is no network: allowed are such as \"10.0.0.0/8\", \"::1\" "
                                "or \"unix\"",
                                texts[i]);
        }
    }
    *out = t;
    return MG_OK;
}

void mg_trust_free(mg_trust *t) {
    if (t != NULL) {
        mg_free(t->networks);
        mg_free(t);
    }
}

static unsigned field_of(mg_field_id id) {
    return id == MG_FIELD_FORWARDED           ? FORWARDED
           : id == MG_FIELD_X_FORWARDED_FOR   ? X_FOR
           : id == MG_FIELD_X_FORWARDED_PROTO ? X_PROTO
           : id == MG_FIELD_X_FORWARDED_HOST  ? X_HOST
                                              : 0;
}

int mg_trust_heed(mg_trust *t, const char *const *names, size_t n, mg_error *err) {
    unsigned heeded = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned field = field_of(mg_field_id_of(mg_str_of(names[i])));
        if (field == 0) {
            return mg_error_set(err, MG_ECONFIG,
                                "'%s' is no field of proxies: allowed are \"forwarded\", "
                                "\"x-forwarded-for\", \"x-forwarded-proto\" and "
                                "\"x-forwarded-host\"",
                                names[i]);
        }
        heeded |= field;
    }
    if (n == 0 || (heeded != FORWARDED && heeded & FORWARDED)) {
        return mg_error_set(err, MG_ECONFIG,
                            n == 0
                                ? "no field is named: allowed are \"forwarded\", or some of "
                                  "\"x-forwarded-for\", \"x-forwarded-proto\" and "
                                  "\"x-forwarded-host\""
                                : "\"forwarded\" tells all: no other field is allowed beside it");
    }
    t->heeded = heeded;
    return MG_OK;
}

bool mg_trust_heeds_forwarded(const mg_trust *t) {
    return t != NULL && t->heeded == FORWARDED;
}

bool mg_trust_text(const mg_trust *t, mg_str text) {
    mg_ip a;
    return t != NULL && mg_ip_parse(text, &a) && trusts(t, &a);
}

bool mg_trust_peer(const mg_trust *t, const struct sockaddr_storage *peer) {
    mg_ip a;
    if (t == NULL) {
        return false;
    }
    return peer->ss_family == AF_UNIX ? t->local : mg_ip_of(peer, &a) && trusts(t, &a);
}

// --- lists, from their end ---

typedef struct backwards {
    const mg_head *head;
    mg_field_id id;
    uint32_t fields; // not looked at yet
    mg_str rest;     // of the field under way
    bool quotes;     // commas in quoted strings do not separate
} backwards;

static backwards backwards_of(const mg_head *h, mg_field_id id, bool quotes) {
    return (backwards){.head = h, .id = id, .fields = h->fields.count, .quotes = quotes};
}

static bool previous_field(backwards *b) {
    while (b->fields > 0) {
        const mg_field *f = &b->head->fields.at[--b->fields];
        if (f->id == b->id && f->value.n > 0) {
            b->rest = f->value;
            return true;
        }
    }
    return false;
}

// Where the last item begins. Quotes are counted from the end too: one that a client leaves open
// must not hide what the proxy wrote behind it, nor a comma in the Host that a proxy quotes.
static size_t last_start(mg_str list, bool quotes) {
    size_t at = list.n;
    bool quoted = false;
    while (at > 0 && (quoted || list.p[at - 1] != ',')) {
        at--;
        quoted ^= quotes && list.p[at] == '"';
    }
    return at;
}

// The item before; empty ones are skipped. False at the beginning.
static bool previous(backwards *b, mg_str *item) {
    do {
        if (b->rest.n == 0 && !previous_field(b)) {
            return false;
        }
        size_t start = last_start(b->rest, b->quotes);
        *item = mg_str_trim((mg_str){b->rest.p + start, b->rest.n - start});
        b->rest.n = start > 0 ? start - 1 : 0;
    } while (item->n == 0);
    return true;
}

static mg_str last_item(const mg_head *h, mg_field_id id) {
    backwards b = backwards_of(h, id, false);
    mg_str item;
    return previous(&b, &item) ? item : (mg_str){NULL, 0};
}

// --- what a hop says ---

// One element of Forwarded, or the like of it from the other fields.
typedef struct hop {
    mg_str node;
    mg_str proto;
    mg_str host;
} hop;

static bool is_bare(char c) {
    return mg_tchar[(uint8_t)c] || c == ':' || c == '[' || c == ']';
}

// A token, or unquoted what many write though it must be quoted: for=192.0.2.1:80, host=[::1].
static bool take_bare(mg_str *s, mg_str *value) {
    size_t n = 0;
    while (n < s->n && is_bare(s->p[n])) {
        n++;
    }
    *value = (mg_str){s->p, n};
    mg_str_skip(s, n);
    return n > 0;
}

// A quoted pair is refused: nothing that is looked for needs one.
static bool take_value(mg_str *s, mg_str *value) {
    if (s->n == 0 || s->p[0] != '"') {
        return take_bare(s, value);
    }
    const char *end = memchr(s->p + 1, '"', s->n - 1);
    if (end == NULL) {
        return false;
    }
    *value = (mg_str){s->p + 1, (size_t)(end - s->p - 1)};
    mg_str_skip(s, value->n + 2);
    return value->n > 0 && memchr(value->p, '\\', value->n) == NULL;
}

// Pairs may be empty.
static void skip_semicolons(mg_str *s) {
    *s = mg_str_trim(*s);
    while (s->n > 0 && s->p[0] == ';') {
        mg_str_skip(s, 1);
        *s = mg_str_trim(*s);
    }
}

// Takes "name=value" and what separates it from the next.
static bool take_pair(mg_str *s, mg_str *name, mg_str *value) {
    if (!mg_str_take_token(s, name) || s->n == 0 || s->p[0] != '=') {
        return false;
    }
    mg_str_skip(s, 1);
    if (!take_value(s, value)) {
        return false;
    }
    *s = mg_str_trim(*s);
    if (s->n > 0 && s->p[0] != ';') {
        return false;
    }
    skip_semicolons(s);
    return true;
}

static mg_str *slot_of(hop *h, mg_str name) {
    return mg_str_ieq(name, MG_STR("for"))     ? &h->node
           : mg_str_ieq(name, MG_STR("proto")) ? &h->proto
           : mg_str_ieq(name, MG_STR("host"))  ? &h->host
                                               : NULL;
}

// False if anything in it is malformed or comes twice.
static bool parse_hop(mg_str element, hop *h) {
    *h = (hop){0};
    skip_semicolons(&element);
    while (element.n > 0) {
        mg_str name;
        mg_str value;
        if (!take_pair(&element, &name, &value)) {
            return false;
        }
        mg_str *slot = slot_of(h, name);
        if (slot != NULL && slot->n > 0) {
            return false;
        }
        if (slot != NULL) {
            *slot = value;
        }
    }
    return true;
}

// "192.0.2.1", "192.0.2.1:47011", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:80", without the
// port. False for anything else.
static bool node_ip(mg_str node, mg_str *text, mg_ip *a) {
    const char *end = NULL;
    *text = node;
    if (node.n > 0 && node.p[0] == '[') {
        end = memchr(node.p, ']', node.n);
        size_t n = end != NULL ? (size_t)(end - node.p) : 0;
        mg_str port = {node.p + n + 1, node.n - n - 1};
        if (end == NULL || (port.n > 0 && port.p[0] != ':')) {
            return false;
        }
        *text = (mg_str){node.p + 1, n - 1};
        return mg_ip_parse(*text, a) && memchr(text->p, ':', text->n) != NULL;
    }
    end = node.n > 0 ? memchr(node.p, ':', node.n) : NULL;
    if (end != NULL && memrchr(node.p, ':', node.n) == end) {
        text->n = (size_t)(end - node.p);
    }
    return mg_ip_parse(*text, a);
}

static void believe_scheme(mg_forwarded *f, mg_str scheme) {
    if (mg_str_ieq(scheme, MG_STR("https"))) {
        f->scheme = MG_STR("https");
    } else if (mg_str_ieq(scheme, MG_STR("http"))) {
        f->scheme = MG_STR("http");
    }
}

static void believe_host(mg_forwarded *f, mg_str host) {
    if (mg_host_valid(host)) {
        f->host = host;
    }
}

// Believes the address of a hop. True if that hop is trusted too.
static bool believe_node(const mg_trust *t, mg_str node, mg_forwarded *f) {
    mg_str text;
    mg_ip a;
    if (!node_ip(node, &text, &a)) {
        return false;
    }
    f->client_ip = text;
    return trusts(t, &a);
}

// --- the walk ---

static void walk_forwarded(const mg_trust *t, const mg_head *head, mg_forwarded *f) {
    backwards b = backwards_of(head, MG_FIELD_FORWARDED, true);
    mg_str element;
    hop h;
    while (previous(&b, &element) && parse_hop(element, &h)) {
        believe_scheme(f, h.proto);
        believe_host(f, h.host);
        if (!believe_node(t, h.node, f)) {
            break;
        }
    }
}

// Of schemes and hosts the last is taken: proxies rarely add to these lists, so nothing tells which
// hop wrote those before.
static void walk_x_forwarded(const mg_trust *t, const mg_head *head, mg_forwarded *f) {
    backwards b = backwards_of(head, MG_FIELD_X_FORWARDED_FOR, false);
    mg_str node;
    while (t->heeded & X_FOR && previous(&b, &node) && believe_node(t, node, f)) {
    }
    if (t->heeded & X_PROTO) {
        believe_scheme(f, last_item(head, MG_FIELD_X_FORWARDED_PROTO));
    }
    if (t->heeded & X_HOST) {
        believe_host(f, last_item(head, MG_FIELD_X_FORWARDED_HOST));
    }
}

void mg_forwarded_apply(const mg_trust *t, const mg_head *h, mg_forwarded *f) {
    if (t->heeded & FORWARDED) {
        walk_forwarded(t, h, f);
    } else {
        walk_x_forwarded(t, h, f);
    }
}
