#include "config/endpoint.h"

#include "unit.h"

#define AN_ITEM                                                                                    \
    "allowed: an address as \"0.0.0.0:8080\", \"[::]:8080\", \"unix:run/x.sock\", or a table "     \
    "as { address = \"unix:run/x.sock\", mode = \"0660\" }\n"

static mg_config c;

static void load(const char *json) {
    mg_buf faults = {0};
    if (mg_config_init(&c, "/nowhere/conf/f", mg_str_of(json), &faults) != MG_OK) {
        fail_msg("%.*s", (int)faults.n, faults.p);
    }
    mg_buf_deinit(&faults);
}

// `want` is the whole text of the faults of a file whose `listen` is that list.
static void faults(const char *list, const char *want) {
    mg_config bad;
    mg_buf text = {0};
    mg_buf json = {0};
    mg_buf_printf(&json, "{\"listen\":%s}", list);
    assert_int_equal(mg_config_init(&bad, "f", mg_buf_str(&json), &text), MG_ECONFIG);
    assert_text(want, mg_buf_str(&text));
    mg_buf_deinit(&text);
    mg_buf_deinit(&json);
    mg_config_deinit(&bad);
}

static void an_address_alone_has_the_defaults(void **state) {
    (void)state;
    load("{\"listen\":[\":1\"]}");
    const mg_endpoint *e = &c.listen.items[0];
    assert_string_equal(e->address, ":1");
    assert_int_equal(e->app, MG_APP_MAIN);
    assert_int_equal(e->mode, MG_MODE_ANY);
    assert_null(e->tls);
    mg_config_deinit(&c);
}

static void a_table_says_more(void **state) {
    (void)state;
    load("{\"listen\":[{\"address\":\":1\"},"
         "{\"mode\":\"0660\",\"address\":\"unix:run/x.sock\",\"app\":\"main\"},"
         "{\"address\":\"unix:/y\",\"mode\":\"700\"},{\"address\":\"unix:/z\",\"mode\":false}]}");
    assert_int_equal(c.listen.n, 4);
    assert_string_equal(c.listen.items[0].address, ":1");
    assert_string_equal(c.listen.items[1].address, "unix:/nowhere/run/x.sock");
    assert_int_equal(c.listen.items[1].mode, 0660);
    assert_int_equal(c.listen.items[2].mode, 0700);
    assert_int_equal(c.listen.items[3].mode, MG_MODE_ANY);
    mg_config_deinit(&c);
}

static void what_is_not_there_yet_is_refused(void **state) {
    (void)state;
    faults("[\":1\",{\"address\":\":2\",\"http2\":1}]",
           "f: listen[2].http2: is 1, allowed: true or false\n");
    faults("[{\"address\":\":2\",\"app\":\"admin\"}]",
           "f: listen[1].app: is \"admin\", allowed: \"main\"\n");
}

#define NETWORKS "allowed: a list of networks as { \"10.0.0.0/8\", \"unix\" }, or false\n"

static void proxies_are_networks(void **state) {
    (void)state;
    load("{\"listen\":[{\"address\":\":1\",\"proxy_protocol\":[\"10.0.0.0/8\",\"unix\"]},"
         "{\"address\":\":2\",\"proxy_protocol\":false},{\"address\":\":3\"}]}");
    assert_int_equal(c.listen.items[0].proxies.n, 2);
    assert_string_equal(c.listen.items[0].proxies.items[1], "unix");
    assert_int_equal(c.listen.items[1].proxies.n, 0);
    assert_int_equal(c.listen.items[2].proxies.n, 0);
    mg_config_deinit(&c);
    faults("[{\"address\":\":1\",\"proxy_protocol\":true}]",
           "f: listen[1].proxy_protocol: is true, " NETWORKS);
    faults("[{\"address\":\":1\",\"proxy_protocol\":[]}]",
           "f: listen[1].proxy_protocol: is empty, allowed: a list of networks as { "
           "\"10.0.0.0/8\" }, or false\n");
    faults("[{\"address\":\":1\",\"proxy_protocol\":[\"lb.internal\"]}]",
           "f: listen[1].proxy_protocol[1]: 'lb.internal' is no network: allowed are such as "
           "\"10.0.0.0/8\", \"::1\" or \"unix\"\n");
}

static const mg_tls_settings *tls_of(const char *tls) {
    mg_buf json = {0};
    mg_buf_printf(&json, "{\"listen\":[{\"address\":\":1\",\"tls\":%s}]}", tls);
    mg_buf_append_char(&json, '\0');
    load(json.p);
    mg_buf_deinit(&json);
    assert_true(c.listen.items[0].secure);
    return c.listen.items[0].settings;
}

