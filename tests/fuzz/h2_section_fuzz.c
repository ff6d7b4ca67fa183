// Nothing that HTTP/1.1 refuses can be smuggled through HTTP/2: a request that the rules of HTTP/2
// let pass, written down for HTTP/1.1, is read there, as the same request. Fields are divided by
// 0xfe, a name from its value by 0xfd.
#include "fuzz.h"

#include "http/h1_read.h"
#include "http/h2_section.h"

static const mg_h2_limits limits = {
    .request_line = 8192, .header_bytes = 8192, .header_fields = 64};
// One line more: the coding of content whose length is not said.
static const mg_guard_limits h1_limits = {.first_line_bytes = 8192, .bytes = 16384, .lines = 65};

static void add_all(mg_h2_section *s, mg_str rest) {
    while (rest.n > 0) {
        const char *end = memchr(rest.p, 0xfe, rest.n);
        mg_str field = {rest.p, end != NULL ? (size_t)(end - rest.p) : rest.n};
        const char *colon = memchr(field.p, 0xfd, field.n);
        size_t name = colon != NULL ? (size_t)(colon - field.p) : field.n;
        size_t value = colon != NULL ? name + 1 : field.n;
        mg_h2_section_add(s,
                          &(mg_h2_decoded){{field.p, name}, {field.p + value, field.n - value}, 0});
        mg_str_skip(&rest, end != NULL ? field.n + 1 : field.n);
    }
}

static void write_down(mg_buf *b, const mg_head *h, bool chunked) {
    mg_buf_append_str(b, h->method_text);
    mg_buf_append_char(b, ' ');
    mg_buf_append_str(b, h->target_text);
    mg_buf_append_str(b, MG_STR(" HTTP/1.1\r\n"));
    for (uint32_t i = 0; i < h->fields.count; i++) {
        mg_buf_append_str(b, h->fields.at[i].name);
        mg_buf_append_str(b, MG_STR(": "));
        mg_buf_append_str(b, h->fields.at[i].value);
        mg_buf_append_str(b, MG_STR("\r\n"));
    }
    mg_buf_append_str(b, chunked ? MG_STR("Transfer-Encoding: chunked\r\n\r\n") : MG_STR("\r\n"));
}

static void must_be_the_same(const mg_head *a, const mg_head *b, uint32_t added) {
    must(a->method == b->method && mg_str_eq(a->target.path, b->target.path));
    must(mg_str_eq(a->target.query, b->target.query) && mg_str_eq(a->host, b->host));
    must(a->framing == b->framing && a->length == b->length);
    must(a->expect_continue == b->expect_continue);
    must(a->fields.count + added == b->fields.count);
    for (uint32_t i = 0; i < a->fields.count; i++) {
        must(a->fields.at[i].id == b->fields.at[i].id);
        must(mg_str_eq(a->fields.at[i].name, b->fields.at[i].name));
        must(mg_str_eq(a->fields.at[i].value, b->fields.at[i].value));
    }
}

static void must_pass(const mg_h2_event *e, mg_arena *arena) {
    mg_buf text = {0};
    mg_h1_reader reader;
    mg_head head;
    size_t used = 0;
    bool chunked = e->head.framing == MG_FRAMING_CHUNKED;
    write_down(&text, &e->head, chunked);
    mg_h1_reader_init(&reader, arena, &h1_limits);
    must(mg_h1_read(&reader, text.p, text.n, &used, &head) == MG_H1_HEAD);
    must(used == text.n);
    must_be_the_same(&e->head, &head, chunked);
    mg_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_arena arena = {0};
    mg_h2_section s;
    static mg_h2_event e;
    for (int end = 0; end < 2; end++) {
        e = (mg_h2_event){.end = end != 0};
        mg_h2_section_init(&s, MG_H2_REQUEST, limits.header_bytes, &arena);
        add_all(&s, (mg_str){(const char *)data, size});
        const char *fault = mg_h2_section_request(&s, &limits, &e);
        // An extended CONNECT goes on as another method (RFC 8441).
        if (fault == NULL && e.refusal.status == 0 && e.protocol.p == NULL) {
            must_pass(&e, &arena);
        }
        mg_h2_section_init(&s, MG_H2_RESPONSE, limits.header_bytes, &arena);
        add_all(&s, (mg_str){(const char *)data, size});
        mg_h2_section_response(&s, &limits, false, &e);
    }
    mg_arena_deinit(&arena);
    return 0;
}
