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

typedef struct asked {
    mg_trust_wait wait;
    mg_tls_context *context;
    char fault[1024];
    bool told;
} asked;

static void on_trust(mg_trust_wait *w, mg_tls_context *context, const char *fault) {
    asked *a = MG_OF(w, asked, wait);
    a->told = true;
    a->context = context;
    snprintf(a->fault, sizeof a->fault, "%s", fault);
}

static mg_tls_context *trust(const char *ca, bool insecure, asked *a) {
    mg_error err;
    *a = (asked){.wait.on_trust = on_trust};
    mg_link_init(&a->wait.link);
    int rc = mg_client_trust(client, ca, insecure, &a->wait, &a->context, &err);
    if (rc == MG_EAGAIN) {
        assert_false(a->told); // never inside
        UNTIL(a->told);
    } else {
        assert_int_equal(rc, MG_OK);
    }
    return a->context;
}

static void what_cannot_be_read_takes_the_place_of_nothing(void **state) {
    (void)state;
    asked a;
    mg_tls_context *good = trust(NULL, true, &a);
    assert_non_null(good);
    for (int i = 0; i < 2 * MG_CLIENT_TRUSTS; i++) {
        assert_null(trust("/nowhere/ca.pem", false, &a));
        assert_non_null(strstr(a.fault, "/nowhere/ca.pem"));
    }
    assert_ptr_equal(trust(NULL, true, &a), good);
}

static void a_file_that_has_changed_is_read_again(void **state) {
    (void)state;
    asked a;
    char path[] = "/tmp/moongate-ca-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_certificate(path);
    mg_tls_context *first = trust(path, false, &a);
    assert_non_null(first);
    assert_ptr_equal(trust(path, false, &a), first);
    mg_tls_ref(first); // so that its place in memory is not taken
    unlink(path);
    write_certificate(path);
    assert_ptr_not_equal(trust(path, false, &a), first);
    mg_tls_unref(first);
    unlink(path);
    assert_null(trust(path, false, &a));
}

static void what_was_read_already_is_trusted_as_it_was(void **state) {
    (void)state;
    asked a;
    new_client_of(&(mg_client_options){.ca = "/nowhere/ca.pem", .ca_text = MG_STR("no PEM")});
    assert_null(trust(NULL, false, &a));
    assert_non_null(strstr(a.fault, "/nowhere/ca.pem: "));
    char path[] = "/tmp/moongate-ca-XXXXXX";
    close(mkstemp(path));
    write_certificate(path);
    static char pem[8192];
    FILE *f = fopen(path, "r");
    size_t n = fread(pem, 1, sizeof pem, f);
    fclose(f);
    unlink(path);
    new_client_of(&(mg_client_options){.ca = "/nowhere/ca.pem", .ca_text = {pem, n}});
    assert_non_null(trust(NULL, false, &a));
}

static void a_store_is_read_once_for_all_who_wait(void **state) {
    (void)state;
    mg_error err;
    asked a[3];
    for (int i = 0; i < 3; i++) {
        a[i] = (asked){.wait.on_trust = on_trust};
        mg_link_init(&a[i].wait.link);
        assert_int_equal(mg_client_trust(client, NULL, false, &a[i].wait, &a[i].context, &err),
                         MG_EAGAIN);
    }
    mg_link_remove(&a[1].wait.link); // waits no more
    UNTIL(a[0].told && a[2].told);
    assert_false(a[1].told);
    assert_non_null(a[0].context);
    assert_ptr_equal(a[0].context, a[2].context);
    assert_ptr_equal(trust(NULL, false, &a[1]), a[0].context);
}

// The loop waits for the thread at its end.
static void a_client_may_go_while_a_store_is_read(void **state) {
    (void)state;
    mg_error err;
    asked a = {.wait.on_trust = on_trust};
    mg_link_init(&a.wait.link);
    assert_int_equal(mg_client_trust(client, NULL, false, &a.wait, &a.context, &err), MG_EAGAIN);
    mg_link_remove(&a.wait.link);
    mg_client_free(client);
    client = NULL;
    turns(1);
    assert_false(a.told);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EACH(what_cannot_be_read_takes_the_place_of_nothing),
        EACH(a_file_that_has_changed_is_read_again),
        EACH(a_store_is_read_once_for_all_who_wait),
        EACH(a_client_may_go_while_a_store_is_read),
        EACH(what_was_read_already_is_trusted_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
