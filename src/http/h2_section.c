#include "http/h2_section.h"

#include "http/framing.h"

void mg_h2_section_init(mg_h2_section *s, mg_h2_section_kind kind, uint32_t limit,
                        mg_arena *arena) {
    *s = (mg_h2_section){.kind = kind, .limit = limit};
    mg_fields_init(&s->fields, arena);
    s->fields.limit = UINT32_MAX; // what is kept is counted here
}

static void malformed(mg_h2_section *s, const char *why) {
    s->fault = s->fault != NULL ? s->fault : why;
}

// --- pseudo-fields (RFC 9113 section 8.3) ---

static const mg_str pseudo_names[MG_H2_PSEUDOS] = {
    [MG_H2_METHOD] = {":method", 7},        [MG_H2_SCHEME] = {":scheme", 7},
    [MG_H2_AUTHORITY] = {":authority", 10}, [MG_H2_PATH] = {":path", 5},
    [MG_H2_PROTOCOL] = {":protocol", 9},    [MG_H2_STATUS] = {":status", 7},
};

static bool allowed(const mg_h2_section *s, mg_h2_pseudo p) {
    return s->kind == (p == MG_H2_STATUS ? MG_H2_RESPONSE : MG_H2_REQUEST);
}

static mg_str copy(const mg_h2_section *s, mg_str text) {
    return (mg_str){mg_arena_copy(s->fields.arena, text), text.n};
}

// Those of the static table, which begins with them.
static const uint8_t static_pseudos[] = {
    MG_H2_PSEUDOS, MG_H2_AUTHORITY, MG_H2_METHOD, MG_H2_METHOD, MG_H2_PATH,
    MG_H2_PATH,    MG_H2_SCHEME,    MG_H2_SCHEME, MG_H2_STATUS, MG_H2_STATUS,
    MG_H2_STATUS,  MG_H2_STATUS,    MG_H2_STATUS, MG_H2_STATUS, MG_H2_STATUS,
};

static bool is_pseudo(const mg_h2_decoded *f) {
    return f->known > 0 ? f->known < sizeof static_pseudos : f->name.n > 0 && f->name.p[0] == ':';
}

// MG_H2_PSEUDOS: it is none that is known.
static mg_h2_pseudo pseudo_of(const mg_h2_decoded *f) {
    mg_h2_pseudo p = 0;
    if (f->known > 0) {
        return (mg_h2_pseudo)static_pseudos[f->known];
    }
    while (p < MG_H2_PSEUDOS && !mg_str_eq(pseudo_names[p], f->name)) {
        p++;
    }
    return p;
}

static void add_pseudo(mg_h2_section *s, mg_h2_pseudo p, mg_str value) {
    if (p == MG_H2_PSEUDOS || !allowed(s, p)) {
        malformed(s, "a pseudo-field that does not belong here");
    } else if (s->regular) {
        malformed(s, "a pseudo-field behind other fields");
    } else if (s->pseudo[p].p != NULL) {
        malformed(s, "a pseudo-field is repeated");
    } else {
        s->pseudo[p] = copy(s, value);
    }
}

// --- other fields (sections 8.2, 8.2.1 and 8.2.2) ---

