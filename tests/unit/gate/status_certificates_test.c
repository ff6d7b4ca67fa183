#include "gate/status_certificates.h"

#include "unit.h"

static void said(const char *json, const char *want) {
    mg_json_reader r;
    mg_buf decoded = {0};
    mg_buf out = {0};
    mg_json_reader_init(&r, mg_str_of(json), &decoded, 0);
    assert_int_equal(mg_json_next(&r), MG_JSON_OBJECT);
    mg_status_read_certificate(&r, &out);
    assert_int_equal(mg_json_next(&r), MG_JSON_END);
    assert_text(want, mg_buf_str(&out));
    mg_buf_deinit(&decoded);
    mg_buf_deinit(&out);
}

static void states_become_a_list(void **state) {
    (void)state;
    static const char *const states[] = {"{\"domain\":\"a\"}", "{\"domain\":\"b\"}"};
    mg_buf out = {0};
    mg_status_append_certificates(states, 0, &out);
    assert_int_equal(out.n, 0);
    mg_status_append_certificates(states, 2, &out);
    assert_text(",\"certificates\":[{\"domain\":\"a\"},{\"domain\":\"b\"}]", mg_buf_str(&out));
    mg_buf_deinit(&out);
}

static void a_good_one_tells_its_times(void **state) {
    (void)state;
    said("{\"domain\":\"a.test\",\"not_after\":1767398400,\"renew_at\":1767312000}",
         "\ncertificate a.test: until 2026-01-03 00:00:00 UTC, renewed 2026-01-02 00:00:00 UTC\n");
}

static void a_fault_is_told_besides(void **state) {
    (void)state;
    said("{\"domain\":\"a.test\",\"error\":\"no\\u006ee\",\"retry_at\":1767398400}",
         "\ncertificate a.test: none yet, a self-signed one is served\n"
         "  none; tried again 2026-01-03 00:00:00 UTC\n");
    said("{\"domain\":\"a\",\"not_after\":1,\"error\":\"another server asks\",\"retry_at\":2}",
         "\ncertificate a: until 1970-01-01 00:00:01 UTC\n"
         "  another server asks; tried again 1970-01-01 00:00:02 UTC\n");
    said("{\"domain\":\"a\",\"not_after\":1,\"renew_at\":1e300,\"retry_at\":-5,\"error\":\"x\"}",
         "\ncertificate a: until 1970-01-01 00:00:01 UTC, renewed 9999-12-31 23:59:59 UTC\n"
         "  x; tried again 1970-01-01 00:00:00 UTC\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_become_a_list),
        cmocka_unit_test(a_good_one_tells_its_times),
        cmocka_unit_test(a_fault_is_told_besides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