static void tls_has_keys_of_its_own(void **state) {
    (void)state;
    const mg_tls_settings *s = tls_of("{\"cert\":\"a.pem\",\"key\":\"/b.key\"}");
    assert_int_equal(s->file_count, 1);
    assert_string_equal(s->files[0].cert, "/nowhere/a.pem");
    assert_string_equal(s->files[0].key, "/b.key");
    assert_int_equal(s->minimum, MG_TLS_1_2);
    assert_int_equal(s->client, MG_TLS_CLIENT_NONE);
    assert_null(s->client_ca);
    assert_null(s->ticket_keys);
    mg_config_deinit(&c);
    s = tls_of("{\"certificates\":[{\"cert\":\"a\",\"key\":\"b\"},{\"cert\":\"c\",\"key\":\"d\"}],"
               "\"minimum\":\"1.3\",\"client_ca\":\"ca\",\"client\":\"require\","
               "\"ticket_keys\":\"t\"}");
    assert_int_equal(s->file_count, 2);
    assert_string_equal(s->files[1].key, "/nowhere/d");
    assert_int_equal(s->minimum, MG_TLS_1_3);
    assert_int_equal(s->client, MG_TLS_CLIENT_REQUIRE);
    assert_string_equal(s->client_ca, "/nowhere/ca");
    assert_string_equal(s->ticket_keys, "/nowhere/t");
    mg_config_deinit(&c);
    s = tls_of("{\"certificates\":\"conf/tls\",\"client_ca\":\"ca\",\"client\":\"request\"}");
    assert_string_equal(s->folder, "/nowhere/conf/tls");
    assert_int_equal(s->client, MG_TLS_CLIENT_REQUEST);
    mg_config_deinit(&c);
    load("{\"listen\":[{\"address\":\":1\",\"tls\":false}]}");
    assert_false(c.listen.items[0].secure);
    mg_config_deinit(&c);
}

static void tls_faults(const char *tls, const char *want) {
    mg_buf list = {0};
    mg_buf_printf(&list, "[{\"address\":\":1\",\"tls\":%s}]", tls);
    mg_buf_append_char(&list, '\0');
    faults(list.p, want);
    mg_buf_deinit(&list);
}

static void what_is_wrong_in_tls_is_named(void **state) {
    (void)state;
    tls_faults("true", "f: listen[1].tls: is true, allowed: a table as { cert = \"a.pem\", key = "
                       "\"a.key\" }, or false\n");
    tls_faults("{\"cert\":\"a\"}", "f: listen[1].tls: has no key, allowed: { cert = \"site.pem\", "
                                   "key = \"site.key\" }\n");
    tls_faults("{\"minimum\":\"1.3\"}", "f: listen[1].tls: has no certificate, allowed: cert with "
                                        "key, certificates, or acme\n");
    tls_faults("{\"cert\":\"a\",\"key\":\"b\",\"certificates\":\"c\"}",
               "f: listen[1].tls: has more than one of cert with key, certificates, and acme, "
               "allowed: one of them\n");
    tls_faults("{\"certificates\":[]}",
               "f: listen[1].tls.certificates: is empty, allowed: one certificate or more\n");
    tls_faults(
        "{\"certificates\":[{\"key\":\"x\"}]}",
        "f: listen[1].tls.certificates[1]: has no cert, allowed: { cert = \"site.pem\", key = "
        "\"site.key\" }\n");
    tls_faults("{\"cert\":\"a\",\"key\":\"b\",\"minimum\":\"1.1\"}",
               "f: listen[1].tls.minimum: is \"1.1\", allowed: \"1.2\" or \"1.3\" (did you mean "
               "\"1.2\"?)\n");
    tls_faults("{\"cert\":\"a\",\"key\":\"b\",\"client\":\"maybe\"}",
               "f: listen[1].tls.client: is \"maybe\", allowed: \"request\" or \"require\", or "
               "false\n");
    tls_faults(
        "{\"cert\":\"a\",\"key\":\"b\",\"client\":\"require\"}",
        "f: listen[1].tls: client needs client_ca: who issues the certificates of clients\n");
    tls_faults("{\"cret\":\"a\"}",
               "f: listen[1].tls.cret: is no known key, allowed: cert, key, certificates, acme, "
               "minimum, client, client_ca, ticket_keys (did you mean \"cert\"?)\n");
}

static void a_wrong_item_is_named(void **state) {
    (void)state;
    faults("[7]", "f: listen[1]: is neither a text nor a table, " AN_ITEM);
    faults("[[\":1\"]]", "f: listen[1]: is neither a text nor a table, " AN_ITEM);
    faults("[{\"mode\":\"0660\"}]", "f: listen[1]: has no address, " AN_ITEM);
    faults("[{\"address\":7}]", "f: listen[1].address: is 7, allowed: an address as "
                                "\"0.0.0.0:8080\", \"[::]:8080\", \"unix:run/x.sock\"\n");
    faults("[{\"address\":\":1\",\"moed\":1}]",
           "f: listen[1].moed: is no known key, allowed: "
           "address, app, mode, tls, http2, stream, proxy_protocol (did you mean "
           "\"mode\"?)\n");
    faults("[\":1\",{\"address\":\":1\"}]",
           "f: listen[2]: \":1\" is listed twice, allowed: once\n");
}

