#include "client/rules.h"

#include "base/mem.h"

typedef struct entry {
    mg_rules_list list;
    bool is_name;
    mg_network network;
    const char *text; // in the rules' own copy
} entry;

struct mg_rules {
    char *text;
    size_t n;
    bool allow_alone;
    entry entries[];
};

enum { NAME_LOOPBACK = 1, NAME_LINK_LOCAL = 2, NAME_PRIVATE = 4 };

// What is not public, by IANA's registries of special-purpose addresses, and by which names it is
// known. An address without a host of its own (0.0.0.0, ::) reaches this one.
static const struct {
    const char *network;
    unsigned names;
} special[] = {
    {"0.0.0.0/8", NAME_LOOPBACK},
    {"127.0.0.0/8", NAME_LOOPBACK},
    {"::/128", NAME_LOOPBACK},
    {"::1/128", NAME_LOOPBACK},
    {"169.254.0.0/16", NAME_LINK_LOCAL},
    {"fe80::/10", NAME_LINK_LOCAL},
    {"10.0.0.0/8", 0},
    {"100.64.0.0/10", 0},
    {"172.16.0.0/12", 0},
    {"192.0.0.0/24", 0},
    {"192.0.2.0/24", 0},
    {"192.88.99.0/24", 0},
    {"192.168.0.0/16", 0},
    {"198.18.0.0/15", 0},
    {"198.51.100.0/24", 0},
    {"203.0.113.0/24", 0},
    {"224.0.0.0/4", 0},
    {"240.0.0.0/4", 0},
    {"64:ff9b:1::/48", 0},
    {"100::/64", 0},
    {"2001:2::/48", 0},
    {"2001:10::/28", 0},
    {"2001:db8::/32", 0},
    {"3fff::/20", 0},
    {"5f00::/16", 0},
    {"fc00::/7", 0},
    {"fec0::/10", 0},
    {"ff00::/8", 0},
};

// --- names ---

static bool has_name(const mg_ip *ip, unsigned name) {
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        mg_network n;
        if (((special[i].names | NAME_PRIVATE) & name) != 0 &&
            mg_network_parse(mg_str_of(special[i].network), &n) && mg_network_has(&n, ip)) {
            return true;
        }
    }
    return false;
}

static bool is_name(mg_str s) {
    static const char *const names[] = {"all", "private", "loopback", "link_local", "unix"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (mg_str_eq(s, mg_str_of(names[i]))) {
            return true;
        }
    }
    return false;
}

// `ip` NULL: a Unix socket.
static bool name_covers(const char *name, const mg_ip *ip) {
    switch (name[0]) {
    case 'a':
        return true;
    case 'p':
        return ip == NULL || has_name(ip, NAME_PRIVATE);
    case 'u':
        return ip == NULL;
    default:
        return ip != NULL && has_name(ip, name[1] == 'o' ? NAME_LOOPBACK : NAME_LINK_LOCAL);
    }
}

// --- what an IPv6 address carries ---

static bool starts(const mg_ip *ip, const char *network) {
    mg_network n;
    return mg_network_parse(mg_str_of(network), &n) && mg_network_has(&n, ip);
}

// RFC 6052, 3056, 4380, 5214, 4291 section 2.5.5.1, 2765 section 2.1.
static bool carried(const mg_ip *ip, mg_ip *out) {
    const uint8_t *b = ip->bytes;
    if (mg_ip_is_v4(ip)) {
        return false;
    }
    if (starts(ip, "2002::/16")) {
        *out = mg_ip_of_v4(b + 2);
        return true;
    }
    if (starts(ip, "2001::/32")) {
        const uint8_t client[4] = {b[12] ^ 0xff, b[13] ^ 0xff, b[14] ^ 0xff, b[15] ^ 0xff};
        *out = mg_ip_of_v4(client);
        return true;
    }
    bool isatap = (b[8] & 0xfd) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe;
    *out = mg_ip_of_v4(b + 12);
    return isatap || starts(ip, "64:ff9b::/96") || starts(ip, "::/96") ||
           starts(ip, "::ffff:0:0:0/96");
}

// --- judging ---

static const char *find(const mg_rules *r, mg_rules_list list, const mg_ip *ip) {
    for (size_t i = 0; i < r->n; i++) {
        const entry *e = &r->entries[i];
        bool covers =
            e->is_name ? name_covers(e->text, ip) : ip != NULL && mg_network_has(&e->network, ip);
        if (e->list == list && covers) {
            return e->text;
        }
    }
    return NULL;
}

// To Linux 0.0.0.0 is this very host; "::" carries it.
static const char *denied(const mg_rules *r, const mg_ip *ip) {
    static const char *const this_host[] = {"127.0.0.1", "::1"};
    const char *by = find(r, MG_RULES_DENY, ip);
    bool here = ip != NULL && starts(ip, "0.0.0.0/32");
    for (size_t i = 0; by == NULL && here && i < sizeof this_host / sizeof *this_host; i++) {
        mg_ip one;
        (void)mg_ip_parse(mg_str_of(this_host[i]), &one);
        by = find(r, MG_RULES_DENY, &one);
    }
    return by;
}

const char *mg_rules_refuse(const mg_rules *r, const struct sockaddr_storage *address) {
    mg_ip ip;
    mg_ip inner;
    if (r == NULL) {
        return NULL;
    }
    bool is_ip = mg_ip_of(address, &ip);
    if (find(r, MG_RULES_ALLOW, is_ip ? &ip : NULL) != NULL) {
        return NULL;
    }
    if (r->allow_alone) {
        return "";
    }
    const char *by = denied(r, is_ip ? &ip : NULL);
    return by == NULL && is_ip && carried(&ip, &inner) ? denied(r, &inner) : by;
}

// --- life ---

// An entry is '-' or '+', its text and a NUL.
void mg_rules_append(mg_buf *out, mg_rules_list list, mg_str text) {
    mg_buf_append_char(out, list == MG_RULES_DENY ? '-' : '+');
    mg_buf_append_str(out, text);
    mg_buf_append_char(out, '\0');
}

static bool read_entry(entry *e, const char *at) {
    mg_str text = mg_str_of(at + 1);
    e->list = at[0] == '-' ? MG_RULES_DENY : MG_RULES_ALLOW;
    e->text = at + 1;
    e->is_name = is_name(text);
    return e->is_name || mg_network_parse(text, &e->network);
}

int mg_rules_new(mg_rules **out, mg_str text, mg_error *err) {
    *out = NULL;
    size_t count = 0;
    for (size_t i = 0; i < text.n; i++) {
        count += text.p[i] == '\0';
    }
    if (count == 0) {
        return MG_OK;
    }
    mg_rules *r = mg_calloc(1, sizeof *r + count * sizeof r->entries[0]);
    r->text = mg_malloc(text.n);
    memcpy(r->text, text.p, text.n);
    r->allow_alone = true;
    for (const char *at = r->text; at < r->text + text.n; at += strlen(at) + 1) {
        entry *e = &r->entries[r->n++];
        if (!read_entry(e, at)) {
            mg_error_set(err, MG_ECONFIG,
                         "\"%.80s\" is no network: allowed are such as \"10.0.0.0/8\", \"::1\", "
                         "and the names all, private, loopback, link_local, unix",
                         at + 1);
            mg_rules_free(r);
            return MG_ECONFIG;
        }
        r->allow_alone &= e->list == MG_RULES_ALLOW;
    }
    *out = r;
    return MG_OK;
}

void mg_rules_free(mg_rules *r) {
    if (r != NULL) {
        mg_free(r->text);
        mg_free(r);
    }
}
