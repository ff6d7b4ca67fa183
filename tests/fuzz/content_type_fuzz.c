// Parameters that were read, written with quotes, read the same.
#include "fuzz.h"
#include "http/content_type.h"

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

static void rewrite(mg_str text, mg_buf *out) {
    mg_buf scratch = {0};
    mg_str params;
    mg_str name;
    mg_str value;
    mg_str type = mg_media_type(text, &params);
    must(type.n == 0 || memchr(type.p, ';', type.n) == NULL);
    mg_buf_append_str(out, type);
    while (mg_param_next(&params, &name, &value, &scratch)) {
        must(mg_str_is_token(name));
        mg_buf_append_char(out, ';');
        mg_buf_append_str(out, name);
        mg_buf_append_char(out, '=');
        append_quoted(out, value);
    }
    mg_buf_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_buf first = {0};
    mg_buf second = {0};
    rewrite((mg_str){(const char *)data, size}, &first);
    rewrite(mg_buf_str(&first), &second);
    must(mg_str_eq(mg_buf_str(&first), mg_buf_str(&second)));
    mg_buf_deinit(&first);
    mg_buf_deinit(&second);
    return 0;
}
