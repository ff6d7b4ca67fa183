// Digests against the examples of their standards.
#include "base/crypto.h"

#include "unit.h"

#include <stdio.h>

static const char *hex(const unsigned char *digest, size_t n) {
    static char text[MG_DIGEST_MAX * 2 + 1];
    for (size_t i = 0; i < n; i++) {
        snprintf(text + i * 2, 3, "%02x", digest[i]);
    }
    return text;
}

static void digests_are_those_of_their_standards(void **state) {
    (void)state;
    unsigned char out[MG_DIGEST_MAX];
    assert_int_equal(32, mg_digest(MG_SHA256, MG_STR("abc"), out));
    assert_string_equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                        hex(out, 32));
    assert_int_equal(20, mg_digest(MG_SHA1, MG_STR("abc"), out));
    assert_string_equal("a9993e364706816aba3e25717850c26c9cd0d89d", hex(out, 20));
    assert_int_equal(16, mg_digest(MG_MD5, MG_STR(""), out));
    assert_string_equal("d41d8cd98f00b204e9800998ecf8427e", hex(out, 16));
    assert_string_equal("SHA1", mg_digest_name(MG_SHA1));
}

static void hmac_is_that_of_rfc_4231(void **state) {
    (void)state;
    unsigned char out[MG_DIGEST_MAX];
    mg_str said = MG_STR("what do ya want for nothing?");
    assert_int_equal(32, mg_hmac_sha256(MG_STR("Jefe"), said, out));
    assert_string_equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                        hex(out, 32));
}

static void secrets_are_compared_to_their_last_byte(void **state) {
    (void)state;
    assert_true(mg_secret_equal(MG_STR(""), MG_STR("")));
    assert_true(mg_secret_equal(MG_STR("open\0sesame"), MG_STR("open\0sesame")));
    assert_false(mg_secret_equal(MG_STR("open\0sesame"), MG_STR("open\0sesamf")));
    assert_false(mg_secret_equal(MG_STR("open"), MG_STR("opens")));
}

// RFC 7914 section 12.
static void scrypt_is_that_of_rfc_7914(void **state) {
    (void)state;
    unsigned char out[MG_SCRYPT_BYTES];
    mg_scrypt_cost cost = {10, 8, 16};
    assert_true(mg_scrypt(MG_STR("password"), MG_STR("NaCl"), cost, out));
    assert_string_equal("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162",
                        hex(out, sizeof out));
    mg_secret_clear(out, sizeof out);
    assert_int_equal(out[0], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_their_standards),
        cmocka_unit_test(hmac_is_that_of_rfc_4231),
        cmocka_unit_test(scrypt_is_that_of_rfc_7914),
        cmocka_unit_test(secrets_are_compared_to_their_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
