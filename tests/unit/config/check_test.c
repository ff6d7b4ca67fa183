#include "config/check.h"

#include "of_text.h"

static void check_of(const char *json, const char *want) {
    mg_config c;
    mg_error err = {""};
    load(&c, json);
    int rc = mg_config_check(&c, &err);
    assert_int_equal(rc, want[0] == '\0' ? MG_OK : MG_ECONFIG);
    assert_string_equal(err.text, want);
    mg_config_deinit(&c);
}

static void the_fields_of_proxies_are_a_text_or_a_list(void **state) {
    (void)state;
    check_of("{\"forwarded\":\"forwarded\"}", "");
    check_of("{\"forwarded\":[\"x-forwarded-for\",\"x-forwarded-host\"]}", "");
    check_of("{\"forwarded\":[\"forwarded\",\"x-forwarded-host\"]}",
             "/nowhere/conf/moongate.lua: forwarded: \"forwarded\" tells all: no other field is "
             "allowed beside it");
    check_of("{\"forwarded\":\"x-real-ip\"}",
             "/nowhere/conf/moongate.lua: forwarded: 'x-real-ip' is no field of proxies: allowed "
             "are \"forwarded\", "
             "\"x-forwarded-for\", \"x-forwarded-proto\" and \"x-forwarded-host\"");
    check_of("{\"forwarded\":{}}",
             "/nowhere/conf/moongate.lua: forwarded: no field is named: allowed are \"forwarded\", "
             "or some of "
             "\"x-forwarded-for\", \"x-forwarded-proto\" and \"x-forwarded-host\"");
}

static void rules_have_to_be_rules(void **state) {
    (void)state;
    check_of("{\"http\":{\"deny\":[\"private\"],\"allow\":[\"10.0.0.1\"]}}", "");
    mg_config c;
    mg_error err = {""};
    load(&c, "{\"http\":{\"deny\":[\"10.0.0.0/99\"]}}");
    assert_int_equal(mg_config_check(&c, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, FILE_NAME ": http.deny, http.allow: "));
    mg_config_deinit(&c);
}

static void certificates_have_to_be_there(void **state) {
    (void)state;
    check_of("{\"http\":{\"ca\":\"/etc/passwd\"}}", ""); // its content is judged elsewhere
    check_of("{\"http\":{\"ca\":\"/nowhere/ca.pem\"}}",
             FILE_NAME ": http.ca: /nowhere/ca.pem: No such file or directory");
    check_of("{\"upstreams\":{\"bank\":{\"servers\":[\"https://a\"],\"tls\":{\"ca\":\"ca.pem\"}}}}",
             FILE_NAME ": upstreams.bank.tls.ca: /nowhere/ca.pem: No such file or directory");
    check_of(
        "{\"upstreams\":{\"bank\":{\"servers\":[\"https://a\"],\"tls\":{\"cert\":\"/etc/passwd\","
        "\"key\":\"a.key\"}}}}",
        FILE_NAME ": upstreams.bank.tls.key: /nowhere/a.key: No such file or directory");
}

static const char *doubt_of(const char *json, uint32_t workers) {
    mg_config c;
    load(&c, json);
    const char *text = mg_config_doubt(&c, workers);
    mg_config_deinit(&c);
    return text;
}

static void a_database_in_memory_is_no_shared_one(void **state) {
    (void)state;
    assert_null(doubt_of("{\"database\":\"sqlite::memory:\"}", 1));
#define ACME(more) "{\"address\":\":1\",\"tls\":{\"acme\":{\"domains\":[\"a.test\"]" more "}}}"
    assert_non_null(strstr(doubt_of("{\"listen\":[" ACME("") "]}", 1), "is without tls"));
    assert_null(doubt_of("{\"listen\":[" ACME("") ",\":2\"]}", 1));
    assert_null(doubt_of("{\"listen\":[" ACME(",\"challenge\":\"tls-alpn-01\"") "]}", 1));
    assert_null(doubt_of("{\"database\":\"sqlite:x.db\"}", 2));
    assert_non_null(strstr(doubt_of("{\"database\":\"sqlite::memory:\"}", 2), "database: "));
}

static void a_hash_that_nobody_asks_for_is_told(void **state) {
    (void)state;
#define HASHED(more)                                                                               \
    "{\"upstreams\":{\"shop\":{\"servers\":[\"http://a\"],\"hash\":\"ip\"" more "}}}"
    assert_null(doubt_of(HASHED(""), 1));
    assert_null(doubt_of(HASHED(",\"balance\":\"hash\""), 1));
    assert_non_null(strstr(doubt_of(HASHED(",\"balance\":\"p2c\""), 1), "hash is unused"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fields_of_proxies_are_a_text_or_a_list),
        cmocka_unit_test(rules_have_to_be_rules),
        cmocka_unit_test(certificates_have_to_be_there),
        cmocka_unit_test(a_database_in_memory_is_no_shared_one),
        cmocka_unit_test(a_hash_that_nobody_asks_for_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
