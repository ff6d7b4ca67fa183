#include "http/h1_write.h"

#include "base/error.h"
#include "http/status.h"

// More than all that is written here besides the variable parts. What a list counts for each of its
// fields is more than a line needs beside name and value.
enum { FIXED = 256 };

// Appends at `*at`, which has room.
static void put(char **at, const char *data, size_t n) {
    memcpy(*at, data, n);
    *at += n;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

// `phrase` empty: the status's own.
static void put_status(char **at, int status, mg_str phrase) {
    if (status == 200 && phrase.n == 0) {
        PUT(at, "HTTP/1.1 200 OK\r\n");
        return;
    }
    PUT(at, "HTTP/1.1 ");
    *at += mg_format_u64(*at, (uint64_t)status);
    PUT(at, " ");
    phrase = phrase.n > 0 ? phrase : mg_status_phrase(status);
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

static void put_field(char **at, mg_str name, mg_str value) {
    put(at, name.p, name.n);
    PUT(at, ": ");
    if (value.n > 0) { // else it may be NULL
        put(at, value.p, value.n);
    }
    PUT(at, "\r\n");
}

// `l` of NULL: none.
static size_t bytes_of(const mg_fields *l) {
    return l != NULL ? l->bytes : 0;
}

static void put_fields(char **at, const mg_fields *l) {
    for (uint32_t i = 0; l != NULL && i < l->count; i++) {
        put_field(at, l->at[i].name, l->at[i].value);
    }
}

void mg_h1_write_head(mg_buf *out, const mg_answer_head *a) {
    char *start = mg_buf_reserve(out, FIXED + a->reason.n + a->content_type.n + a->fields->bytes);
    char *at = start;
    put_status(&at, a->status, a->reason);
    if (mg_fields_find(a->fields, MG_FIELD_DATE) == NULL) {
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
    if (a->fields->count > 0) { // most have none
        put_fields(&at, a->fields);
    }
    PUT(&at, "\r\n");
    out->n += (size_t)(at - start);
}

void mg_h1_write_interim(mg_buf *out, int status, const mg_fields *fields) {
    char *start = mg_buf_reserve(out, FIXED + bytes_of(fields));
    char *at = start;
    put_status(&at, status, (mg_str){0});
    put_fields(&at, fields);
    PUT(&at, "\r\n");
    out->n += (size_t)(at - start);
}

void mg_h1_write_request(mg_buf *out, const mg_request_head *r) {
    size_t most = FIXED + r->method.n + r->target.n + r->host.n + r->protocol.n + r->fields->bytes;
    char *start = mg_buf_reserve(out, most);
    char *at = start;
    put(&at, r->method.p, r->method.n);
    PUT(&at, " ");
    put(&at, r->target.p, r->target.n);
    PUT(&at, " HTTP/1.1\r\n");
    put_field(&at, MG_STR("Host"), r->host);
    if (r->protocol.n > 0) {
        PUT(&at, "Connection: upgrade\r\n");
        put_field(&at, MG_STR("Upgrade"), r->protocol);
    }
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

void mg_h1_write_last_chunk(mg_buf *out, const mg_fields *trailers) {
    char *start = mg_buf_reserve(out, FIXED + bytes_of(trailers));
    char *at = start;
    PUT(&at, "0\r\n");
    put_fields(&at, trailers);
    PUT(&at, "\r\n");
    out->n += (size_t)(at - start);
}
