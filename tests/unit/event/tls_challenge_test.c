// What a directory is shown that looks whose a name is.
#include "event/tls_challenge.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "event/ticket_ring.h"

#include "tls_rig.h"
#include "unit.h"

static const char authorization[] = "token-1.thumbprint";
static mg_challenge *current;
static mg_ticket_ring ring;

static mg_challenge *challenge_of(const char *kind, const char *name) {
    mg_buf text = {0};
    mg_error err;
    assert_int_equal(mg_challenge_write(&text, kind, name, mg_str_of(authorization), &err), MG_OK);
    mg_challenge *c = mg_challenge_read(mg_buf_str(&text));
    assert_non_null(c);
    mg_buf_deinit(&text);
    return c;
}

static void a_path_is_answered_with_the_authorization(void **state) {
    (void)state;
    mg_challenge *c = challenge_of("http-01", "a.test");
    mg_str answer = mg_challenge_answer(c, MG_STR("/.well-known/acme-challenge/token-1"));
    assert_true(mg_str_eq(answer, mg_str_of(authorization)));
    static const char *const others[] = {
        "",
        "/",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/token-",
        "/.well-known/acme-challenge/token-11",
        "/.well-known/acme-challenge/token-1.thumbprint",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(mg_challenge_answer(c, mg_str_of(others[i])).n, 0);
    }
    assert_null(mg_challenge_pair(c, "a.test"));
    mg_challenge_free(c);
}

static void what_is_no_challenge_is_none(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",        "http-01\na.test\nno point",           "http-01\na.test\n.x",
        "http-01", "tls-alpn-01\na.test\nno certificate", "dns-01\na.test\ntoken.print"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_null(mg_challenge_read(mg_str_of(texts[i])));
    }
    assert_null(mg_challenge_pair(NULL, "a.test"));
}

// --- over TLS ---

static void serve(unsigned client_auth) {
    static char cert[200], key[200], ca[200];
    snprintf(cert, sizeof cert, "%s", path_of("good.pem"));
    snprintf(key, sizeof key, "%s", path_of("good.key"));
    snprintf(ca, sizeof ca, "%s", path_of("ca.pem"));
    const mg_tls_files files = {cert, key};
    mg_tls_store *store;
    mg_error err = {""};
    const mg_tls_settings s = {
        .files = &files, .file_count = 1, .client = client_auth, .client_ca = ca};
    assert_int_equal(store_of(&store, &s, &err), MG_OK);
    const mg_tls_server_options o = {.store = store,
                                     .address = "test",
                                     .alpn = "h2,http/1.1",
                                     .ring = &ring,
                                     .challenge = &current};
    assert_int_equal(mg_tls_server_new(&server_context, &o, &err), MG_OK);
    mg_tls_store_unref(store);
    current = challenge_of("tls-alpn-01", "a.test");
}

static int tear_down_challenge(void **state) {
    mg_challenge_free(current);
    current = NULL;
    return tear_down(state);
}

static void offer(const char *alpn) {
    mg_tls_unref(client_context);
    client_context = client_of(&(mg_tls_client_options){.insecure = true, .alpn = alpn});
}

static X509 *shown(void) {
    return SSL_get0_peer_certificate(client.w.s.u.tls->ssl);
}

static void a_directory_is_shown_the_proof(void **state) {
    (void)state;
    unsigned char wanted[2 + MG_DIGEST_MAX] = {4, 32};
    mg_digest(MG_SHA256, mg_str_of(authorization), wanted + 2);
    offer(MG_TLS_PROVING);
    serve(MG_TLS_CLIENT_NONE);
    shake_hands("A.test");
    assert_true(mg_str_eq(mg_tls_alpn(&client.w.s), MG_STR("acme-tls/1")));
    assert_true(mg_str_eq(mg_tls_alpn(&server.w.s), MG_STR("acme-tls/1")));
    X509 *c = shown();
    assert_int_equal(X509_check_host(c, "a.test", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL), 1);
    ASN1_OBJECT *id = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    int at = X509_get_ext_by_OBJ(c, id, -1);
    assert_true(at >= 0);
    X509_EXTENSION *e = X509_get_ext(c, at);
    assert_int_equal(X509_EXTENSION_get_critical(e), 1);
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(e);
    assert_int_equal(ASN1_STRING_length(value), sizeof wanted);
    assert_memory_equal(ASN1_STRING_get0_data(value), wanted, sizeof wanted);
    ASN1_OBJECT_free(id);
}

static void it_needs_no_certificate_of_its_own(void **state) {
    (void)state;
    offer(MG_TLS_PROVING);
    serve(MG_TLS_CLIENT_REQUIRE);
    shake_hands("a.test");
    assert_non_null(shown());
}

static bool is_refused(const char *alpn, const char *host) {
    offer(alpn);
    open_both(host);
    turn_until(loop, &client.readies, 1);
    bool refused = client.status != 0;
    close_side(&client);
    close_side(&server);
    return refused;
}

static void nobody_else_gets_that(void **state) {
    (void)state;
    serve(MG_TLS_CLIENT_NONE);
    assert_true(is_refused(MG_TLS_PROVING, "good.test")); // another name than that of the moment
    assert_true(is_refused(MG_TLS_PROVING, "127.0.0.1")); // none
    offer("http/1.1," MG_TLS_PROVING);                    // RFC 8737: it is offered alone
    shake_hands("a.test");
    assert_true(mg_str_eq(mg_tls_alpn(&client.w.s), MG_STR("http/1.1")));
    assert_int_equal(X509_check_host(shown(), "good.test", 0, 0, NULL), 1);
    close_side(&client);
    close_side(&server);
    mg_challenge_free(current);
    current = NULL;
    assert_true(is_refused(MG_TLS_PROVING, "a.test")); // no challenge is under way
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_answered_with_the_authorization),
        cmocka_unit_test(what_is_no_challenge_is_none),
        cmocka_unit_test_setup_teardown(a_directory_is_shown_the_proof, set_up,
                                        tear_down_challenge),
        cmocka_unit_test_setup_teardown(it_needs_no_certificate_of_its_own, set_up,
                                        tear_down_challenge),
        cmocka_unit_test_setup_teardown(nobody_else_gets_that, set_up, tear_down_challenge),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
