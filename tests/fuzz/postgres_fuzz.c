// What PostgreSQL sends, and what people write for it: an array that is taken is one JSON value;
// the statements of a file, put together, are the file but for what stands behind the last one.
#include "base/json.h"
#include "fuzz.h"
#include "store/postgres_array.h"
#include "store/postgres_migrate.h"

static void check_array(mg_str text, mg_pg_element element) {
    mg_buf json = {0};
    mg_buf decoded = {0};
    if (mg_pg_array_to_json(&json, text, element) && element != MG_PG_ELEMENT_JSON &&
        element != MG_PG_ELEMENT_NUMBER) {
        mg_json_reader r;
        mg_json_token t;
        mg_json_reader_init(&r, mg_buf_str(&json), &decoded, 0);
        must(mg_json_next(&r) == MG_JSON_ARRAY);
        while ((t = mg_json_next(&r)) != MG_JSON_END) {
            must(t != MG_JSON_ERROR);
        }
    }
    mg_buf_deinit(&json);
    mg_buf_deinit(&decoded);
}

static void check_statements(mg_str text) {
    size_t n;
    while ((n = mg_postgres_statement_bytes(text)) > 0) {
        must(n <= text.n);
        text = (mg_str){text.p + n, text.n - n};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    mg_str text = {(const char *)data + 1, size - 1};
    check_array(text, (mg_pg_element)(data[0] % 4));
    check_statements(text);
    return 0;
}
