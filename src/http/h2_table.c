#include "http/h2_table.h"

#include "base/mem.h"

// --- the static table (RFC 7541 appendix A) ---

#define PSEUDO(name, value)                                                                        \
    { {name, sizeof name - 1}, {value, sizeof value - 1}, MG_FIELD_OTHER }
#define FIELD(name, id)                                                                            \
    { {name, sizeof name - 1}, {"", 0}, id }

static const struct {
    mg_str name, value;
    mg_field_id id;
} statics[MG_H2_STATIC_FIELDS] = {
    PSEUDO(":authority", ""),
    PSEUDO(":method", "GET"),
    PSEUDO(":method", "POST"),
    PSEUDO(":path", "/"),
    PSEUDO(":path", "/index.html"),
    PSEUDO(":scheme", "http"),
    PSEUDO(":scheme", "https"),
    PSEUDO(":status", "200"),
    PSEUDO(":status", "204"),
    PSEUDO(":status", "206"),
    PSEUDO(":status", "304"),
    PSEUDO(":status", "400"),
    PSEUDO(":status", "404"),
    PSEUDO(":status", "500"),
    FIELD("accept-charset", MG_FIELD_OTHER),
    {{"accept-encoding", 15}, {"gzip, deflate", 13}, MG_FIELD_ACCEPT_ENCODING},
    FIELD("accept-language", MG_FIELD_ACCEPT_LANGUAGE),
    FIELD("accept-ranges", MG_FIELD_ACCEPT_RANGES),
    FIELD("accept", MG_FIELD_ACCEPT),
    FIELD("access-control-allow-origin", MG_FIELD_OTHER),
    FIELD("age", MG_FIELD_AGE),
    FIELD("allow", MG_FIELD_ALLOW),
    FIELD("authorization", MG_FIELD_AUTHORIZATION),
    FIELD("cache-control", MG_FIELD_CACHE_CONTROL),
    FIELD("content-disposition", MG_FIELD_CONTENT_DISPOSITION),
    FIELD("content-encoding", MG_FIELD_CONTENT_ENCODING),
    FIELD("content-language", MG_FIELD_CONTENT_LANGUAGE),
    FIELD("content-length", MG_FIELD_CONTENT_LENGTH),
    FIELD("content-location", MG_FIELD_CONTENT_LOCATION),
    FIELD("content-range", MG_FIELD_CONTENT_RANGE),
    FIELD("content-type", MG_FIELD_CONTENT_TYPE),
    FIELD("cookie", MG_FIELD_COOKIE),
    FIELD("date", MG_FIELD_DATE),
    FIELD("etag", MG_FIELD_ETAG),
    FIELD("expect", MG_FIELD_EXPECT),
    FIELD("expires", MG_FIELD_EXPIRES),
    FIELD("from", MG_FIELD_OTHER),
    FIELD("host", MG_FIELD_HOST),
    FIELD("if-match", MG_FIELD_IF_MATCH),
    FIELD("if-modified-since", MG_FIELD_IF_MODIFIED_SINCE),
    FIELD("if-none-match", MG_FIELD_IF_NONE_MATCH),
    FIELD("if-range", MG_FIELD_IF_RANGE),
    FIELD("if-unmodified-since", MG_FIELD_IF_UNMODIFIED_SINCE),
    FIELD("last-modified", MG_FIELD_LAST_MODIFIED),
    FIELD("link", MG_FIELD_LINK),
    FIELD("location", MG_FIELD_LOCATION),
    FIELD("max-forwards", MG_FIELD_OTHER),
    FIELD("proxy-authenticate", MG_FIELD_PROXY_AUTHENTICATE),
    FIELD("proxy-authorization", MG_FIELD_PROXY_AUTHORIZATION),
    FIELD("range", MG_FIELD_RANGE),
    FIELD("referer", MG_FIELD_REFERER),
    FIELD("refresh", MG_FIELD_OTHER),
    FIELD("retry-after", MG_FIELD_RETRY_AFTER),
    FIELD("server", MG_FIELD_SERVER),
    FIELD("set-cookie", MG_FIELD_SET_COOKIE),
    FIELD("strict-transport-security", MG_FIELD_STRICT_TRANSPORT_SECURITY),
    FIELD("transfer-encoding", MG_FIELD_TRANSFER_ENCODING),
    FIELD("user-agent", MG_FIELD_USER_AGENT),
    FIELD("vary", MG_FIELD_VARY),
    FIELD("via", MG_FIELD_VIA),
    FIELD("www-authenticate", MG_FIELD_WWW_AUTHENTICATE),
};

