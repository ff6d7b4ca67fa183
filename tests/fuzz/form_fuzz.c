// Pairs that were read, encoded again, read the same.
#include "base/codec.h"
#include "fuzz.h"
#include "http/form.h"

// Re-encodes; appends the plain pairs, with their lengths, to `plain`.
static void read_all(mg_str text, mg_buf *plain, mg_buf *encoded) {
    mg_buf scratch = {0};
    mg_str key;
    mg_str value;
    while (mg_form_next(&text, &scratch, &key, &value)) {
        mg_buf_printf(plain, "%zu,%zu:", key.n, value.n);
        mg_buf_append_str(plain, key);
        mg_buf_append_str(plain, value);
        mg_buf_append_char(encoded, '&');
        mg_percent_encode(encoded, key);
        mg_buf_append_char(encoded, '=');
        mg_percent_encode(encoded, value);
    }
    must(text.n == 0);
    mg_buf_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mg_buf plain[2] = {{0}, {0}};
    mg_buf encoded[2] = {{0}, {0}};
    read_all((mg_str){(const char *)data, size}, &plain[0], &encoded[0]);
    read_all(mg_buf_str(&encoded[0]), &plain[1], &encoded[1]);
    must(mg_str_eq(mg_buf_str(&plain[0]), mg_buf_str(&plain[1])));
    must(mg_str_eq(mg_buf_str(&encoded[0]), mg_buf_str(&encoded[1])));
    for (int i = 0; i < 2; i++) {
        mg_buf_deinit(&plain[i]);
        mg_buf_deinit(&encoded[i]);
    }
    return 0;
}
