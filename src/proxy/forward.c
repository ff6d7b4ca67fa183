#include "proxy/forward.h"

enum {
    OWN_FIELDS = 6,   // that are added here at most
    NODES_BYTES = 96, // of Forwarded beside addresses, host and what came: two nodes, names, scheme
};

// --- target and host ---

// Path and query of the absolute form begin behind the authority.
static mg_str raw_target(const mg_head *h) {
    mg_str t = h->target_text;
    if (h->target.form != MG_TARGET_ABSOLUTE) {
        return t;
    }
    const char *behind = h->target.authority.p + h->target.authority.n;
    return (mg_str){behind, (size_t)(t.p + t.n - behind)};
}

// One segment, with its slash; empty at the end.
static mg_str next_segment(mg_str *rest) {
    const char *slash = rest->n > 1 ? memchr(rest->p + 1, '/', rest->n - 1) : NULL;
    mg_str segment = {rest->p, slash != NULL ? (size_t)(slash - rest->p) : rest->n};
    mg_str_skip(rest, segment.n);
    return segment;
}

static bool same_segment(mg_str raw, mg_str plain) {
    if (mg_str_eq(raw, plain)) {
        return true;
    }
    mg_buf decoded = {0};
    mg_url_decode(raw, false, &decoded);
    bool same = mg_str_eq(mg_buf_str(&decoded), plain);
    mg_buf_deinit(&decoded);
    return same;
}

// Routes compare segments after decoding, and so does this. What does not begin so stays whole.
static mg_str stripped(mg_str path, mg_str strip) {
    mg_str rest = path;
    while (strip.n > 0) {
        mg_str want = next_segment(&strip);
        if (rest.n == 0 || !same_segment(next_segment(&rest), want)) {
            return path;
        }
    }
    return rest.n > 0 ? rest : MG_STR("/");
}

static mg_str with_query(mg_str path, const mg_target *t, mg_arena *arena) {
    if (!t->has_query) {
        return path;
    }
    if (path.p + path.n + 1 == t->query.p) { // they lie side by side in what came
        return (mg_str){path.p, path.n + 1 + t->query.n};
    }
    char *p = mg_arena_alloc(arena, path.n + 1 + t->query.n);
    memcpy(p, path.p, path.n);
    p[path.n] = '?';
    memcpy(p + path.n + 1, t->query.p, t->query.n);
    return (mg_str){p, path.n + 1 + t->query.n};
}

mg_str mg_forward_target(const mg_head *h, const mg_forward_rules *rules, mg_arena *arena) {
    if (rules->path.n > 0) {
        bool whole = memchr(rules->path.p, '?', rules->path.n) != NULL;
        return whole ? rules->path : with_query(rules->path, &h->target, arena);
    }
    if (rules->strip.n > 0) {
        return with_query(stripped(h->target.path, rules->strip), &h->target, arena);
    }
    mg_str raw = raw_target(h);
    if (raw.n > 0 && raw.p[0] != '?') {
        return raw;
    }
    return with_query(h->target.path, &h->target, arena); // "http://host?query" has no path
}

mg_str mg_forward_host(const mg_head *h, const mg_forward_rules *rules,
                       const mg_upstream_options *o, mg_str server) {
    unsigned policy = o->host;
    mg_str literal = {NULL, 0};
    if (rules->host.n > 0) {
        policy = mg_str_eq(rules->host, MG_STR("client"))     ? MG_HOST_CLIENT
                 : mg_str_eq(rules->host, MG_STR("upstream")) ? MG_HOST_UPSTREAM
                                                              : MG_HOST_LITERAL;
        literal = rules->host;
    } else if (policy == MG_HOST_LITERAL) {
        literal = mg_str_of(o->host_literal);
    }
    if (policy == MG_HOST_LITERAL) {
        return literal;
    }
    return policy == MG_HOST_CLIENT && h->host.n > 0 ? h->host : server;
}

// --- what ends here ---