mg_field_id mg_h2_static_id(uint8_t index) {
    return statics[index - 1].id;
}

// --- the dynamic table ---

void mg_h2_dynamic_deinit(mg_h2_dynamic *t) {
    mg_free(t->entries);
    mg_buf_deinit(&t->texts);
    *t = (mg_h2_dynamic){0};
}

static const mg_h2_entry *oldest(const mg_h2_dynamic *t) {
    return &t->entries[t->first];
}

static uint32_t bytes_of(const mg_h2_entry *e) {
    return e->name_bytes + e->value_bytes + MG_FIELD_OVERHEAD;
}

static void shrink_to(mg_h2_dynamic *t, uint32_t bytes) {
    while (t->bytes > bytes) {
        t->bytes -= bytes_of(oldest(t));
        t->first++;
        t->count--;
    }
}

void mg_h2_dynamic_resize(mg_h2_dynamic *t, uint32_t limit) {
    t->limit = limit;
    shrink_to(t, limit);
}

// What was pushed out lies in front; where it is half of all or more, what is left moves there.
static void make_room_for_entry(mg_h2_dynamic *t) {
    if (t->first + t->count < t->cap) {
        return;
    }
    if (t->first >= t->cap / 2 && t->cap > 0) {
        memmove(t->entries, oldest(t), t->count * sizeof *t->entries);
        t->first = 0;
        return;
    }
    t->cap = t->cap == 0 ? 8 : t->cap * 2;
    t->entries = mg_realloc(t->entries, t->cap * sizeof *t->entries);
}

static void make_room_for_text(mg_h2_dynamic *t, size_t more) {
    size_t gone = t->count > 0 ? oldest(t)->at - t->begin : t->texts.n;
    if (t->texts.cap - t->texts.n < more && gone >= t->texts.n / 2) {
        mg_buf_consume(&t->texts, gone);
        t->begin += (uint32_t)gone;
    }
    mg_buf_reserve(&t->texts, more);
}

void mg_h2_dynamic_add(mg_h2_dynamic *t, const mg_h2_decoded *f) {
    uint64_t bytes = (uint64_t)f->name.n + f->value.n + MG_FIELD_OVERHEAD;
    shrink_to(t, bytes < t->limit ? t->limit - (uint32_t)bytes : 0);
    if (bytes > t->limit) {
        return;
    }
    make_room_for_entry(t);
    make_room_for_text(t, f->name.n + f->value.n);
    t->entries[t->first + t->count++] = (mg_h2_entry){
        .at = t->begin + (uint32_t)t->texts.n,
        .name_bytes = (uint32_t)f->name.n,
        .value_bytes = (uint32_t)f->value.n,
        .known = f->known,
    };
    t->bytes += (uint32_t)bytes;
    mg_buf_append_str(&t->texts, f->name);
    mg_buf_append_str(&t->texts, f->value);
}

bool mg_h2_table_get(const mg_h2_dynamic *t, uint32_t index, mg_h2_decoded *f) {
    if (index - 1 < MG_H2_STATIC_FIELDS) {
        *f = (mg_h2_decoded){statics[index - 1].name, statics[index - 1].value, (uint8_t)index};
        return true;
    }
    uint32_t back = index - 1 - MG_H2_STATIC_FIELDS; // behind the newest
    if (index == 0 || back >= t->count) {
        return false;
    }
    const mg_h2_entry *e = &t->entries[t->first + t->count - 1 - back];
    const char *p = t->texts.p + (e->at - t->begin);
    *f = (mg_h2_decoded){{p, e->name_bytes}, {p + e->name_bytes, e->value_bytes}, e->known};
    return true;
}
