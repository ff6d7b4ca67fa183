#include "config/options.h"

#include "of_text.h"

#include "base/buf.h"
#include "http/forwarded.h"

static void server_options_are_filled(void **state) {
    (void)state;
    mg_config c;
    load(&c, "{\"limits\":{\"body\":\"1T\"},\"timeouts\":{\"linger\":0.5}}");
    mg_server_options o;
    mg_config_server_options(&c, &o);
    assert_int_equal(o.request_line_bytes, 8192);
    assert_int_equal(o.header_bytes, 32768);
    assert_int_equal(o.header_fields, 100);
    assert_int_equal(o.chunk_extension_bytes, 16384);
    assert_int_equal(o.trailer_bytes, 16384);
    assert_true(o.body_bytes == (uint64_t)1 << 40);
    assert_int_equal(o.body_rate, 500);
    assert_int_equal(o.answer_rate, 500);
    assert_int_equal(o.output_bytes, 256 << 20);
    assert_int_equal(o.input_bytes, 256 << 20);
    assert_int_equal(o.discard_bytes, 256 << 10);
    assert_int_equal(o.pipeline_bytes, 64 << 10);
    assert_int_equal(o.requests_per_connection, 10000);
    assert_int_equal(mg_config_descriptors(&c, 1000), 950);
    assert_int_equal(o.header_ms, 10000);
    assert_int_equal(o.body_grace_ms, 20000);
    assert_int_equal(o.send_ms, 60000);
    assert_int_equal(o.handler_ms, 30000);
    assert_int_equal(o.idle_ms, 75000);
    assert_int_equal(o.half_close_ms, 1000);
    assert_int_equal(o.linger_ms, 500);
    assert_null(o.trust);
    assert_int_equal(mg_config_descriptors(&c, UINT64_MAX), UINT32_MAX); // RLIM_INFINITY
    mg_config_deinit(&c);

    load(&c, "{\"limits\":{\"descriptors\":500}}");
    assert_int_equal(mg_config_descriptors(&c, 1000), 500);
    assert_int_equal(mg_config_descriptors(&c, 100), 100);
    mg_config_deinit(&c);
}

static void server_options_come_straight_from_json(void **state) {
    (void)state;
    mg_server_options o;
    mg_config_limits limits;
    mg_error err;
    assert_int_equal(
        mg_config_server_options_of_json("{\"timeouts\":{\"idle\":2}}", &o, &limits, &err), MG_OK);
    assert_int_equal(o.idle_ms, 2000);
    assert_int_equal(limits.outbox, 256 * 1024);
    assert_int_equal(mg_config_server_options_of_json("{\"workers\":-1}", &o, &limits, &err),
                     MG_ECONFIG);
    assert_non_null(strstr(err.text, "workers: is -1"));
}

static void so_many_workers_are_wanted(void **state) {
    mg_config c;
    (void)state;
    load(&c, "{\"workers\":3}");
    assert_int_equal(mg_config_workers(&c), 3);
    mg_config_deinit(&c);
    load(&c, "{\"workers\":0}"); // one, without a master
    assert_int_equal(mg_config_workers(&c), 1);
    mg_config_deinit(&c);
    load(&c, "{}");
    assert_true(mg_config_workers(&c) >= 1);
    assert_true(mg_config_workers(&c) <= MG_CONFIG_WORKERS_MAX);
    mg_config_deinit(&c);
}

static void rules_are_what_the_client_wants(void **state) {
    mg_config c;
    mg_buf text = {0};
    (void)state;
    load(&c, "{\"http\":{\"deny\":[\"private\"],\"allow\":[\"10.1.0.0/16\"]}}");
    mg_config_append_rules(&c, &text);
    assert_non_null(memmem(text.p, text.n, "private", 7));
    assert_non_null(memmem(text.p, text.n, "10.1.0.0/16", 11));
    mg_buf_deinit(&text);
    mg_config_deinit(&c);
}

// What may be asked if proxy.open says so: nothing private but what http.allow names.
static void assert_open(const char *json, const char *want) {
    mg_config c;
    mg_arena a = {0};
    load(&c, json);
    mg_upstreams_options all = mg_config_upstreams(&c, &a);
    if (want == NULL) {
        assert_null(all.open);
    } else {
        assert_string_equal(all.open->name, MG_UPSTREAM_OPEN);
        assert_true(all.open->timeouts.connect_ms > 0);
        assert_int_equal(all.open->rules.n, strlen(want));
        for (size_t i = 0; i < all.open->rules.n; i++) { // a space for each NUL
            char have = all.open->rules.p[i];
            assert_int_equal(have == '\0' ? ' ' : have, want[i]);
        }
    }
    mg_arena_deinit(&a);
    mg_config_deinit(&c);
}

static void servers_without_a_name_are_public_ones(void **state) {
    (void)state;
    assert_open("{}", NULL);
    assert_open("{\"proxy\":{\"open\":false}}", NULL);
    assert_open("{\"proxy\":{\"open\":true}}", "-private ");
    assert_open("{\"proxy\":{\"open\":true},\"http\":{\"deny\":[\"1.2.3.0/24\"]}}",
                "-private -1.2.3.0/24 ");
    assert_open("{\"proxy\":{\"open\":true},\"http\":{\"allow\":[\"10.1.0.0/16\"]}}",
                "+10.1.0.0/16 ");
    assert_open("{\"proxy\":{\"open\":true},"
                "\"http\":{\"deny\":[\"all\"],\"allow\":[\"10.1.0.0/16\"]}}",
                "-private -all +10.1.0.0/16 ");
}

static void proxies_are_believed_or_refused(void **state) {
    mg_config c;
    mg_trust *trust = NULL;
    mg_error err;
    (void)state;
    load(&c, "{\"trusted_proxies\":[\"10.0.0.0/8\",\"unix\"]}");
    assert_int_equal(mg_config_trust(&c, &trust, &err), MG_OK);
    mg_trust_free(trust);
    mg_config_deinit(&c);
    load(&c, "{\"trusted_proxies\":[\"everybody\"]}");
    assert_int_equal(mg_config_trust(&c, &trust, &err), MG_ECONFIG);
    assert_non_null(strstr(err.text, FILE_NAME ": trusted_proxies: "));
    mg_config_deinit(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_options_are_filled),
        cmocka_unit_test(server_options_come_straight_from_json),
        cmocka_unit_test(so_many_workers_are_wanted),
        cmocka_unit_test(rules_are_what_the_client_wants),
        cmocka_unit_test(servers_without_a_name_are_public_ones),
        cmocka_unit_test(proxies_are_believed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
