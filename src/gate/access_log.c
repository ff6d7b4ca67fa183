#include "gate/access_log.h"

#include <stdio.h>
#include <time.h>

enum { STATUS_PEER_LEFT = 499 }; // nginx's number, which log readers know

void mg_access_log_init(mg_access_log *a, mg_log *log, bool json) {
    *a = (mg_access_log){.log = log, .json = json, .second = UINT64_MAX};
}

void mg_access_log_deinit(mg_access_log *a) {
    mg_buf_deinit(&a->line);
}

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Once a second, so printf may.
static void refresh_date(mg_access_log *a, uint64_t second) {
    time_t seconds = (time_t)second;
    struct tm t;
    gmtime_r(&seconds, &t);
    int n = a->json
                ? snprintf(a->date, sizeof a->date, "%04d-%02d-%02dT%02d:%02d:%02d",
                           t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec)
                : snprintf(a->date, sizeof a->date, "%02d/%s/%04d:%02d:%02d:%02d +0000", t.tm_mday,
                           months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    a->date_n = (size_t)n;
    a->second = second;
}

// Inline, so that a literal costs a move or two.
static inline void put(mg_buf *out, mg_str s) {
    memcpy(mg_buf_reserve(out, s.n), s.p, s.n);
    out->n += s.n;
}

static inline void put_char(mg_buf *out, char c) {
    *mg_buf_reserve(out, 1) = c;
    out->n++;
}

// `v` in exactly `width` digits.
static inline void append_padded(mg_buf *out, uint64_t v, size_t width) {
    char *p = mg_buf_reserve(out, width);
    for (size_t i = width; i-- > 0; v /= 10) {
        p[i] = (char)('0' + v % 10);
    }
    out->n += width;
}

static void append_hex(mg_buf *out, uint8_t byte) {
    static const char hex[] = "0123456789ABCDEF";
    const char text[] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
    mg_buf_append(out, text, sizeof text);
}

static void append_escaped(mg_buf *out, mg_str s) {
    while (s.n > 0) {
        size_t n = mg_log_plain_ascii(s);
        put(out, (mg_str){s.p, n});
        if (n < s.n) {
            append_hex(out, (uint8_t)s.p[n++]);
        }
        s.p += n;
        s.n -= n;
    }
}

static void append_or_dash(mg_buf *out, mg_str s) {
    if (s.n == 0) {
        put_char(out, '-');
    } else {
        append_escaped(out, s);
    }
}

static void append_request_line(mg_buf *out, const mg_access_record *r) {
    append_or_dash(out, r->method);
    if (r->target.n > 0) {
        put_char(out, ' ');
        append_escaped(out, r->target);
    }
    if (r->protocol.n > 0) {
        put_char(out, ' ');
        put(out, r->protocol);
    }
}

static void format_combined(mg_access_log *a, const mg_access_record *r) {
    mg_buf *out = &a->line;
    append_or_dash(out, r->client_ip);
    put(out, MG_STR(" - - ["));
    put(out, (mg_str){a->date, a->date_n});
    put(out, MG_STR("] \""));
    append_request_line(out, r);
    put(out, MG_STR("\" "));
    append_padded(out, r->status == 0 ? STATUS_PEER_LEFT : (uint64_t)r->status, 3);
    put_char(out, ' ');
    mg_buf_append_u64(out, r->body_bytes_out);
    put(out, MG_STR(" \""));
    append_or_dash(out, r->referer);
    put(out, MG_STR("\" \""));
    append_or_dash(out, r->user_agent);
    put(out, MG_STR("\"\n"));
}

// `key` comes with its punctuation: `,"host":`.
static void append_json(mg_buf *out, mg_str key, mg_str value) {
    put(out, key);
    if (value.n == 0) {
        put(out, MG_STR("null"));
    } else {
        mg_log_append_json_string(out, value);
    }
}

static void append_seconds(mg_buf *out, uint64_t us) {
    mg_buf_append_u64(out, us / 1000000);
    put_char(out, '.');
    append_padded(out, us % 1000000, 6);
}

// `key` as above; 0: it did not come to that.
static void append_time(mg_buf *out, mg_str key, uint64_t us) {
    put(out, key);
    if (us == 0) {
        put(out, MG_STR("null"));
    } else {
        append_seconds(out, us);
    }
}

static void append_relayed(mg_buf *out, const mg_relayed *r) {
    append_json(out, MG_STR(",\"upstream\":"), r->upstream);
    append_json(out, MG_STR(",\"server\":"), r->server);
    put(out, MG_STR(",\"tries\":"));
    mg_buf_append_u64(out, r->tries);
    put(out, MG_STR(",\"upstream_status\":"));
    mg_buf_append_u64(out, (uint64_t)r->status);
    append_time(out, MG_STR(",\"connect\":"), r->connect_us);
    append_time(out, MG_STR(",\"first_byte\":"), r->first_byte_us);
    append_time(out, MG_STR(",\"total\":"), r->total_us);
    put(out, MG_STR(",\"bytes_received\":"));
    mg_buf_append_u64(out, r->bytes_in);
    put(out, MG_STR(",\"bytes_sent\":"));
    mg_buf_append_u64(out, r->bytes_out);
}

static void format_json(mg_access_log *a, const mg_access_record *r) {
    mg_buf *out = &a->line;
    put(out, MG_STR("{\"time\":\""));
    put(out, (mg_str){a->date, a->date_n});
    put_char(out, '.');
    append_padded(out, r->wall_ms % 1000, 3);
    append_json(out, MG_STR("Z\",\"client_ip\":"), r->client_ip);
    append_json(out, MG_STR(",\"method\":"), r->method);
    append_json(out, MG_STR(",\"target\":"), r->target);
    append_json(out, MG_STR(",\"host\":"), r->host);
    put(out, MG_STR(",\"status\":"));
    mg_buf_append_u64(out, (uint64_t)r->status);
    put(out, MG_STR(",\"bytes\":"));
    mg_buf_append_u64(out, r->body_bytes_out);
    put(out, MG_STR(",\"duration\":"));
    append_seconds(out, r->duration_us);
    append_json(out, MG_STR(",\"referer\":"), r->referer);
    append_json(out, MG_STR(",\"user_agent\":"), r->user_agent);
    append_json(out, MG_STR(",\"request_id\":"), r->request_id);
    append_json(out, MG_STR(",\"route\":"), r->route);
    if (r->relayed != NULL) {
        append_relayed(out, r->relayed);
    }
    put(out, r->aborted ? MG_STR(",\"aborted\":true") : MG_STR(",\"aborted\":false"));
    for (size_t i = 0; r->noted != NULL && i < r->noted->count; i++) {
        put_char(out, ',');
        mg_log_append_json_string(out, r->noted->at[i].name);
        put_char(out, ':');
        put(out, r->noted->at[i].value);
    }
    put(out, MG_STR("}\n"));
}

void mg_access_log_write(mg_access_log *a, const mg_access_record *r) {
    if (r->wall_ms / 1000 != a->second) {
        refresh_date(a, r->wall_ms / 1000);
    }
    mg_buf_clear(&a->line);
    if (a->json) {
        format_json(a, r);
    } else {
        format_combined(a, r);
    }
    mg_log_line(a->log, a->line.p, a->line.n);
}