static bool is_close_or_keep_alive(mg_str item) {
    return mg_str_ieq(item, MG_STR("close")) || mg_str_ieq(item, MG_STR("keep-alive"));
}

// Whether Connection names other fields, which few messages do.
static bool names_fields(const mg_fields *l) {
    const mg_field *f = NULL;
    while ((f = mg_fields_next(l, f, MG_FIELD_CONNECTION)) != NULL) {
        mg_str rest = f->value;
        mg_str item;
        while (mg_str_next_item(&rest, &item)) {
            if (!is_close_or_keep_alive(item)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_x_forwarded(const mg_field *f) {
    static const mg_str prefix = {"x-forwarded-", 12};
    return f->name.n > prefix.n && (f->name.p[0] | 0x20) == 'x' && mg_str_istarts(f->name, prefix);
}

// Servers that make variables of fields (CGI, WSGI) know "X_Forwarded_For" by the name of another:
// whoever writes so means to be taken for a proxy.
static bool is_disguised(const mg_field *f) {
    static const char prefix[] = "x-forwarded-";
    enum { BYTES = sizeof prefix - 1 };
    bool has_line = false;
    bool same = f->name.n > BYTES && (f->name.p[0] | 0x20) == 'x';
    for (size_t i = 0; same && i < f->name.n; i++) {
        char c = f->name.p[i];
        has_line |= c == '_';
        same = i >= BYTES || mg_lower(c == '_' ? '-' : c) == prefix[i];
    }
    return same && has_line;
}

// Credentials for a proxy are for this one (RFC 9110 section 11.7), which asks for none.
static bool ends_here(mg_field_id id) {
    return mg_field_id_is_hop_by_hop(id) || id == MG_FIELD_CONTENT_LENGTH || id == MG_FIELD_VIA ||
           id == MG_FIELD_PROXY_AUTHORIZATION || id == MG_FIELD_PROXY_AUTHENTICATE;
}

static bool request_field_ends_here(const mg_field *f, bool trusted) {
    switch (f->id) {
    case MG_FIELD_HOST:
    case MG_FIELD_EXPECT: // the call's own
    case MG_FIELD_FORWARDED:
    case MG_FIELD_X_FORWARDED_FOR:
    case MG_FIELD_X_FORWARDED_HOST:
    case MG_FIELD_X_FORWARDED_PROTO:
        return true;
    case MG_FIELD_OTHER:
        return is_disguised(f) || (!trusted && is_x_forwarded(f)); // such as X-Forwarded-Port
    default:
        return ends_here(f->id);
    }
}

static bool has_name(const mg_fields *l, const mg_field *f) {
    return l != NULL && (f->id != MG_FIELD_OTHER ? mg_fields_find(l, f->id) != NULL
                                                 : mg_fields_find_name(l, f->name) != NULL);
}

static bool is_replaced(const mg_forward_rules *rules, const mg_field *f) {
    return has_name(rules->set, f) || has_name(rules->removed, f);
}

// --- what is added ---

// "a, b" in the arena.
static mg_str joined(mg_arena *arena, mg_str a, mg_str b) {
    if (a.n == 0 || b.n == 0) {
        return a.n == 0 ? b : a;
    }
    char *p = mg_arena_alloc(arena, a.n + 2 + b.n);
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, ", ", 2);
    memcpy(p + a.n + 2, b.p, b.n);
    return (mg_str){p, a.n + 2 + b.n};
}

static mg_str values_of(mg_arena *arena, const mg_fields *l, mg_field_id id) {
    mg_str all = {NULL, 0};
    const mg_field *f = NULL;
    while ((f = mg_fields_next(l, f, id)) != NULL) {
        all = joined(arena, all, f->value);
    }
    return all;
}

// The texts are ours, or have been checked with the list that they are from.
static void add(mg_fields *out, mg_field_id id, mg_str value) {
    (void)mg_fields_pass(out, &(mg_field){mg_field_name(id), value, id});
}

static bool is_ip(mg_str peer) {
    return !mg_str_eq(peer, MG_STR("unix")) && !mg_str_eq(peer, MG_STR("unknown"));
}

// A proxy that writes Forwarded hands on any X-Forwarded-For: of that only what it said is kept.
static mg_str forwarded_for(mg_fields *out, const mg_forward_from *from) {
    const mg_requester *who = from->who;
    mg_str peer = is_ip(who->peer_ip) ? who->peer_ip : (mg_str){NULL, 0};
    mg_str before = {NULL, 0};
    if (who->trusted && from->forwarded) {
        before = mg_str_eq(who->client_ip, who->peer_ip) ? before : who->client_ip;
    } else if (who->trusted) {
        before = values_of(out->arena, &from->head->fields, MG_FIELD_X_FORWARDED_FOR);
    }
    mg_str all = joined(out->arena, before, peer);
    return all.n > 0 ? all : MG_STR("unknown");
}

static void append(mg_str *to, mg_str s) {
    memcpy((char *)(uintptr_t)to->p + to->n, s.p, s.n);
    to->n += s.n;
}

// RFC 7239 section 4: an IPv6 address is in brackets, and quoted for its colons.
static void append_node(mg_str *to, mg_str peer) {
    mg_str node = is_ip(peer) ? peer : MG_STR("unknown");
    bool v6 = memchr(node.p, ':', node.n) != NULL;
    append(to, v6 ? MG_STR("for=\"[") : MG_STR("for="));
    append(to, node);
    append(to, v6 ? MG_STR("]\"") : MG_STR(""));
}

static void append_element(mg_str *to, const mg_requester *who) {
    append_node(to, who->peer_ip);
    if (who->host.n > 0) {
        append(to, MG_STR(";host=\""));
        append(to, who->host);
        append(to, MG_STR("\""));
    }
    append(to, MG_STR(";proto="));
    append(to, who->scheme);
}

// In front stands what a believed proxy said of its client, in whichever field it said so.
static mg_str forwarded_of(mg_arena *arena, const mg_forward_from *from) {
    const mg_requester *who = from->who;
    mg_str before = {NULL, 0};
    if (who->trusted && from->forwarded) {
        before = values_of(arena, &from->head->fields, MG_FIELD_FORWARDED);
    }
    size_t most = NODES_BYTES + before.n + who->client_ip.n + who->peer_ip.n + who->host.n;
    mg_str all = {mg_arena_alloc(arena, most), 0};
    if (before.n > 0) {
        append(&all, before);
    } else if (who->trusted && !from->forwarded && !mg_str_eq(who->client_ip, who->peer_ip)) {
        append_node(&all, who->client_ip);
    }
    if (all.n > 0) {
        append(&all, MG_STR(", "));
    }
    append_element(&all, who);
    mg_arena_shrink(arena, (void *)(uintptr_t)all.p, most, all.n);
    return all;
}

static void add_requester(mg_fields *out, const mg_forward_from *from) {
    const mg_requester *who = from->who;
    add(out, MG_FIELD_X_FORWARDED_FOR, forwarded_for(out, from));
    add(out, MG_FIELD_X_FORWARDED_PROTO, who->scheme);
    if (who->host.n > 0) {
        add(out, MG_FIELD_X_FORWARDED_HOST, who->host);
    }
    add(out, MG_FIELD_FORWARDED, forwarded_of(out->arena, from));
}

// RFC 9110 section 7.6.3: the version that the message came in, and who passed it on.
static void add_via(mg_fields *out, const mg_fields *came, mg_str own) {
    mg_str before = values_of(out->arena, came, MG_FIELD_VIA);
    add(out, MG_FIELD_VIA, joined(out->arena, before, own));
}

static mg_str via_of_request(mg_str protocol) {
    return mg_str_eq(protocol, MG_STR("HTTP/1.1"))   ? MG_STR("1.1 moongate")
           : mg_str_eq(protocol, MG_STR("HTTP/1.0")) ? MG_STR("1.0 moongate")
                                                     : MG_STR("2.0 moongate");
}

// --- whole lists ---

static void remove_all(mg_fields *from, const mg_fields *names) {
    for (uint32_t i = 0; names != NULL && i < names->count; i++) {
        (void)mg_fields_remove(from, names->at[i].name);
    }
}

static uint32_t most_fields(const mg_fields *came, const mg_forward_rules *rules) {
    return came->count + OWN_FIELDS + (rules->set != NULL ? rules->set->count : 0);
}

size_t mg_forward_bytes(const mg_head *h, const mg_forward_rules *rules) {
    return most_fields(&h->fields, rules) * sizeof(mg_field) + NODES_BYTES + h->host.n;
}

void mg_forward_request(mg_fields *out, const mg_forward_from *from,
                        const mg_forward_rules *rules) {
    const mg_fields *l = &from->head->fields;
    bool named = names_fields(l);
    bool rewritten = rules->set != NULL || rules->removed != NULL;
    mg_fields_reserve(out, most_fields(l, rules));
    for (uint32_t i = 0; i < l->count; i++) {
        const mg_field *f = &l->at[i];
        bool ends = request_field_ends_here(f, from->who->trusted) ||
                    (named && mg_fields_is_hop_by_hop(l, f)) ||
                    (rewritten && is_replaced(rules, f));
        if (!ends) {
            (void)mg_fields_pass(out, f);
        }
    }
    add_requester(out, from);
    add_via(out, l, via_of_request(from->protocol));
    remove_all(out, rules->removed); // ours too
    remove_all(out, rules->set);
    for (uint32_t i = 0; rules->set != NULL && i < rules->set->count; i++) {
        (void)mg_fields_pass(out, &rules->set->at[i]);
    }
}

static int pass_response_fields(mg_fields *out, const mg_fields *l) {
    bool named = names_fields(l);
    mg_fields_reserve(out, l->count + OWN_FIELDS);
    for (uint32_t i = 0; i < l->count; i++) {
        const mg_field *f = &l->at[i];
        bool ends = ends_here(f->id) || (named && mg_fields_is_hop_by_hop(l, f));
        if (!ends && mg_fields_pass(out, f) != MG_OK) {
            return MG_ELIMIT;
        }
    }
    return MG_OK;
}

static mg_str via_of_response(const mg_response *r) {
    return r->http2            ? MG_STR("2.0 moongate")
           : r->head.minor > 0 ? MG_STR("1.1 moongate")
                               : MG_STR("1.0 moongate");
}

int mg_forward_response(mg_fields *out, const mg_response *r) {
    int rc = pass_response_fields(out, &r->head.fields);
    add_via(out, &r->head.fields, via_of_response(r));
    return rc;
}

void mg_forward_interim(mg_fields *out, const mg_head *h) {
    (void)pass_response_fields(out, &h->fields);
}

static bool has_no_place_behind(const mg_field *f) {
    switch (f->id) {
    case MG_FIELD_AUTHORIZATION:
    case MG_FIELD_CACHE_CONTROL:
    case MG_FIELD_CONTENT_ENCODING:
    case MG_FIELD_CONTENT_RANGE:
    case MG_FIELD_CONTENT_TYPE:
    case MG_FIELD_COOKIE:
    case MG_FIELD_EXPECT:
    case MG_FIELD_FORWARDED:
    case MG_FIELD_HOST:
    case MG_FIELD_SET_COOKIE:
    case MG_FIELD_WWW_AUTHENTICATE:
        return true;
    default:
        return ends_here(f->id) || is_x_forwarded(f);
    }
}

void mg_forward_trailers(mg_fields *out, const mg_fields *from) {
    for (uint32_t i = 0; i < from->count; i++) {
        if (!has_no_place_behind(&from->at[i])) {
            (void)mg_fields_pass(out, &from->at[i]);
        }
    }
}
