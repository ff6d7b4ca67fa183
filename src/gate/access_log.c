#include "gate/access_log.h"

#include "base/mem.h"

#include <stdio.h>
#include <time.h>

static mg_access_field_put own_field(mg_str name);

enum { STATUS_PEER_LEFT = 499 }; // nginx's number, which log readers know

void mg_access_log_init(mg_access_log *a, mg_log *log, bool json) {
    *a = (mg_access_log){.log = log, .json = json, .second = UINT64_MAX};
}

void mg_access_log_choose(mg_access_log *a, const mg_texts *names) {
    if (names->n == 0) {
        return;
    }
    a->chosen = mg_calloc(names->n, sizeof *a->chosen);
    a->chosen_count = names->n;
    for (size_t i = 0; i < names->n; i++) {
        char *name = mg_strdup(names->items[i]);
        a->chosen[i] = (mg_access_field){mg_str_of(name), own_field(mg_str_of(name))};
    }
}

void mg_access_log_deinit(mg_access_log *a) {
    for (size_t i = 0; i < a->chosen_count; i++) {
        mg_free((void *)(uintptr_t)a->chosen[i].name.p);
    }
    mg_free(a->chosen);
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

// `key` comes with its punctuation: `"host":`.
static inline void append_json(mg_buf *out, mg_str key, mg_str value) {
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

static void append_number(mg_buf *out, mg_str key, uint64_t v) {
    put(out, key);
    mg_buf_append_u64(out, v);
}

static void append_code(mg_buf *out, mg_str key, int status) {
    append_number(out, key, (uint64_t)status);
}

static void append_answer(mg_buf *out, mg_str key, int status) {
    if (status > 0) {
        append_code(out, key, status);
    } else { // nobody answered
        put(out, key);
        put(out, MG_STR("null"));
    }
}

// --- each field of the JSON form: `,"name":value`, or nothing ---

static void put_time(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {
    put(out, MG_STR(",\"time\":\""));
    put(out, (mg_str){a->date, a->date_n});
    put_char(out, '.');
    append_padded(out, r->wall_ms % 1000, 3);
    put(out, MG_STR("Z\""));
}

static void put_duration(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {
    (void)a;
    put(out, MG_STR(",\"duration\":"));
    append_seconds(out, r->duration_us);
}

static void put_aborted(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {
    (void)a;
    put(out, r->aborted ? MG_STR(",\"aborted\":true") : MG_STR(",\"aborted\":false"));
}

// Those of `r`, and those of an answer that another server gave.
#define FIELD(name, append, member)                                                                \
    static void put_##name(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {       \
        (void)a;                                                                                   \
        append(out, MG_STR(",\"" #name "\":"), r->member);                                         \
    }
#define RELAYED(name, append, member)                                                              \
    static void put_##name(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {       \
        (void)a;                                                                                   \
        if (r->relayed != NULL) {                                                                  \
            append(out, MG_STR(",\"" #name "\":"), r->relayed->member);                            \
        }                                                                                          \
    }
FIELD(client_ip, append_json, client_ip)
FIELD(method, append_json, method)
FIELD(target, append_json, target)
FIELD(host, append_json, host)
FIELD(status, append_code, status)
FIELD(bytes, append_number, body_bytes_out)
FIELD(referer, append_json, referer)
FIELD(user_agent, append_json, user_agent)
FIELD(request_id, append_json, request_id)
FIELD(route, append_json, route)
RELAYED(upstream, append_json, upstream)
RELAYED(server, append_json, server)
RELAYED(tries, append_number, tries)
RELAYED(upstream_status, append_answer, status)
RELAYED(connect, append_time, connect_us)
RELAYED(first_byte, append_time, first_byte_us)
RELAYED(total, append_time, total_us)
RELAYED(bytes_received, append_number, bytes_in)
RELAYED(bytes_sent, append_number, bytes_out)
#undef FIELD
#undef RELAYED

static void put_tls(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {
    (void)a;
    if (r->tls.n > 0) {
        append_json(out, MG_STR(",\"tls\":"), r->tls);
    }
}

// In the order in which they are written unless `log.fields` says another.
static const struct {
    mg_str name;
    mg_access_field_put put;
} own_fields[] = {
#define ROW(name)                                                                                  \
    { {#name, sizeof #name - 1}, put_##name }
    ROW(time),
    ROW(client_ip),
    ROW(method),
    ROW(target),
    ROW(host),
    ROW(tls),
    ROW(status),
    ROW(bytes),
    ROW(duration),
    ROW(referer),
    ROW(user_agent),
    ROW(request_id),
    ROW(route),
    ROW(upstream),
    ROW(server),
    ROW(tries),
    ROW(upstream_status),
    ROW(connect),
    ROW(first_byte),
    ROW(total),
    ROW(bytes_received),
    ROW(bytes_sent),
    ROW(aborted),
#undef ROW
};

enum { OWN_FIELDS = sizeof own_fields / sizeof own_fields[0] };

static mg_access_field_put own_field(mg_str name) {
    for (size_t i = 0; i < OWN_FIELDS; i++) {
        if (mg_str_eq(own_fields[i].name, name)) {
            return own_fields[i].put;
        }
    }
    return NULL;
}

static void put_noted(mg_buf *out, const mg_field *f) {
    put_char(out, ',');
    mg_log_append_json_string(out, f->name);
    put_char(out, ':');
    put(out, f->value);
}

static void put_all(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {
    for (size_t i = 0; i < OWN_FIELDS; i++) {
        own_fields[i].put(a, out, r);
    }
    for (size_t i = 0; r->noted != NULL && i < r->noted->count; i++) {
        if (own_field(r->noted->at[i].name) == NULL) { // else the line would have it twice
            put_noted(out, &r->noted->at[i]);
        }
    }
}

// What a request has not noted is left out.
static void put_chosen(const mg_access_log *a, mg_buf *out, const mg_access_record *r) {
    for (size_t i = 0; i < a->chosen_count; i++) {
        const mg_access_field *f = &a->chosen[i];
        const mg_field *noted =
            f->put == NULL && r->noted != NULL ? mg_fields_find_name(r->noted, f->name) : NULL;
        if (f->put != NULL) {
            f->put(a, out, r);
        } else if (noted != NULL) {
            put_noted(out, noted);
        }
    }
}

static void format_json(mg_access_log *a, const mg_access_record *r) {
    mg_buf *out = &a->line;
    (a->chosen_count > 0 ? put_chosen : put_all)(a, out, r);
    if (out->n == 0) {
        put_char(out, ',');
    }
    out->p[0] = '{'; // in place of the first comma
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
