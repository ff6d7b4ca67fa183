#include "http/h1_write.h"

#include "base/error.h"
#include "http/status.h"

enum { FIXED = 256 }; // more than all that is written here besides the variable parts

// Appends at `*at`, which has room.
static void put(char **at, const char *data, size_t n) {
    memcpy(*at, data, n);
    *at += n;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static void put_status(char **at, int status) {
    if (status == 200) {
        PUT(at, "HTTP/1.1 200 OK\r\n");
        return;
    }
    PUT(at, "HTTP/1.1 ");
    *at += mg_format_u64(*at, (uint64_t)status);
    PUT(at, " ");
    mg_str phrase = mg_status_phrase(status);
    put(at, phrase.p, phrase.n);
    PUT(at, "\r\n");
}

static void put_length(char **at, mg_length_kind kind, uint64_t length) {
    if (kind == MG_LENGTH_KNOWN) {
        PUT(at, "Content-Length: ");
        *at += mg_format_u64(*at, length);
        PUT(at, "\r\n");
    } else if (kind == MG_LENGTH_CHUNKED) {
        PUT(at, "Transfer-Encoding: chunked\r\n");
    }
}

void mg_h1_write_head(mg_buf *out, const mg_answer_head *a) {
    char *start = mg_buf_reserve(out, FIXED + a->content_type.n + a->fields.n);
    char *at = start;
    put_status(&at, a->status);
    if (!a->has_date) {
        PUT(&at, "Date: ");
        put(&at, a->date.p, a->date.n);
        PUT(&at, "\r\n");
    }
    if (a->content_type.n > 0) {
        PUT(&at, "Content-Type: ");
        put(&at, a->content_type.p, a->content_type.n);
        PUT(&at, "\r\n");
    }
    put_length(&at, a->kind, a->length);
    if (a->close) {
        PUT(&at, "Connection: close\r\n");
    } else if (a->keep_alive_to_10) {
        PUT(&at, "Connection: keep-alive\r\n");
    }
    if (a->fields.n > 0) {
        put(&at, a->fields.p, a->fields.n);
    }
    PUT(&at, "\r\n");
    out->n += (size_t)(at - start);
}

void mg_h1_write_interim(mg_buf *out, int status, mg_str fields) {
    enum { LINE = 64 };
    char *start = mg_buf_reserve(out, LINE + fields.n);
    char *at = start;
    put_status(&at, status);
    if (fields.n > 0) {
        put(&at, fields.p, fields.n);
    }
    PUT(&at, "\r\n");
    out->n += (size_t)(at - start);
}

static void put_field(char **at, mg_str name, mg_str value) {
    put(at, name.p, name.n);
    PUT(at, ": ");
    if (value.n > 0) { // else it may be NULL
        put(at, value.p, value.n);
    }
    PUT(at, "\r\n");
}

static void put_fields(char **at, const mg_fields *l) {
    for (uint32_t i = 0; i < l->count; i++) {
        put_field(at, l->at[i].name, l->at[i].value);
    }
}

void mg_h1_write_request(mg_buf *out, const mg_request_head *r) {
    // A list's count of bytes has more for each field than its line needs.
    size_t most = FIXED + r->method.n + r->target.n + r->host.n + r->fields->bytes;
    char *start = mg_buf_reserve(out, most);
    char *at = start;
    put(&at, r->method.p, r->method.n);
    PUT(&at, " ");
    put(&at, r->target.p, r->target.n);
    PUT(&at, " HTTP/1.1\r\n");
    put_field(&at, MG_STR("Host"), r->host);
    put_fields(&at, r->fields);
    put_length(&at, r->kind, r->length);
    PUT(&at, "\r\n");
    out->n += (size_t)(at - start);
}

void mg_h1_write_chunk(mg_buf *out, const char *data, size_t n) {
    mg_buf_printf(out, "%zx\r\n", n);
    mg_buf_append(out, data, n);
    mg_buf_append(out, "\r\n", 2);
}

void mg_h1_write_last_chunk(mg_buf *out, mg_str trailers) {
    mg_buf_append(out, "0\r\n", 3);
    mg_buf_append_str(out, trailers);
    mg_buf_append(out, "\r\n", 2);
}

int mg_h1_write_field(mg_buf *out, mg_str name, mg_str value) {
    if (!mg_str_is_token(name) || !mg_field_is_value(value)) {
        return MG_ESYNTAX;
    }
    mg_buf_append_str(out, name);
    mg_buf_append(out, ": ", 2);
    mg_buf_append_str(out, value);
    mg_buf_append(out, "\r\n", 2);
    return MG_OK;
}
