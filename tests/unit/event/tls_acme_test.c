// Signatures, requests and names, as an ACME directory would check them.
#include "event/tls_acme.h"

#include "base/codec.h"

#include "tls_certificates.h"
#include "unit.h"

#include <openssl/ecdsa.h>

static const char *text_of(mg_buf *b) {
    mg_buf_append_char(b, '\0');
    b->n--;
    return b->p;
}

// The key of RFC 7515 appendix A.3, whose public half is told there.
static const char example[] = "-----BEGIN EC PRIVATE KEY-----\n"
                              "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
                              "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
                              "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
                              "-----END EC PRIVATE KEY-----\n";

static void a_key_is_told_by_its_public_half(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_acme_key *k = mg_acme_key_new();
    assert_non_null(k);
    mg_acme_key_write(k, &out);
    mg_acme_key *again = mg_acme_key_read(mg_buf_str(&out));
    assert_non_null(again);
    mg_buf a = {0};
    mg_buf b = {0};
    mg_acme_jwk(k, &a);
    mg_acme_jwk(again, &b);
    assert_string_equal(text_of(&a), text_of(&b));
    mg_buf_clear(&a);
    mg_acme_thumbprint(k, &a);
    assert_int_equal(a.n, 43);
    mg_acme_key_free(k);
    mg_acme_key_free(again);
    mg_buf_deinit(&a);
    mg_buf_deinit(&b);
    mg_buf_deinit(&out);
}

static void the_jwk_is_that_of_the_rfc(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_acme_key *k = mg_acme_key_read(mg_str_of(example));
    assert_non_null(k);
    mg_acme_jwk(k, &out);
    assert_string_equal(text_of(&out), "{\"crv\":\"P-256\",\"kty\":\"EC\","
                                       "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                       "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
    mg_acme_key_free(k);
    mg_buf_deinit(&out);
}

static void what_is_no_such_key_is_refused(void **state) {
    (void)state;
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    PEM_write_bio_PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL);
    long n = BIO_get_mem_data(bio, &p);
    assert_null(mg_acme_key_read((mg_str){p, (size_t)n}));
    assert_null(mg_acme_key_read(MG_STR("")));
    assert_null(mg_acme_key_read(MG_STR("-----BEGIN EC PRIVATE KEY-----\nAAAA\n")));
    BIO_free(bio);
    EVP_PKEY_free(rsa);
}

// What stands between a name and the next quote.
static mg_str member(const char *json, const char *name) {
    char start[32];
    snprintf(start, sizeof start, "\"%s\":\"", name);
    const char *at = strstr(json, start);
    assert_non_null(at);
    at += strlen(start);
    return (mg_str){at, (size_t)(strchr(at, '"') - at)};
}

static bool verifies(EVP_PKEY *key, mg_str input, mg_str signature) {
    ECDSA_SIG *s = ECDSA_SIG_new();
    unsigned char *der = NULL;
    assert_int_equal(signature.n, 64);
    ECDSA_SIG_set0(s, BN_bin2bn((const unsigned char *)signature.p, 32, NULL),
                   BN_bin2bn((const unsigned char *)signature.p + 32, 32, NULL));
    int n = i2d_ECDSA_SIG(s, &der);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key);
    bool good = EVP_DigestVerify(c, der, (size_t)n, (const unsigned char *)input.p, input.n) == 1;
    EVP_MD_CTX_free(c);
    OPENSSL_free(der);
    ECDSA_SIG_free(s);
    return good;
}

static void a_signature_is_of_both_parts(void **state) {
    (void)state;
    mg_buf pem = {0};
    mg_buf jws = {0};
    mg_buf signature = {0};
    mg_buf input = {0};
    mg_acme_key *k = mg_acme_key_new();
    mg_acme_key_write(k, &pem);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *same = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    for (int i = 0; i < 50; i++) { // one in 128 begins with a zero
        mg_buf_clear(&jws);
        mg_buf_clear(&signature);
        mg_buf_clear(&input);
        assert_int_equal(mg_acme_sign(k, MG_STR("{\"alg\":\"ES256\"}"), MG_STR("{}"), &jws), MG_OK);
        const char *json = text_of(&jws);
        mg_buf_append_str(&input, member(json, "protected"));
        mg_buf_append_char(&input, '.');
        mg_buf_append_str(&input, member(json, "payload"));
        assert_string_equal(text_of(&input), "eyJhbGciOiJFUzI1NiJ9.e30");
        assert_int_equal(mg_base64_decode(&signature, member(json, "signature"), MG_BASE64_URL),
                         MG_OK);
        assert_true(verifies(same, mg_buf_str(&input), mg_buf_str(&signature)));
    }
    mg_buf_clear(&jws); // POST-as-GET: nothing is said
    assert_int_equal(mg_acme_sign(k, MG_STR("{}"), MG_STR(""), &jws), MG_OK);
    assert_non_null(strstr(text_of(&jws), "\"payload\":\"\""));
    BIO_free(bio);
    EVP_PKEY_free(same);
    mg_acme_key_free(k);
    mg_buf_deinit(&pem);
    mg_buf_deinit(&jws);
    mg_buf_deinit(&signature);
    mg_buf_deinit(&input);
}