static bool is_name(mg_str name) {
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = (uint8_t)name.p[i];
        if (!mg_tchar[c] || (c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    return name.n > 0;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static bool is_value(mg_str value) {
    bool bare = value.n == 0 || (!is_space(value.p[0]) && !is_space(value.p[value.n - 1]));
    return bare && mg_field_is_value(value);
}

// Connections are not described by fields here.
static bool is_of_connection(mg_field_id id, mg_str value) {
    switch (id) {
    case MG_FIELD_CONNECTION:
    case MG_FIELD_KEEP_ALIVE:
    case MG_FIELD_PROXY_CONNECTION:
    case MG_FIELD_TRANSFER_ENCODING:
    case MG_FIELD_UPGRADE:
        return true;
    case MG_FIELD_TE:
        return !mg_str_ieq(value, MG_STR("trailers"));
    default:
        return false;
    }
}

static void add_field(mg_h2_section *s, const mg_h2_decoded *d) {
    s->regular = true;
    if (d->known == 0 && !is_name(d->name)) {
        malformed(s, "a field name is no token in lower case");
        return;
    }
    if (!is_value(d->value)) {
        malformed(s, "a field value holds a control character, or white space around it");
        return;
    }
    mg_field_id id = d->known > 0 ? mg_h2_static_id(d->known) : mg_field_id_of(d->name);
    if (is_of_connection(id, d->value)) {
        malformed(s, "a field that describes the connection");
        return;
    }
    s->crumbs += id == MG_FIELD_COOKIE;
    // Within the section's limit, which is not larger than the list's.
    mg_str name = id != MG_FIELD_OTHER ? mg_field_name(id) : copy(s, d->name);
    mg_field f = {name, copy(s, d->value), id};
    (void)mg_fields_pass(&s->fields, &f);
}

void mg_h2_section_add(mg_h2_section *s, const mg_h2_decoded *f) {
    uint64_t bytes = (uint64_t)s->bytes + f->name.n + f->value.n + MG_FIELD_OVERHEAD;
    s->bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    if (s->fault != NULL || mg_h2_section_is_too_large(s)) {
        return;
    }
    if (is_pseudo(f)) {
        add_pseudo(s, pseudo_of(f), f->value);
    } else {
        add_field(s, f);
    }
}

// --- a request ---

static bool has(const mg_h2_section *s, mg_h2_pseudo p) {
    return s->pseudo[p].p != NULL;
}

// Which of them must come, and which may not (section 8.3.1, RFC 8441 section 4).
static const char *judge_pseudo(const mg_h2_section *s, mg_method method) {
    mg_str path = s->pseudo[MG_H2_PATH];
    if (!has(s, MG_H2_METHOD)) {
        return ":method is missing";
    }
    if (has(s, MG_H2_PROTOCOL) && (method != MG_METHOD_CONNECT || !has(s, MG_H2_AUTHORITY))) {
        return ":protocol is for CONNECT with :authority";
    }
    if (method == MG_METHOD_CONNECT && !has(s, MG_H2_PROTOCOL)) {
        bool bare = !has(s, MG_H2_SCHEME) && !has(s, MG_H2_PATH) && has(s, MG_H2_AUTHORITY);
        return bare ? NULL : "CONNECT has :authority, and neither :scheme nor :path";
    }
    if (!has(s, MG_H2_SCHEME) || !has(s, MG_H2_PATH)) {
        return ":scheme or :path is missing";
    }
    bool star = path.n == 1 && path.p[0] == '*' && method == MG_METHOD_OPTIONS;
    return star || (path.n > 0 && path.p[0] == '/') ? NULL : ":path does not begin with a slash";
}

// The peer may say it in either way, but not two hosts; afterwards the list has it as Host.
static const char *join_authority(mg_h2_section *s) {
    mg_str authority = s->pseudo[MG_H2_AUTHORITY];
    const mg_field *host = mg_fields_find(&s->fields, MG_FIELD_HOST);
    if (authority.p == NULL) {
        return NULL;
    }
    if (memchr(authority.p, '@', authority.n) != NULL) {
        return ":authority has a user in it";
    }
    if (host == NULL) {
        // It is a value, or is refused as a host.
        return mg_fields_add_id(&s->fields, MG_FIELD_HOST, authority) == MG_OK
                   ? NULL
                   : ":authority is no field value";
    }
    return mg_str_ieq(host->value, authority) ? NULL : ":authority and Host differ";
}

static void join_cookies(mg_h2_section *s) {
    if (s->crumbs > 1) {
        mg_str name = mg_field_name(MG_FIELD_COOKIE);
        // An empty crumb at the end would leave a space there.
        mg_fields_set(&s->fields, name, mg_str_trim(mg_fields_join(&s->fields, name)));
    }
}

static mg_refusal judge_size(const mg_h2_section *s, const mg_h2_limits *limits) {
    size_t line = s->pseudo[MG_H2_METHOD].n + s->pseudo[MG_H2_PATH].n + sizeof "  HTTP/1.1" - 1;
    if (line > limits->request_line) {
        return (mg_refusal){414, "the request line is too long", 0};
    }
    if (mg_h2_section_is_too_large(s)) {
        return (mg_refusal){431, "the header section is too large", 0};
    }
    // Host is among them, whichever way it came.
    bool added =
        s->pseudo[MG_H2_AUTHORITY].p != NULL && mg_fields_find(&s->fields, MG_FIELD_HOST) == NULL;
    if (s->fields.count + added > limits->header_fields) {
        return (mg_refusal){431, "too many header fields", 0};
    }
    return (mg_refusal){0};
}

static mg_refusal judge_target(const mg_h2_section *s, mg_head *h) {
    bool tunnel = h->method == MG_METHOD_CONNECT && !has(s, MG_H2_PROTOCOL);
    mg_method form = tunnel                           ? MG_METHOD_CONNECT
                     : h->method == MG_METHOD_OPTIONS ? MG_METHOD_OPTIONS
                                                      : MG_METHOD_GET;
    h->target_text = s->pseudo[tunnel ? MG_H2_AUTHORITY : MG_H2_PATH];
    if (mg_target_parse(h->target_text, form, s->fields.arena, &h->target) != MG_OK) {
        return (mg_refusal){400, "the request target is malformed", 0};
    }
    mg_str scheme = s->pseudo[MG_H2_SCHEME];
    if (!tunnel && !mg_str_ieq(scheme, MG_STR("https")) && !mg_str_ieq(scheme, MG_STR("http"))) {
        return (mg_refusal){400, "the scheme is neither http nor https", 0};
    }
    return (mg_refusal){0};
}

// Without Content-Length the end of the stream is that of the content.
static const char *judge_end(mg_head *h, bool end) {
    if (end && h->length > 0) {
        return "Content-Length, and no content";
    }
    if (!end && h->framing == MG_FRAMING_NONE &&
        mg_fields_find(&h->fields, MG_FIELD_CONTENT_LENGTH) == NULL) {
        h->framing = MG_FRAMING_CHUNKED;
    }
    return NULL;
}

// It is too large to be known whole: what is there is for the log.
static const char *refuse_request(mg_h2_section *s, mg_h2_event *e) {
    e->head.target_text = s->pseudo[MG_H2_PATH];
    e->head.fields = s->fields;
    e->head.framing = e->end ? MG_FRAMING_NONE : MG_FRAMING_CHUNKED;
    return NULL;
}

// Whether what came of a head that is too large is a request.
static bool is_told(mg_h2_section *s, mg_head *h) {
    if (has(s, MG_H2_PROTOCOL) || judge_pseudo(s, h->method) != NULL || join_authority(s) != NULL ||
        judge_target(s, h).status != 0) {
        return false;
    }
    h->fields = s->fields;
    return mg_framing_of(h).status == 0;
}

const char *mg_h2_section_request(mg_h2_section *s, const mg_h2_limits *limits, mg_h2_event *e) {
    mg_head *h = &e->head;
    mg_str method = s->pseudo[MG_H2_METHOD];
    *h = (mg_head){.minor = 1, .method = mg_method_of(method), .method_text = method};
    e->scheme = s->pseudo[MG_H2_SCHEME];
    e->protocol = s->pseudo[MG_H2_PROTOCOL];
    e->told = false;
    h->keep_alive = true;
    if (s->fault != NULL) {
        return s->fault;
    }
    if (method.p != NULL && !mg_str_is_token(method)) {
        return ":method is no token";
    }
    join_cookies(s);
    e->refusal = judge_size(s, limits);
    if (e->refusal.status != 0) {
        e->told = e->refusal.status == 431 && is_told(s, h);
        return refuse_request(s, e);
    }
    const char *fault = judge_pseudo(s, h->method);
    fault = fault != NULL ? fault : join_authority(s);
    if (fault != NULL) {
        return fault;
    }
    e->refusal = judge_target(s, h);
    h->fields = s->fields;
    if (e->refusal.status == 0) {
        e->refusal = mg_framing_of(h);
        e->told = e->refusal.status == 417;
    }
    return e->refusal.status == 0 ? judge_end(h, e->end) : refuse_request(s, e);
}

// --- a response (section 8.3.2) ---

static int status_of(mg_str text) {
    uint64_t status;
    bool good = text.n == 3 && mg_str_to_u64(text, 999, &status) && status >= 100;
    return good ? (int)status : 0;
}

const char *mg_h2_section_response(mg_h2_section *s, const mg_h2_limits *limits, bool to_head,
                                   mg_h2_event *e) {
    e->status = status_of(s->pseudo[MG_H2_STATUS]);
    if (s->fault != NULL) {
        return s->fault;
    }
    if (mg_h2_section_is_too_large(s)) {
        return "the header section is too large";
    }
    if (s->fields.count > limits->header_fields) {
        return "too many header fields";
    }
    // Protocols are not switched here (section 8.6).
    if (e->status == 0 || e->status == 101) {
        return ":status is missing, or no status";
    }
    if (e->status < 200 && e->end) {
        return "an interim response ends the stream";
    }
    mg_response r = {.status = e->status, .head = {.minor = 1, .fields = s->fields}};
    mg_refusal refusal = mg_framing_of_response(&r, to_head);
    if (refusal.status != 0) {
        return refusal.reason;
    }
    e->head = r.head;
    e->head.keep_alive = true;
    if (e->head.framing == MG_FRAMING_CLOSE) {
        e->head.framing = e->end ? MG_FRAMING_NONE : MG_FRAMING_CHUNKED;
    }
    return e->end && e->head.length > 0 ? "Content-Length, and no content" : NULL;
}
