#include "config/acme.h"

#include "of_text.h"

static mg_config c;

static const mg_tls_acme *acme_of(const char *acme) {
    mg_buf json = {0};
    mg_buf_printf(&json, "{\"listen\":[{\"address\":\":1\",\"tls\":{\"acme\":%s}}]}", acme);
    mg_buf_append_char(&json, '\0');
    load(&c, json.p);
    mg_buf_deinit(&json);
    return &c.listen.items[0].settings->acme;
}

static void faults(const char *tls, const char *want) {
    mg_config bad;
    mg_buf text = {0};
    mg_buf json = {0};
    mg_buf_printf(&json, "{\"listen\":[{\"address\":\":1\",\"tls\":%s}]}", tls);
    assert_int_equal(mg_config_init(&bad, "f", mg_buf_str(&json), &text), MG_ECONFIG);
    assert_text(want, mg_buf_str(&text));
    mg_buf_deinit(&text);
    mg_buf_deinit(&json);
    mg_config_deinit(&bad);
}

static void domains_are_enough(void **state) {
    (void)state;
    const mg_tls_acme *a = acme_of("{\"domains\":[\"A.test\",\"xn--4ca.x-1.test\"]}");
    assert_true(a->on);
    assert_int_equal(a->domains.n, 2);
    assert_string_equal(a->domains.items[0], "a.test");
    assert_string_equal(a->domains.items[1], "xn--4ca.x-1.test");
    assert_string_equal(a->directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_int_equal(a->challenge, MG_ACME_HTTP);
    assert_null(a->email);
    assert_null(a->ca);
    assert_null(a->key_id);
    assert_string_equal(a->folder, "/nowhere/var/acme");
    assert_string_equal(a->place, "/nowhere/var/acme/acme-v02.api.letsencrypt.org-directory");
    mg_config_deinit(&c);
}

static void all_of_it_can_be_said(void **state) {
    (void)state;
    const mg_tls_acme *a =
        acme_of("{\"domains\":[\"a.test\"],\"directory\":\"https://ca:14000/dir\","
                "\"challenge\":\"tls-alpn-01\",\"email\":\"me@a.test\","
                "\"ca\":\"conf/ca.pem\",\"folder\":\"/srv/acme\","
                "\"key_id\":\"k\",\"hmac_key\":\"h\"}");
    assert_int_equal(a->challenge, MG_ACME_TLS);
    assert_string_equal(a->email, "me@a.test");
    assert_string_equal(a->ca, "/nowhere/conf/ca.pem");
    assert_string_equal(a->key_id, "k");
    assert_string_equal(a->hmac_key, "h");
    assert_string_equal(a->place, "/srv/acme/ca-14000-dir");
    mg_config_deinit(&c);
    load(&c, "{\"listen\":[{\"address\":\":1\",\"tls\":{\"cert\":\"a\",\"key\":\"b\","
             "\"acme\":false}}]}");
    assert_false(c.listen.items[0].settings->acme.on);
    mg_config_deinit(&c);
}

#define A_NAME "allowed: a name as \"www.example.com\"\n"
#define NAMES  "{\"acme\":{\"domains\":"

static void what_is_wrong_is_named(void **state) {
    (void)state;
    faults("{\"acme\":true}",
           "f: listen[1].tls.acme: is true, allowed: a table or false, with domains, directory, "
           "challenge, email, ca, key_id, hmac_key, folder\n");
    faults("{\"acme\":{}}", "f: listen[1].tls: acme has no domains, allowed: { domains = { "
                            "\"www.example.com\" } }\n");
    faults("{\"acme\":{\"domain\":[\"a.test\"]}}",
           "f: listen[1].tls.acme.domain: is no known key, allowed: domains, directory, challenge, "
           "email, ca, key_id, hmac_key, folder (did you mean \"domains\"?)\n");
    faults(NAMES "\"a.test\"}}", "f: listen[1].tls.acme.domains: is \"a.test\", allowed: a list of "
                                 "names as { \"www.example.com\" }\n");
    faults(NAMES "[7]}}", "f: listen[1].tls.acme.domains[1]: is no text, " A_NAME);
    faults(NAMES "[\"a.test\",\"A.test\"]}}",
           "f: listen[1].tls.acme.domains[2]: \"a.test\" is listed twice, allowed: once\n");
    faults(NAMES "[\"*.a.test\"]}}",
           "f: listen[1].tls.acme.domains[1]: \"*.a.test\" needs a challenge in the DNS, which is "
           "not in this version, allowed: each name by itself\n");
    static const char *const wrong[] = {"",        "a..test",  ".a.test",  "a.test.",  "-a.test",
                                        "a-.test", "a b.test", "10.0.0.1", "a_b.test", "a/../b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mg_buf tls = {0};
        mg_buf want = {0};
        mg_buf_printf(&tls, NAMES "[\"%s\"]}}", wrong[i]);
        mg_buf_printf(&want, "f: listen[1].tls.acme.domains[1]: is \"%s\", " A_NAME, wrong[i]);
        mg_buf_append_char(&tls, '\0');
        mg_buf_append_char(&want, '\0');
        faults(tls.p, want.p);
        mg_buf_deinit(&tls);
        mg_buf_deinit(&want);
    }
    faults(NAMES "[\"a.test\"],\"directory\":\"http://ca/dir\"}}",
           "f: listen[1].tls.acme.directory: is \"http://ca/dir\", allowed: a URL as "
           "\"https://acme.example.com/directory\"\n");
    faults(NAMES "[\"a.test\"],\"challenge\":\"http-1\"}}",
           "f: listen[1].tls.acme.challenge: is \"http-1\", allowed: \"http-01\" or "
           "\"tls-alpn-01\" (did you mean \"http-01\"?)\n");
    faults(NAMES "[\"a.test\"],\"key_id\":\"k\"}}",
           "f: listen[1].tls: acme has key_id without hmac_key, allowed: both, as the directory's "
           "owner says\n");
    faults("{\"cert\":\"a\",\"key\":\"b\",\"acme\":{\"domains\":[\"a.test\"]}}",
           "f: listen[1].tls: has more than one of cert with key, certificates, and acme, allowed: "
           "one of them\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_are_enough),
        cmocka_unit_test(all_of_it_can_be_said),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
