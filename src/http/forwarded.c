#include "http/forwarded.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>

typedef struct network {
    uint8_t bytes[16]; // IPv4 as ::ffff:a.b.c.d
    unsigned bits;
} network;

struct mg_trust {
    network *networks;
    size_t n;
    bool local;
};

// --- addresses ---

static bool parse_ip(const char *text, uint8_t out[16], bool *v4) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    *v4 = inet_pton(AF_INET, text, out + 12) == 1;
    if (*v4) {
        memcpy(out, mapped, 12);
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

static bool contains(const network *n, const uint8_t ip[16]) {
    unsigned whole = n->bits / 8;
    unsigned rest = n->bits % 8;
    if (memcmp(n->bytes, ip, whole) != 0) {
        return false;
    }
    return rest == 0 || (n->bytes[whole] ^ ip[whole]) >> (8 - rest) == 0;
}

static bool trusts(const mg_trust *t, const uint8_t ip[16]) {
    for (size_t i = 0; i < t->n; i++) {
        if (contains(&t->networks[i], ip)) {
            return true;
        }
    }
    return false;
}

// --- the list ---

static int parse_network(const char *text, network *out, mg_error *err) {
    char ip[64];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    bool v4 = false;
    if (n < sizeof ip) {
        memcpy(ip, text, n);
        ip[n] = '\0';
    }
    uint64_t bits = 0;
    bool good = n < sizeof ip && parse_ip(ip, out->bytes, &v4);
    if (good && slash != NULL) {
        good = mg_str_to_u64(mg_str_of(slash + 1), v4 ? 32 : 128, &bits);
    } else {
        bits = v4 ? 32 : 128;
    }
    if (!good) {
        return mg_error_set(err, MG_ECONFIG,
                            "'%s' is no network: allowed are such as \"10.0.0.0/8\", \"::1\" or \"unix\"", text);
    }
    out->bits = (unsigned)bits + (v4 ? 96 : 0);
    return MG_OK;
}

int mg_trust_new(mg_trust **out, const char *const *texts, size_t n, mg_error *err) {
    mg_trust *t = mg_calloc(1, sizeof *t);
    t->networks = mg_calloc(n, sizeof *t->networks);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(texts[i], "unix") == 0) {
            t->local = true;
            continue;
        }
        int rc = parse_network(texts[i], &t->networks[t->n], err);
        if (rc != MG_OK) {
            mg_trust_free(t);
            *out = NULL;
            return rc;
        }
        t->n++;
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

bool mg_trust_text(const mg_trust *t, mg_str text) {
    char ip[64];
    uint8_t bytes[16];
    bool v4;
    if (t == NULL || text.n >= sizeof ip) {
        return false;
    }
    memcpy(ip, text.p, text.n);
    ip[text.n] = '\0';
    return parse_ip(ip, bytes, &v4) && trusts(t, bytes);
}

bool mg_trust_peer(const mg_trust *t, const struct sockaddr_storage *peer) {
    char text[64];
    if (t == NULL) {
        return false;
    }
    if (peer->ss_family == AF_UNIX) {
        return t->local;
    }
    const void *address = peer->ss_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)peer)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)peer)->sin6_addr;
    return inet_ntop(peer->ss_family, address, text, sizeof text) != NULL &&
           mg_trust_text(t, mg_str_of(text));
}

// --- the walk ---

enum { HOPS = 32 };

// The address of a node ("192.0.2.1:47011", "[2001:db8::1]:80", "192.0.2.1"), or empty for anything else.
static mg_str ip_of(mg_str node) {
    if (node.n > 1 && node.p[0] == '[') {
        const char *end = memchr(node.p, ']', node.n);
        return end != NULL ? (mg_str){node.p + 1, (size_t)(end - node.p - 1)} : (mg_str){NULL, 0};
    }
    const char *colon = node.n > 0 ? memchr(node.p, ':', node.n) : NULL;
    bool one_colon = colon != NULL && memrchr(node.p, ':', node.n) == colon;
    return one_colon ? (mg_str){node.p, (size_t)(colon - node.p)} : node;
}

