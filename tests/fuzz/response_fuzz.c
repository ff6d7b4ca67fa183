// The same bytes are read as the same responses, bodies included, and refused for the same reason,
// however they are split; and the framing of an accepted head is what a reading of its own of RFC
// 9112 section 6.3 says. The first byte chooses which responses answer a HEAD, the second the
// pieces.
#include "fuzz.h"
#include "response_rig.h"

static uint32_t count_of(const mg_head *h, const char *name, mg_str *value) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->fields.count; i++) {
        if (mg_str_ieq(h->fields.at[i].name, mg_str_of(name))) {
            *value = h->fields.at[i].value;
            n++;
        }
    }
    return n;
}

static bool says(const mg_head *h, const char *member) {
    for (uint32_t i = 0; i < h->fields.count; i++) {
        mg_str value = h->fields.at[i].value;
        mg_str item;
        while (mg_str_ieq(h->fields.at[i].name, MG_STR("connection")) &&
               mg_str_next_item(&value, &item)) {
            if (mg_str_ieq(item, mg_str_of(member))) {
                return true;
            }
        }
    }
    return false;
}

static mg_framing framing_of(const response_rig *r, uint64_t *length) {
    const mg_head *h = &r->response.head;
    int status = r->response.status;
    mg_str value = {0};
    mg_str coding = {0};
    uint32_t lengths = count_of(h, "content-length", &value);
    uint32_t codings = count_of(h, "transfer-encoding", &coding);
    *length = 0;
    must(lengths <= 1 && (lengths == 0 || codings == 0));
    must(codings == 0 || h->minor == 1);
    must(lengths == 0 || mg_str_to_u64(value, INT64_MAX, length));
    if (r->to_head || status < 200 || status == 204 || status == 304) {
        *length = 0;
        return MG_FRAMING_NONE;
    }
    if (codings > 0) {
        return MG_FRAMING_CHUNKED;
    }
    if (lengths > 0) {
        return *length > 0 ? MG_FRAMING_LENGTH : MG_FRAMING_NONE;
    }
    return MG_FRAMING_CLOSE;
}

static void check_line(const response_rig *r) {
    mg_str line = mg_h1_section_line(&r->reader.section, r->reader.section.bytes);
    char text[512];
    int n = snprintf(text, sizeof text, "HTTP/1.%d %03d %.*s", r->response.head.minor,
                     r->response.status, (int)r->response.reason.n, r->response.reason.p);
    bool no_space = line.n == 12;
    must((size_t)n == line.n + no_space && memcmp(text, line.p, line.n) == 0);
}

static void on_head(const response_rig *r) {
    const mg_head *h = &r->response.head;
    uint64_t length;
    must(h->framing == framing_of(r, &length));
    must(h->length == length);
    bool persists = !says(h, "close") && (h->minor == 1 || says(h, "keep-alive"));
    must(h->keep_alive == (persists && h->framing != MG_FRAMING_CLOSE));
    check_line(r);
}

static mg_refusal read_whole(mg_str input, unsigned heads, mg_buf *out) {
    response_rig r;
    response_rig_init(&r, heads, out);
    r.on_head = on_head;
    response_rig_feed(&r, input.p, input.n);
    must(!r.in.refused || r.in.content.n == 0 || r.in.in_body);
    response_rig_fin(&r);
    response_rig_deinit(&r);
    return r.in.refusal;
}

static mg_refusal read_in_pieces(mg_str input, unsigned heads, unsigned seed, mg_buf *out) {
    response_rig r;
    response_rig_init(&r, heads, out);
    size_t at = 0;
    while (at < input.n) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed % 251 == 0 ? input.n - at : 1 + (seed >> 16) % 9;
        n = n < input.n - at ? n : input.n - at;
        // A copy of its own, so that a read beyond the piece is seen.
        char *piece = malloc(n);
        must(piece != NULL);
        memcpy(piece, input.p + at, n);
        response_rig_feed(&r, piece, n);
        free(piece);
        at += n;
    }
    response_rig_fin(&r);
    response_rig_deinit(&r);
    return r.in.refusal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    mg_str input = {(const char *)data + 2, size - 2};
    mg_buf whole = {0};
    mg_buf split = {0};
    mg_refusal a = read_whole(input, data[0], &whole);
    mg_refusal b = read_in_pieces(input, data[0], data[1], &split);
    must(mg_str_eq(mg_buf_str(&whole), mg_buf_str(&split)));
    must(a.status == b.status && (a.status == 0 || strcmp(a.reason, b.reason) == 0));
    mg_buf_deinit(&whole);
    mg_buf_deinit(&split);
    return 0;
}
