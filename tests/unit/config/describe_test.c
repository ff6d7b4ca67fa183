#include "config/describe.h"

#include "unit.h"

#include "base/json.h"
#include "config/schema.h"

static mg_buf text;

static void assert_has(const char *piece) {
    if (memmem(text.p, text.n, piece, strlen(piece)) == NULL) {
        fail_msg("%s is not in %.*s", piece, (int)text.n, text.p);
    }
}

static void each_setting_is_told_with_its_default_and_bounds(void **state) {
    (void)state;
    mg_config_describe(&text);
    assert_has(
        "{\"path\":\"limits.body\",\"default\":\"\\\"16M\\\"\",\"allowed\":\"a size from 0 to 1T\","
        "\"about\":\"The request's body; beyond it 413; a route may set its own\"}");
    assert_has("{\"path\":\"scripts\",\"default\":\"{ \\\".\\\" }\"");
    assert_has("{\"path\":\"listen[].mode\"");
    assert_has("{\"path\":\"listen[].tls.minimum\",\"default\":\"\\\"1.2\\\"\"");
    assert_has("{\"path\":\"listen[].tls.acme.domains\"");
    assert_has("{\"path\":\"upstreams.*.servers[].url\"");
    assert_has("{\"path\":\"limits\",\"about\":");
    mg_buf_deinit(&text);
}

static void it_is_json_and_leaves_nothing_out(void **state) {
    (void)state;
    mg_json_reader r;
    mg_buf decoded = {0};
    size_t paths = 0;
    size_t keys = 0;
    mg_config_describe(&text);
    mg_json_reader_init(&r, mg_buf_str(&text), &decoded, 0);
    mg_json_token t;
    while ((t = mg_json_next(&r)) != MG_JSON_END) {
        assert_int_not_equal(t, MG_JSON_ERROR);
        paths += t == MG_JSON_KEY && mg_str_eq(r.text, MG_STR("path"));
    }
    for (size_t i = 0; i < mg_config_key_count; i++) {
        keys += mg_config_keys[i].kind != MG_CONFIG_RESERVED;
    }
    assert_true(paths > keys); // those of an item of `listen` besides
    mg_buf_deinit(&decoded);
    mg_buf_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_setting_is_told_with_its_default_and_bounds),
        cmocka_unit_test(it_is_json_and_leaves_nothing_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
