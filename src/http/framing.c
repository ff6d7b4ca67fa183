#include "http/framing.h"

typedef struct seen {
    const mg_field *host;
    const mg_field *length;
    uint32_t codings;   // Transfer-Encoding members
    bool empty_codings; // an empty one among them, or none at all
    bool chunked;
    bool chunked_last;
    bool chunked_twice;
    bool unknown_coding;
    bool wrong_expect;
    bool close;
    bool persist;
    bool twice_host;
    bool twice_length;
} seen;

static const mg_refusal good = {0};

// Lists may have empty members (RFC 9110 section 5.6.1), but what delimits a body is read in one
// way.
static bool has_empty_member(mg_str list) {
    bool empty = true;
    for (size_t i = 0; i < list.n; i++) {
        if (list.p[i] == ',' && empty) {
            return true;
        }
        empty = list.p[i] == ',' || (empty && (list.p[i] == ' ' || list.p[i] == '\t'));
    }
    return empty;
}

static void read_codings(seen *s, mg_str value) {
    mg_str item;
    s->empty_codings |= has_empty_member(value);
    while (mg_str_next_item(&value, &item)) {
        bool chunked = mg_str_ieq(item, MG_STR("chunked"));
        s->chunked_twice |= chunked && s->chunked;
        s->unknown_coding |= !chunked;
        s->chunked |= chunked;
        s->chunked_last = chunked;
        s->codings++;
    }
}

static void read_connection(seen *s, mg_str value) {
    mg_str item;
    while (mg_str_next_item(&value, &item)) {
        s->close |= mg_str_ieq(item, MG_STR("close"));
        s->persist |= mg_str_ieq(item, MG_STR("keep-alive"));
    }
}

// False if there was one before.
static bool once(const mg_field **slot, const mg_field *f) {
    bool first = *slot == NULL;
    *slot = f;
    return first;
}

static void read_field(seen *s, mg_head *h, const mg_field *f) {
    switch (f->id) {
    case MG_FIELD_HOST:
        s->twice_host |= !once(&s->host, f);
        break;
    case MG_FIELD_EXPECT:
        // A list of which 100-continue is the only known member; HTTP/1.0 has no expectations.
        if (h->minor > 0) {
            h->expect_continue = mg_str_ieq(f->value, MG_STR("100-continue"));
            s->wrong_expect |= !h->expect_continue;
        }
        break;
    case MG_FIELD_CONNECTION:
        read_connection(s, f->value);
        break;
    case MG_FIELD_CONTENT_LENGTH:
        s->twice_length |= !once(&s->length, f);
        break;
    case MG_FIELD_TRANSFER_ENCODING:
        read_codings(s, f->value);
        break;
    default:
        break;
    }
}

static mg_refusal judge_coding(const seen *s, mg_head *h) {
    if (h->minor == 0) {
        return (mg_refusal){400, "Transfer-Encoding in HTTP/1.0", 0};
    }
    if (s->length != NULL) {
        return (mg_refusal){400, "Transfer-Encoding together with Content-Length", 0};
    }
    if (s->empty_codings) {
        return (mg_refusal){400, "Transfer-Encoding is empty, or has an empty member", 0};
    }
    if (s->chunked_twice) {
        return (mg_refusal){400, "chunked is applied twice", 0};
    }
    if (s->unknown_coding) {
        return s->chunked_last || s->codings == 1
                   ? (mg_refusal){501, "a transfer coding other than chunked", 0}
                   : (mg_refusal){400, "chunked is not the last transfer coding", 0};
    }
    if (!s->chunked_last) {
        return (mg_refusal){400, "chunked is not the last transfer coding", 0};
    }
    h->framing = MG_FRAMING_CHUNKED;
    return good;
}

static mg_refusal judge_body(const seen *s, mg_head *h) {
    if (s->codings > 0 || s->empty_codings) {
        return judge_coding(s, h);
    }
    if (s->length == NULL) {
        return good;
    }
    if (!mg_str_to_u64(s->length->value, INT64_MAX, &h->length)) {
        return (mg_refusal){400, "Content-Length is not a number", 0};
    }
    h->framing = h->length > 0 ? MG_FRAMING_LENGTH : MG_FRAMING_NONE;
    return good;
}

// A request about the server as a whole may leave it empty; an http URI has a host (RFC 9110
// section 4.2.1).
static bool host_valid(const mg_head *h, mg_str host) {
    return host.n == 0 ? h->target.form == MG_TARGET_ASTERISK : mg_host_valid(host);
}

static mg_refusal judge_host(const seen *s, mg_head *h) {
    if (s->host == NULL && h->minor > 0) {
        return (mg_refusal){400, "the Host field is missing", 0};
    }
    if (s->host != NULL && !host_valid(h, s->host->value)) {
        return (mg_refusal){400, "the Host field is empty or not host[:port]", 0};
    }
    if (h->target.authority.n > 0) {
        // The field counts for nothing (RFC 9112 section 3.2.2): nobody is to read another host
        // there.
        h->host = h->target.authority;
        if (s->host != NULL && h->target.form == MG_TARGET_ABSOLUTE) {
            h->fields.at[s->host - h->fields.at].value = h->host;
        }
    } else if (s->host != NULL) {
        h->host = s->host->value;
    }
    return good;
}

mg_refusal mg_framing_of(mg_head *h) {
    seen s = {0};
    for (uint32_t i = 0; i < h->fields.count; i++) {
        read_field(&s, h, &h->fields.at[i]);
    }
    h->keep_alive = h->minor > 0 ? !s.close : s.persist && !s.close;
    if (s.twice_host || s.twice_length) {
        return (mg_refusal){400, "Host or Content-Length is repeated", 0};
    }
    mg_refusal refusal = judge_host(&s, h);
    if (refusal.status == 0) {
        refusal = judge_body(&s, h);
    }
    if (refusal.status == 0 && s.wrong_expect) {
        return (mg_refusal){417, "an expectation other than 100-continue", 0};
    }
    return refusal;
}

// No status or method has content here, whatever the fields say (RFC 9112 section 6.3).
static bool has_no_content(int status, bool to_head) {
    return to_head || status < 200 || status == 204 || status == 304;
}

mg_refusal mg_framing_of_response(mg_response *r, bool to_head) {
    mg_head *h = &r->head;
    seen s = {0};
    for (uint32_t i = 0; i < h->fields.count; i++) {
        read_field(&s, h, &h->fields.at[i]);
    }
    h->keep_alive = h->minor > 0 ? !s.close : s.persist && !s.close;
    if (s.twice_length) {
        return (mg_refusal){502, "Content-Length is repeated", 0};
    }
    mg_refusal refusal = judge_body(&s, h);
    if (refusal.status != 0) {
        return refusal;
    }
    if (has_no_content(r->status, to_head)) {
        h->framing = MG_FRAMING_NONE;
        h->length = 0;
    } else if (s.length == NULL && h->framing == MG_FRAMING_NONE) {
        h->framing = MG_FRAMING_CLOSE;
        h->keep_alive = false;
    }
    return good;
}
