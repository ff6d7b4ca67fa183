// A form gives the same events whole and in pieces; and what was read, written again, reads the
// same. The first byte: the size of the pieces, and whether the first line is the content type.
#include "fuzz.h"
#include "http/multipart.h"

#define TYPE "multipart/form-data; boundary=b"

// Events as a body with the boundary "b", which is a form again.
typedef struct writer {
    mg_buf body;
    size_t longest_header;
} writer;

static void append_quoted(mg_buf *out, mg_str s) {
    mg_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            mg_buf_append_char(out, '\\');
        }
        mg_buf_append_char(out, s.p[i]);
    }
    mg_buf_append_char(out, '"');
}

static void on_part(void *arg, const mg_part *part) {
    writer *w = arg;
    mg_buf_append_str(&w->body, MG_STR("--b\r\n"));
    size_t start = w->body.n;
    mg_buf_append_str(&w->body, MG_STR("Content-Disposition: form-data; name="));
    append_quoted(&w->body, part->name);
    if (part->has_filename) {
        mg_buf_append_str(&w->body, MG_STR("; filename="));
        append_quoted(&w->body, part->filename);
    }
    mg_buf_append_str(&w->body, MG_STR("\r\nContent-Type: "));
    mg_buf_append_str(&w->body, part->content_type);
    if (part->transfer_encoding.p != NULL) {
        mg_buf_append_str(&w->body, MG_STR("\r\nContent-Transfer-Encoding: "));
        mg_buf_append_str(&w->body, part->transfer_encoding);
    }
    mg_buf_append_str(&w->body, MG_STR("\r\n\r\n"));
    size_t n = w->body.n - start;
    w->longest_header = n > w->longest_header ? n : w->longest_header;
}

static void on_data(void *arg, mg_str piece) {
    must(piece.n > 0);
    mg_buf_append_str(&((writer *)arg)->body, piece);
}

static void on_part_end(void *arg) {
    mg_buf_append_str(&((writer *)arg)->body, MG_STR("\r\n"));
}

// The code, and its text.
typedef struct verdict {
    int rc;
    const char *error;
} verdict;

static verdict parse(mg_str type, mg_str body, size_t piece, writer *w) {
    static const mg_multipart_events events = {on_part, on_data, on_part_end};
    mg_multipart m;
    int rc = mg_multipart_init(&m, type, &events, w);
    for (size_t at = 0; rc == MG_OK && at < body.n; at += piece) {
        size_t n = body.n - at < piece ? body.n - at : piece;
        rc = mg_multipart_feed(&m, (mg_str){body.p + at, n});
    }
    rc = rc == MG_OK ? mg_multipart_finish(&m) : rc;
    must((rc == MG_OK) == (m.error == NULL));
    verdict v = {rc, m.error};
    mg_multipart_deinit(&m);
    return v;
}

static void check_written(writer *first) {
    writer again = {0};
    mg_buf_append_str(&first->body, MG_STR("--b--"));
    must(parse(MG_STR(TYPE), mg_buf_str(&first->body), SIZE_MAX / 2, &again).rc == MG_OK);
    mg_buf_append_str(&again.body, MG_STR("--b--"));
    must(mg_str_eq(mg_buf_str(&first->body), mg_buf_str(&again.body)));
    mg_buf_deinit(&again.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_str body = {(const char *)data + 1, size - 1};
    mg_str type = MG_STR(TYPE);
    const char *line_end = memchr(body.p, '\n', body.n);
    bool own_type = (data[0] & 0x80) != 0 && line_end != NULL;
    if (own_type) {
        type = (mg_str){body.p, (size_t)(line_end - body.p)};
        body = (mg_str){line_end + 1, body.n - type.n - 1};
    }
    writer whole = {0};
    writer pieces = {0};
    verdict a = parse(type, body, SIZE_MAX / 2, &whole);
    verdict b = parse(type, body, (size_t)(data[0] & 0x7f) + 1, &pieces);
    must(a.rc == b.rc && a.error == b.error);
    must(mg_str_eq(mg_buf_str(&whole.body), mg_buf_str(&pieces.body)));
    // Quoting may lengthen a header beyond its limit, and content may hold the boundary "b".
    if (a.rc == MG_OK && !own_type && whole.longest_header <= MG_MULTIPART_HEADER_BYTES) {
        check_written(&whole);
    }
    mg_buf_deinit(&whole.body);
    mg_buf_deinit(&pieces.body);
    return 0;
}
