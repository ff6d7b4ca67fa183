// The same bytes are read as the same requests, and refused for the same reason, however they are
// split; and an accepted head is what a reader that knows nothing but lines makes of it. The first
// byte chooses the pieces.
#include "fuzz.h"
#include "h1_rig.h"

enum { FIELDS = 16 }; // more than the rig's limit

// A head, cut at every CRLF.
typedef struct naive {
    mg_str line;
    mg_field fields[FIELDS];
    uint32_t count;
    bool sound;
} naive;

static mg_str take_line(mg_str *rest) {
    const char *end = memmem(rest->p, rest->n, "\r\n", 2);
    must(end != NULL);
    mg_str line = {rest->p, (size_t)(end - rest->p)};
    *rest = (mg_str){end + 2, rest->n - line.n - 2};
    return line;
}

static bool is_text(mg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static naive cut(mg_str raw) {
    naive h = {.line = take_line(&raw), .sound = true};
    for (mg_str line = take_line(&raw); line.n > 0; line = take_line(&raw)) {
        const char *colon = memchr(line.p, ':', line.n);
        mg_str name = {line.p, colon != NULL ? (size_t)(colon - line.p) : 0};
        mg_str value = colon != NULL ? (mg_str){colon + 1, line.n - name.n - 1} : line;
        h.sound &= mg_str_is_token(name) && is_text(value);
        must(h.count < FIELDS);
        h.fields[h.count++] = mg_field_of(name, mg_str_trim(value));
    }
    return h;
}

static uint32_t count_of(const naive *h, const char *name) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        n += mg_str_ieq(h->fields[i].name, mg_str_of(name));
    }
    return n;
}

static bool is_length(const naive *h, uint64_t *length) {
    for (uint32_t i = 0; i < h->count; i++) {
        if (mg_str_ieq(h->fields[i].name, MG_STR("content-length"))) {
            return mg_str_to_u64(h->fields[i].value, INT64_MAX, length);
        }
    }
    return false;
}

static bool only_chunked(const naive *h) {
    uint32_t members = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        mg_str value = h->fields[i].value;
        mg_str item;
        while (mg_str_ieq(h->fields[i].name, MG_STR("transfer-encoding")) &&
               mg_str_next_item(&value, &item)) {
            members += mg_str_ieq(item, MG_STR("chunked")) ? 1 : 2;
        }
    }
    return members == 1;
}

// Of two hosts the target's is the one that all read.
static mg_str value_of(const mg_field *f, const mg_head *h) {
    bool replaced = h->target.form == MG_TARGET_ABSOLUTE && mg_str_ieq(f->name, MG_STR("host"));
    return replaced ? h->target.authority : f->value;
}

static void check_fields(const naive *want, const mg_head *h) {
    must(want->sound);
    must(h->fields.count == want->count);
    for (uint32_t i = 0; i < want->count; i++) {
        must(mg_str_eq(h->fields.at[i].name, want->fields[i].name));
        must(mg_str_eq(h->fields.at[i].value, value_of(&want->fields[i], h)));
    }
}

static void check_framing(const naive *want, const mg_head *h) {
    uint32_t lengths = count_of(want, "content-length");
    uint32_t codings = count_of(want, "transfer-encoding");
    uint64_t length = 0;
    must(lengths <= 1 && (lengths == 0 || codings == 0));
    must(lengths == 0 || is_length(want, &length));
    must(h->length == length);
    must(codings == 0 || (h->minor == 1 && only_chunked(want)));
    must((codings > 0) == (h->framing == MG_FRAMING_CHUNKED));
    must((length > 0) == (h->framing == MG_FRAMING_LENGTH));
    uint32_t hosts = count_of(want, "host");
    must(hosts == 1 || (hosts == 0 && h->minor == 0));
}

static void check_line(mg_str line, const mg_head *h) {
    char text[512];
    int n = snprintf(text, sizeof text, "%.*s %.*s HTTP/1.%d", (int)h->method_text.n,
                     h->method_text.p, (int)h->target_text.n, h->target_text.p, h->minor);
    must((size_t)n == line.n && memcmp(text, line.p, line.n) == 0);
    must(mg_str_is_token(h->method_text) && h->method == mg_method_of(h->method_text));
}

static void on_verdict(const h1_rig *r) {
    const mg_h1_reader *reader = &r->reader;
    bool of_fields = r->refused && strcmp(r->refusal.reason, "a header field is malformed") == 0;
    if (r->refused && !of_fields) {
        return;
    }
    uint64_t length;
    size_t first = reader->section.guard.first;
    mg_str raw = {reader->section.bytes + first, reader->section.n - first};
    naive want = cut(raw);
    if (of_fields) {
        // Nothing that the grammar allows is refused.
        must(!want.sound || (count_of(&want, "content-length") > 0 && !is_length(&want, &length)));
        return;
    }
    check_line(want.line, &r->head);
    check_fields(&want, &r->head);
    check_framing(&want, &r->head);
}

static mg_refusal read_whole(mg_str input, mg_buf *out) {
    h1_rig r;
    rig_init(&r, out);
    r.on_verdict = on_verdict;
    rig_feed(&r, input.p, input.n);
    rig_deinit(&r);
    return r.refusal;
}

static mg_refusal read_in_pieces(mg_str input, unsigned seed, mg_buf *out) {
    h1_rig r;
    rig_init(&r, out);
    size_t at = 0;
    while (at < input.n) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed % 251 == 0 ? input.n - at : 1 + (seed >> 16) % 9;
        n = n < input.n - at ? n : input.n - at;
        // A copy of its own, so that a read beyond the piece is seen.
        char *piece = malloc(n);
        must(piece != NULL);
        memcpy(piece, input.p + at, n);
        rig_feed(&r, piece, n);
        free(piece);
        at += n;
    }
    rig_deinit(&r);
    return r.refusal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_str input = {(const char *)data + 1, size - 1};
    mg_buf whole = {0};
    mg_buf split = {0};
    mg_refusal a = read_whole(input, &whole);
    mg_refusal b = read_in_pieces(input, data[0], &split);
    must(mg_str_eq(mg_buf_str(&whole), mg_buf_str(&split)));
    must(a.status == b.status && (a.status == 0 || strcmp(a.reason, b.reason) == 0));
    mg_buf_deinit(&whole);
    mg_buf_deinit(&split);
    return 0;
}