static bool is_ip(mg_str s) {
    char text[64];
    uint8_t bytes[16];
    bool v4;
    if (s.n == 0 || s.n >= sizeof text) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return parse_ip(text, bytes, &v4);
}

// Where a quoted or plain parameter value lies in `element` itself, so that the span outlives the call.
static mg_str param(mg_str element, const char *name) {
    mg_str wanted = mg_str_of(name);
    while (element.n > 0) {
        const char *semicolon = memchr(element.p, ';', element.n);
        mg_str pair = {element.p, semicolon != NULL ? (size_t)(semicolon - element.p) : element.n};
        size_t skip = pair.n + (semicolon != NULL);
        element = (mg_str){element.p + skip, element.n - skip};
        const char *eq = pair.n > 0 ? memchr(pair.p, '=', pair.n) : NULL;
        if (eq == NULL || !mg_str_ieq(mg_str_trim((mg_str){pair.p, (size_t)(eq - pair.p)}), wanted)) {
            continue;
        }
        mg_str value = mg_str_trim((mg_str){eq + 1, (size_t)(pair.p + pair.n - eq - 1)});
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"') {
            value = (mg_str){value.p + 1, value.n - 2};
        }
        return value;
    }
    return (mg_str){NULL, 0};
}

// The list items of all fields of that name, in order. Returns the count; more than HOPS: the last ones.
static size_t gather(const mg_head *h, mg_str name, mg_str items[HOPS]) {
    size_t n = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        mg_str rest = h->fields[i].value;
        mg_str item;
        if (!mg_str_ieq(h->fields[i].name, name)) {
            continue;
        }
        while (mg_str_next_item(&rest, &item)) {
            if (n == HOPS) {
                memmove(items, items + 1, sizeof(mg_str) * (HOPS - 1));
                n--;
            }
            items[n++] = item;
        }
    }
    return n;
}

static void take_scheme(mg_forwarded *f, mg_str scheme) {
    if (mg_str_ieq(scheme, MG_STR("https"))) {
        f->scheme = MG_STR("https");
    } else if (mg_str_ieq(scheme, MG_STR("http"))) {
        f->scheme = MG_STR("http");
    }
}

static void take_host(mg_forwarded *f, mg_str host) {
    if (host.n > 0 && mg_host_valid(host)) {
        f->host = host;
    }
}

static void walk_forwarded(const mg_trust *t, mg_str *items, size_t n, mg_forwarded *f) {
    while (n-- > 0) {
        mg_str ip = ip_of(param(items[n], "for"));
        take_scheme(f, param(items[n], "proto"));
        take_host(f, param(items[n], "host"));
        if (!is_ip(ip)) {
            return;
        }
        f->client_ip = ip;
        if (!mg_trust_text(t, ip)) {
            return;
        }
    }
}

static void walk_x_forwarded(const mg_trust *t, const mg_head *h, mg_forwarded *f) {
    mg_str items[HOPS];
    size_t n = gather(h, MG_STR("x-forwarded-for"), items);
    while (n-- > 0) {
        mg_str ip = ip_of(items[n]);
        if (!is_ip(ip)) {
            break;
        }
        f->client_ip = ip;
        if (!mg_trust_text(t, ip)) {
            break;
        }
    }
    n = gather(h, MG_STR("x-forwarded-proto"), items);
    if (n > 0) {
        take_scheme(f, items[n - 1]);
    }
    n = gather(h, MG_STR("x-forwarded-host"), items);
    if (n > 0) {
        take_host(f, items[n - 1]);
    }
}

void mg_forwarded_apply(const mg_trust *t, const mg_head *h, mg_forwarded *f) {
    mg_str items[HOPS];
    size_t n = gather(h, MG_STR("forwarded"), items);
    if (n > 0) {
        walk_forwarded(t, items, n, f);
    } else {
        walk_x_forwarded(t, h, f);
    }
}
