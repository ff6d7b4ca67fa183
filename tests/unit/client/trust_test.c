// Which certificates are read once.
#include "rig.h"

#include "client/client_inside.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void write_certificate(const char *path) {
    X509 *c = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_gmtime_adj(X509_getm_notBefore(c), 0);
    X509_gmtime_adj(X509_getm_notAfter(c), 86400);
    X509_set_pubkey(c, key);
    assert_true(X509_sign(c, key, EVP_sha256()) > 0);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    PEM_write_X509(f, c);
    fclose(f);
    X509_free(c);
    EVP_PKEY_free(key);
}

static void what_cannot_be_read_takes_the_place_of_nothing(void **state) {
    (void)state;
    mg_error err;
    mg_tls_context *good = mg_client_trust(client, NULL, true, &err);
    assert_non_null(good);
    for (int i = 0; i < 2 * MG_CLIENT_TRUSTS; i++) {
        assert_null(mg_client_trust(client, "/nowhere/ca.pem", false, &err));
        assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    }
    assert_ptr_equal(mg_client_trust(client, NULL, true, &err), good);
}

static void a_file_that_has_changed_is_read_again(void **state) {
    (void)state;
    mg_error err;
    char path[] = "/tmp/moongate-ca-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_certificate(path);
    mg_tls_context *first = mg_client_trust(client, path, false, &err);
    assert_non_null(first);
    assert_ptr_equal(mg_client_trust(client, path, false, &err), first);
    mg_tls_ref(first); // so that its place in memory is not taken
    unlink(path);
    write_certificate(path);
    assert_ptr_not_equal(mg_client_trust(client, path, false, &err), first);
    mg_tls_unref(first);
    unlink(path);
    assert_null(mg_client_trust(client, path, false, &err));
}

static void what_was_read_already_is_trusted_as_it_was(void **state) {
    (void)state;
    mg_error err;
    new_client_of(&(mg_client_options){.ca = "/nowhere/ca.pem", .ca_text = MG_STR("no PEM")});
    assert_null(mg_client_trust(client, NULL, false, &err));
    assert_non_null(strstr(err.text, "/nowhere/ca.pem: "));
    char path[] = "/tmp/moongate-ca-XXXXXX";
    close(mkstemp(path));
    write_certificate(path);
    static char pem[8192];
    FILE *f = fopen(path, "r");
    size_t n = fread(pem, 1, sizeof pem, f);
    fclose(f);
    unlink(path);
    new_client_of(&(mg_client_options){.ca = "/nowhere/ca.pem", .ca_text = {pem, n}});
    assert_non_null(mg_client_trust(client, NULL, false, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(what_cannot_be_read_takes_the_place_of_nothing),
        EACH(a_file_that_has_changed_is_read_again),
        EACH(what_was_read_already_is_trusted_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
