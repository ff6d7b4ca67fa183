// Whatever the reader accepts is written again; reading that gives the same text once more. And
// every string of bytes is either refused by the writer or read back as it was; with replacements
// it is read back in any case.
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "fuzz.h"

static void write_token(mg_buf *out, const mg_json_reader *r, mg_json_token token) {
    static const char *const words[] = {
        [MG_JSON_NULL] = "null",    [MG_JSON_FALSE] = "false", [MG_JSON_TRUE] = "true",
        [MG_JSON_ARRAY] = "[",      [MG_JSON_ARRAY_END] = "]", [MG_JSON_OBJECT] = "{",
        [MG_JSON_OBJECT_END] = "}",
    };
    switch (token) {
    case MG_JSON_I64:
        mg_json_write_i64(out, r->i64);
        break;
    case MG_JSON_U64:
        mg_json_write_u64(out, r->u64);
        break;
    case MG_JSON_DOUBLE:
        must(mg_json_write_double(out, r->number) == MG_OK);
        break;
    case MG_JSON_STRING:
    case MG_JSON_KEY:
        must(mg_utf8_valid(r->text));
        must(mg_json_write_string(out, r->text) == MG_OK);
        break;
    default:
        mg_buf_append_str(out, mg_str_of(words[token]));
        break;
    }
}

static bool opens(mg_json_token token) {
    return token == MG_JSON_ARRAY || token == MG_JSON_OBJECT;
}

static bool closes(mg_json_token token) {
    return token == MG_JSON_ARRAY_END || token == MG_JSON_OBJECT_END;
}

// Appends the value in its one plain form. False if `text` is refused.
static bool rewrite(mg_buf *out, mg_str text, unsigned max_depth) {
    mg_buf decoded = {0};
    mg_json_reader r;
    mg_json_reader_init(&r, text, &decoded, max_depth);
    mg_json_token before = MG_JSON_KEY;
    mg_json_token token = mg_json_next(&r);
    while (token != MG_JSON_ERROR && token != MG_JSON_END) {
        if (before == MG_JSON_KEY && out->n > 0) {
            mg_buf_append_char(out, ':');
        } else if (before != MG_JSON_KEY && !opens(before) && !closes(token)) {
            mg_buf_append_char(out, ',');
        }
        write_token(out, &r, token);
        before = token;
        token = mg_json_next(&r);
    }
    mg_json_place place = mg_json_where(&r);
    must(place.offset <= text.n && place.line >= 1 && place.column <= place.offset + 1);
    must(token == MG_JSON_END ? place.offset == text.n : r.error != NULL);
    must(mg_json_next(&r) == token);
    mg_buf_deinit(&decoded);
    return token == MG_JSON_END;
}

static void check_document(mg_str text) {
    mg_buf once = {0};
    mg_buf twice = {0};
    if (rewrite(&once, text, MG_JSON_DEPTH_MAX)) {
        must(rewrite(&twice, mg_buf_str(&once), MG_JSON_DEPTH_MAX));
        must(mg_str_eq(mg_buf_str(&once), mg_buf_str(&twice)));
    }
    mg_buf_clear(&once);
    rewrite(&once, text, 2);
    mg_buf_deinit(&once);
    mg_buf_deinit(&twice);
}

static void check_string(mg_str bytes) {
    mg_buf text = {0};
    mg_buf decoded = {0};
    int rc = mg_json_write_string(&text, bytes);
    must((rc == MG_OK) == mg_utf8_valid(bytes));
    if (rc == MG_OK) {
        mg_json_reader r;
        mg_json_reader_init(&r, mg_buf_str(&text), &decoded, 0);
        must(mg_json_next(&r) == MG_JSON_STRING);
        must(mg_str_eq(r.text, bytes));
        must(mg_json_next(&r) == MG_JSON_END);
    } else {
        must(text.n == 0);
    }
    mg_buf_clear(&text);
    mg_json_write_replaced(&text, bytes);
    mg_json_reader r;
    mg_json_reader_init(&r, mg_buf_str(&text), &decoded, 0);
    must(mg_json_next(&r) == MG_JSON_STRING);
    must(rc != MG_OK || mg_str_eq(r.text, bytes));
    must(mg_json_next(&r) == MG_JSON_END);
    mg_buf_deinit(&decoded);
    mg_buf_deinit(&text);
}

static void check_double(mg_str bytes) {
    double v;
    if (bytes.n < sizeof v) {
        return;
    }
    memcpy(&v, bytes.p, sizeof v);
    mg_buf text = {0};
    mg_buf decoded = {0};
    if (mg_json_write_double(&text, v) == MG_OK) {
        mg_json_reader r;
        mg_json_reader_init(&r, mg_buf_str(&text), &decoded, 0);
        mg_json_token token = mg_json_next(&r);
        double got = token == MG_JSON_I64 ? (double)r.i64 : r.number;
        must(token == MG_JSON_I64 || token == MG_JSON_U64 || token == MG_JSON_DOUBLE);
        got = token == MG_JSON_U64 ? (double)r.u64 : got;
        must(memcmp(&got, &v, sizeof v) == 0);
    }
    mg_buf_deinit(&decoded);
    mg_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_str input = {(const char *)data, size};
    check_document(input);
    check_string(input);
    check_double(input);
    return 0;
}