// RFC 7515 appendix A.1.
static void a_shared_secret_signs_as_in_the_rfc(void **state) {
    (void)state;
    mg_buf secret = {0};
    mg_buf jws = {0};
    assert_int_equal(mg_base64_decode(&secret,
                                      MG_STR("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
                                             "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
                                      MG_BASE64_URL),
                     MG_OK);
    mg_acme_sign_shared(mg_buf_str(&secret), MG_STR("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}"),
                        MG_STR("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                               "\"http://example.com/is_root\":true}"),
                        &jws);
    mg_str signature = member(text_of(&jws), "signature");
    assert_memory_equal(signature.p, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", signature.n);
    mg_buf_deinit(&secret);
    mg_buf_deinit(&jws);
}

static void a_request_is_signed_and_names_its_host(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_buf der = {0};
    mg_acme_key *k = mg_acme_key_new();
    assert_int_equal(mg_acme_request(k, "www.a.test", &out), MG_OK);
    assert_int_equal(mg_base64_decode(&der, mg_buf_str(&out), MG_BASE64_URL), MG_OK);
    const unsigned char *p = (const unsigned char *)der.p;
    X509_REQ *r = d2i_X509_REQ(NULL, &p, (long)der.n);
    assert_non_null(r);
    assert_int_equal(X509_REQ_verify(r, X509_REQ_get0_pubkey(r)), 1);
    STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(r);
    GENERAL_NAMES *names = X509V3_get_d2i(all, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    const ASN1_STRING *name = sk_GENERAL_NAME_value(names, 0)->d.dNSName;
    assert_memory_equal(ASN1_STRING_get0_data(name), "www.a.test", 10);
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    X509_REQ_free(r);
    mg_acme_key_free(k);
    mg_buf_deinit(&out);
    mg_buf_deinit(&der);
}

// The example of RFC 9773 section 4.1, and a serial number without a leading zero.
static void a_renewal_is_asked_for_by_issuer_and_serial(void **state) {
    (void)state;
    static const unsigned char issuer[] = {0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40,
                                           0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0,
                                           0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4};
    static const struct {
        uint64_t serial;
        const char *id;
    } cases[] = {{0x87654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
                 {0x07654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.B2VDIQ"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        identity id = new_identity("a.test", "DNS:a.test", NULL, 30);
        AUTHORITY_KEYID *a = AUTHORITY_KEYID_new();
        a->keyid = ASN1_OCTET_STRING_new();
        ASN1_OCTET_STRING_set(a->keyid, issuer, sizeof issuer);
        X509_add1_ext_i2d(id.certificate, NID_authority_key_identifier, a, 0, 0);
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(id.certificate), cases[i].serial);
        X509_sign(id.certificate, id.key, EVP_sha256());
        BIO *bio = BIO_new(BIO_s_mem());
        char *p;
        PEM_write_bio_X509(bio, id.certificate);
        long n = BIO_get_mem_data(bio, &p);
        mg_buf out = {0};
        assert_int_equal(mg_acme_renewal_id((mg_str){p, (size_t)n}, &out), MG_OK);
        assert_string_equal(text_of(&out), cases[i].id);
        AUTHORITY_KEYID_free(a);
        BIO_free(bio);
        drop_identity(&id);
        mg_buf_deinit(&out);
    }
}

static void what_tells_no_issuer_has_no_such_name(void **state) {
    (void)state;
    mg_buf out = {0};
    mg_buf pem = {0};
    mg_error err;
    assert_int_equal(mg_tls_self_signed(&pem, "a.test", NULL, &err), MG_OK);
    assert_int_equal(mg_acme_renewal_id(mg_buf_str(&pem), &out), MG_ESYNTAX);
    assert_int_equal(mg_acme_renewal_id(MG_STR("nothing"), &out), MG_ESYNTAX);
    assert_int_equal(out.n, 0);
    mg_buf_deinit(&pem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_told_by_its_public_half),
        cmocka_unit_test(the_jwk_is_that_of_the_rfc),
        cmocka_unit_test(what_is_no_such_key_is_refused),
        cmocka_unit_test(a_signature_is_of_both_parts),
        cmocka_unit_test(a_shared_secret_signs_as_in_the_rfc),
        cmocka_unit_test(a_request_is_signed_and_names_its_host),
        cmocka_unit_test(a_renewal_is_asked_for_by_issuer_and_serial),
        cmocka_unit_test(what_tells_no_issuer_has_no_such_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
