// Signatures against the examples of their standards.
#include "base/crypto_key.h"

#include "base/codec.h"
#include "base/error.h"

#include "unit.h"

static mg_buf bufs[16];
static int used;

static int tear_down(void **state) {
    (void)state;
    while (used > 0) {
        mg_buf_deinit(&bufs[--used]);
    }
    return 0;
}

static mg_str url(const char *text) {
    mg_buf *b = &bufs[used++];
    *b = (mg_buf){0};
    assert_int_equal(mg_base64_decode(b, mg_str_of(text), MG_BASE64_URL | MG_BASE64_UNPADDED),
                     MG_OK);
    return mg_buf_str(b);
}

static mg_key *read_jwk(const mg_jwk *jwk) {
    const char *wrong = NULL;
    mg_key *k = mg_key_of_jwk(jwk, &wrong);
    assert_null(wrong);
    assert_non_null(k);
    return k;
}

// RFC 8037 appendix A.
static void ed25519_signs_as_rfc_8037(void **state) {
    (void)state;
    mg_key *k = read_jwk(&(mg_jwk){
        .kty = MG_STR("OKP"),
        .crv = MG_STR("Ed25519"),
        .d = url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"),
    });
    mg_str text = MG_STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    mg_str wanted =
        url("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp"
            "Ar_MuM0KAg");
    mg_buf *got = &bufs[used++];
    *got = (mg_buf){0};
    assert_true(mg_key_sign(k, MG_EDDSA, text, got));
    assert_true(mg_str_eq(mg_buf_str(got), wanted));
    assert_true(mg_key_verify(k, MG_EDDSA, text, wanted));
    assert_false(mg_key_verify(k, MG_EDDSA, MG_STR("other"), wanted));
    assert_false(mg_key_verify(k, MG_ES256, text, wanted));
    mg_key_unref(k);
}

// RFC 7515 appendix A.3.
static mg_jwk p256(void) {
    return (mg_jwk){
        .kty = MG_STR("EC"),
        .crv = MG_STR("P-256"),
        .x = url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        .y = url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    };
}

static void es256_verifies_what_it_signed(void **state) {
    (void)state;
    mg_jwk jwk = p256();
    mg_key *public = read_jwk(&jwk);
    jwk.d = url("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    mg_key *private = read_jwk(&jwk);
    mg_buf *got = &bufs[used++];
    *got = (mg_buf){0};
    assert_false(mg_key_is_private(public));
    assert_false(mg_key_sign(public, MG_ES256, MG_STR("text"), got));
    assert_true(mg_key_sign(private, MG_ES256, MG_STR("text"), got));
    assert_int_equal(got->n, 64);
    assert_true(mg_key_verify(public, MG_ES256, MG_STR("text"), mg_buf_str(got)));
    got->p[63] ^= 1;
    assert_false(mg_key_verify(public, MG_ES256, MG_STR("text"), mg_buf_str(got)));
    assert_false(mg_key_verify(public, MG_ES256, MG_STR("text"), (mg_str){got->p, 63}));
    mg_key_unref(mg_key_ref(public));
    mg_key_unref(public);
    mg_key_unref(private);
}

static void a_public_half_of_another_key_is_refused(void **state) {
    (void)state;
    mg_jwk jwk = p256();
    jwk.d = MG_STR("0123456789abcdef0123456789abcdef");
    const char *wrong = NULL;
    assert_null(mg_key_of_jwk(&jwk, &wrong));
    assert_string_equal(wrong, "the key is malformed");
}

static void what_is_no_key_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *pem;
        const char *wrong;
    } cases[] = {
        {"", "PEM begins with -----BEGIN"},
        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "the key is malformed"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n", "the key is malformed"},
        {"-----BEGIN PRIVATE KEY-----", "the key is malformed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *wrong = NULL;
        assert_null(mg_key_of_pem(mg_str_of(cases[i].pem), &wrong));
        assert_string_equal(wrong, cases[i].wrong);
    }
    const char *wrong = NULL;
    assert_null(mg_key_of_jwk(&(mg_jwk){.kty = MG_STR("RSA"), .n = MG_STR("n")}, &wrong));
    assert_string_equal(wrong, "the key is malformed");
    assert_null(mg_key_of_jwk(&(mg_jwk){.kty = MG_STR("oct")}, &wrong));
    mg_key_unref(NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(ed25519_signs_as_rfc_8037),
        TEST(es256_verifies_what_it_signed),
        TEST(a_public_half_of_another_key_is_refused),
        TEST(what_is_no_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