static void a_mode_is_octal_and_of_a_unix_socket(void **state) {
    (void)state;
    static const char *const wrong[] = {"660",      "\"\"",      "\"66\"",  "\"0668\"",
                                        "\"1777\"", "\"06600\"", "\"rw-\"", "true"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char list[100];
        char want[200];
        snprintf(list, sizeof list, "[{\"address\":\"unix:/x\",\"mode\":%s}]", wrong[i]);
        snprintf(want, sizeof want,
                 "f: listen[1].mode: is %s, allowed: octal digits as \"0660\", or false\n",
                 wrong[i]);
        faults(list, want);
    }
    faults("[{\"address\":\":1\",\"mode\":\"0660\"}]",
           "f: listen[1]: mode: \":1\" is no Unix socket, allowed: no mode\n");
}

static mg_buf text_of(const mg_endpoint *e) {
    mg_buf text = {0};
    mg_endpoint_write(&text, e);
    return text;
}

static void what_is_handed_on_is_the_same(void **state) {
    (void)state;
    load("{\"listen\":[\"127.0.0.1:0\",{\"address\":\"unix:/run/\\u00e9\",\"mode\":\"0660\"}]}");
    for (size_t i = 0; i < c.listen.n; i++) {
        mg_endpoint e;
        mg_arena a = {0};
        mg_buf text = text_of(&c.listen.items[i]);
        assert_int_equal(mg_endpoint_read(&e, &a, mg_buf_str(&text)), MG_OK);
        mg_buf again = text_of(&e);
        assert_true(mg_str_eq(mg_buf_str(&text), mg_buf_str(&again)));
        assert_string_equal(e.address, c.listen.items[i].address);
        assert_int_equal(e.mode, c.listen.items[i].mode);
        mg_buf_deinit(&text);
        mg_buf_deinit(&again);
        mg_arena_deinit(&a);
    }
    mg_config_deinit(&c);
}

static void that_tls_is_wanted_is_handed_on(void **state) {
    (void)state;
    mg_endpoint e;
    mg_arena a = {0};
    tls_of("{\"cert\":\"a\",\"key\":\"b\"}");
    mg_buf text = text_of(&c.listen.items[0]);
    assert_int_equal(mg_endpoint_read(&e, &a, mg_buf_str(&text)), MG_OK);
    assert_true(e.secure);
    assert_null(e.settings);
    assert_string_equal(mg_endpoint_scheme(&e), "https");
    mg_buf_deinit(&text);
    mg_arena_deinit(&a);
    mg_config_deinit(&c);
}

static void another_setting_is_another_text(void **state) {
    (void)state;
    const mg_endpoint usual = mg_endpoint_of("unix:/x");
    mg_endpoint other = usual;
    other.mode = 0600;
    mg_buf a = text_of(&usual);
    mg_buf b = text_of(&other);
    assert_false(mg_str_eq(mg_buf_str(&a), mg_buf_str(&b)));
    mg_buf_deinit(&a);
    mg_buf_deinit(&b);
}

static void what_is_no_endpoint_is_not_read(void **state) {
    (void)state;
    static const char *const wrong[] = {"",
                                        "7",
                                        "{}",
                                        "{\"address\":\":1\"}}",
                                        "{\"address\":\":1\"",
                                        "{\"address\":\":1\",\"x\":1}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mg_endpoint e;
        mg_arena a = {0};
        assert_int_equal(mg_endpoint_read(&e, &a, mg_str_of(wrong[i])), MG_ECONFIG);
        mg_arena_deinit(&a);
    }
}

static void is_found_by_its_address(void **state) {
    (void)state;
    load("{\"listen\":[\":1\",\":2\"]}");
    assert_ptr_equal(mg_endpoint_find(&c, ":2"), &c.listen.items[1]);
    assert_null(mg_endpoint_find(&c, ":3"));
    mg_config_deinit(&c);
}

static void its_keys_are_among_the_defaults_that_are_printed(void **state) {
    (void)state;
    mg_buf text = {0};
    mg_config_print_defaults(&text);
    mg_buf_append_char(&text, '\0');
    assert_non_null(strstr(text.p, "\n  --   address = ...  Where (an address as "));
    assert_non_null(strstr(text.p, "\n  --   app = \"main\"  Who answers there (\"main\").\n"));
    assert_non_null(strstr(text.p, "\n  --   mode = false  Of a Unix socket"));
    assert_non_null(strstr(text.p, "\n  --   cert = ...  The certificate"));
    mg_buf_deinit(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_alone_has_the_defaults),
        cmocka_unit_test(a_table_says_more),
        cmocka_unit_test(what_is_not_there_yet_is_refused),
        cmocka_unit_test(proxies_are_networks),
        cmocka_unit_test(tls_has_keys_of_its_own),
        cmocka_unit_test(what_is_wrong_in_tls_is_named),
        cmocka_unit_test(a_wrong_item_is_named),
        cmocka_unit_test(a_mode_is_octal_and_of_a_unix_socket),
        cmocka_unit_test(what_is_handed_on_is_the_same),
        cmocka_unit_test(that_tls_is_wanted_is_handed_on),
        cmocka_unit_test(another_setting_is_another_text),
        cmocka_unit_test(what_is_no_endpoint_is_not_read),
        cmocka_unit_test(is_found_by_its_address),
        cmocka_unit_test(its_keys_are_among_the_defaults_that_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
