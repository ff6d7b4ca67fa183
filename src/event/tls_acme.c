#include "event/tls_acme.h"

#include "base/codec.h"
#include "base/crypto.h"
#include "event/tls_pair.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { COORDINATE = 32, SIGNATURE = 2 * COORDINATE, DER_MOST = 80 };

#define URL (MG_BASE64_URL | MG_BASE64_UNPADDED)

static EVP_PKEY *inside(const mg_acme_key *k) {
    return (EVP_PKEY *)(uintptr_t)k;
}

// --- keys ---

mg_acme_key *mg_acme_key_new(void) {
    return (mg_acme_key *)EVP_EC_gen("P-256");
}

static bool is_p256(const EVP_PKEY *k) {
    char group[32] = "";
    size_t n;
    return EVP_PKEY_get_base_id(k) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(k, group, sizeof group, &n) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

mg_acme_key *mg_acme_key_read(mg_str pem) {
    BIO *bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *k = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, mg_tls_no_password, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (k != NULL && !is_p256(k)) {
        EVP_PKEY_free(k);
        k = NULL;
    }
    return (mg_acme_key *)k;
}

void mg_acme_key_free(mg_acme_key *k) {
    EVP_PKEY_free(inside(k));
}

void mg_acme_key_write(const mg_acme_key *k, mg_buf *out) {
    BIO *bio = BIO_new(BIO_s_secmem());
    char *p = NULL;
    if (PEM_write_bio_PrivateKey(bio, inside(k), NULL, NULL, 0, NULL, NULL) == 1) {
        long n = BIO_get_mem_data(bio, &p);
        mg_buf_append(out, p, (size_t)n);
    }
    BIO_free(bio);
}

// --- the public half ---

static void append_coordinate(const mg_acme_key *k, const char *name, mg_buf *out) {
    unsigned char bytes[COORDINATE] = {0};
    BIGNUM *v = NULL;
    if (EVP_PKEY_get_bn_param(inside(k), name, &v) == 1) {
        BN_bn2binpad(v, bytes, sizeof bytes);
    }
    BN_free(v);
    mg_base64_encode(out, (mg_str){(const char *)bytes, sizeof bytes}, URL);
}

void mg_acme_jwk(const mg_acme_key *k, mg_buf *out) {
    mg_buf_append_str(out, MG_STR("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""));
    append_coordinate(k, OSSL_PKEY_PARAM_EC_PUB_X, out);
    mg_buf_append_str(out, MG_STR("\",\"y\":\""));
    append_coordinate(k, OSSL_PKEY_PARAM_EC_PUB_Y, out);
    mg_buf_append_str(out, MG_STR("\"}"));
}

void mg_acme_thumbprint(const mg_acme_key *k, mg_buf *out) {
    unsigned char digest[MG_DIGEST_MAX];
    mg_buf jwk = {0};
    mg_acme_jwk(k, &jwk);
    size_t n = mg_digest(MG_SHA256, mg_buf_str(&jwk), digest);
    mg_base64_encode(out, (mg_str){(const char *)digest, n}, URL);
    mg_buf_deinit(&jwk);
}

// --- signatures ---

// RFC 7518 section 3.4: both numbers, each in full length.
static bool flatten(const unsigned char *der, size_t n, unsigned char out[SIGNATURE]) {
    ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool good = s != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(s), out, COORDINATE) == COORDINATE &&
                BN_bn2binpad(ECDSA_SIG_get0_s(s), out + COORDINATE, COORDINATE) == COORDINATE;
    ECDSA_SIG_free(s);
    return good;
}

static bool sign(const mg_acme_key *k, mg_str text, unsigned char out[SIGNATURE]) {
    unsigned char der[DER_MOST];
    size_t n = sizeof der;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = c != NULL && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, inside(k)) == 1 &&
                EVP_DigestSign(c, der, &n, (const unsigned char *)text.p, text.n) == 1 &&
                flatten(der, n, out);
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return good;
}

// What is signed: both in base64url, a point between them.
static mg_buf signing_input(mg_str head, mg_str payload) {
    mg_buf text = {0};
    mg_base64_encode(&text, head, URL);
    mg_buf_append_char(&text, '.');
    mg_base64_encode(&text, payload, URL);
    return text;
}

static void append_jws(mg_buf *out, const mg_buf *input, const unsigned char *signature, size_t n) {
    const char *point = memchr(input->p, '.', input->n);
    int head = (int)(point - input->p);
    mg_buf_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"", head,
                  input->p, (int)input->n - head - 1, point + 1);
    mg_base64_encode(out, (mg_str){(const char *)signature, n}, URL);
    mg_buf_append_str(out, MG_STR("\"}"));
}

int mg_acme_sign(const mg_acme_key *k, mg_str head, mg_str payload, mg_buf *out) {
    unsigned char signature[SIGNATURE];
    mg_buf input = signing_input(head, payload);
    bool good = sign(k, mg_buf_str(&input), signature);
    if (good) {
        append_jws(out, &input, signature, sizeof signature);
    }
    mg_buf_deinit(&input);
    return good ? MG_OK : -EIO;
}

void mg_acme_sign_shared(mg_str secret, mg_str head, mg_str payload, mg_buf *out) {
    unsigned char mac[MG_DIGEST_MAX];
    mg_buf input = signing_input(head, payload);
    size_t n = mg_hmac_sha256(secret, mg_buf_str(&input), mac);
    append_jws(out, &input, mac, n);
    mg_buf_deinit(&input);
}

// --- requests ---

static bool add_name(X509_REQ *r, const char *domain) {
    mg_buf value = {0};
    mg_buf_printf(&value, "DNS:%s", domain);
    mg_buf_append_char(&value, '\0');
    STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value.p);
    bool good = e != NULL && all != NULL && sk_X509_EXTENSION_push(all, e) > 0;
    if (!good) {
        X509_EXTENSION_free(e);
    }
    good = good && X509_REQ_add_extensions(r, all) == 1;
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    mg_buf_deinit(&value);
    return good;
}

int mg_acme_request(const mg_acme_key *k, const char *domain, mg_buf *out) {
    unsigned char *der = NULL;
    int n = -1;
    X509_REQ *r = X509_REQ_new();
    if (r != NULL && X509_REQ_set_version(r, X509_REQ_VERSION_1) == 1 && add_name(r, domain) &&
        X509_REQ_set_pubkey(r, inside(k)) == 1 && X509_REQ_sign(r, inside(k), EVP_sha256()) > 0) {
        n = i2d_X509_REQ(r, &der);
    }
    if (n > 0) {
        mg_base64_encode(out, (mg_str){(const char *)der, (size_t)n}, URL);
    }
    OPENSSL_free(der);
    X509_REQ_free(r);
    ERR_clear_error();
    return n > 0 ? MG_OK : -EIO;
}

// --- certificates ---

int mg_acme_bundle(const mg_acme_key *k, mg_str chain, const char *domain, mg_buf *out,
                   mg_error *err) {
    static const mg_tls_files names = {"the directory's certificate", "its key"};
    mg_buf key = {0};
    mg_tls_pair pair;
    mg_acme_key_write(k, &key);
    int rc = mg_tls_pair_read(&pair, NULL, chain, mg_buf_str(&key), &names, err);
    if (rc == MG_OK &&
        X509_check_host(pair.leaf, domain, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1) {
        rc = mg_error_set(err, MG_ECONFIG, "the directory's certificate is not for %s", domain);
    }
    if (rc == MG_OK) {
        mg_buf_append_str(out, mg_buf_str(&key));
        mg_buf_append_str(out, chain);
    }
    mg_tls_pair_free(&pair);
    mg_buf_deinit(&key);
    return rc;
}

bool mg_acme_dates(mg_str bundle, int64_t *not_before, int64_t *not_after) {
    static const mg_tls_files names = {"it", "it"};
    mg_tls_pair pair;
    mg_tls_about about;
    mg_error err;
    if (mg_tls_pair_read(&pair, NULL, bundle, bundle, &names, &err) != MG_OK) {
        return false;
    }
    mg_tls_pair_about(&pair, &about);
    *not_before = about.not_before;
    *not_after = about.not_after;
    mg_tls_pair_free(&pair);
    return true;
}

static mg_str octets(const ASN1_STRING *s) {
    return (mg_str){(const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
}

// A serial number as it stands in DER, which keeps the sign apart with a zero.
static void append_serial(mg_buf *out, const ASN1_INTEGER *serial) {
    mg_buf bytes = {0};
    mg_str s = octets(serial);
    if (s.n > 0 && ((unsigned char)s.p[0] & 0x80) != 0) {
        mg_buf_append_char(&bytes, '\0');
    }
    mg_buf_append_str(&bytes, s);
    mg_base64_encode(out, mg_buf_str(&bytes), URL);
    mg_buf_deinit(&bytes);
}

int mg_acme_renewal_id(mg_str pem, mg_buf *out) {
    STACK_OF(X509) *all = mg_tls_certificates(pem);
    X509 *leaf = all != NULL ? sk_X509_value(all, 0) : NULL;
    const ASN1_OCTET_STRING *issuer = leaf != NULL ? X509_get0_authority_key_id(leaf) : NULL;
    if (issuer != NULL) {
        mg_base64_encode(out, octets(issuer), URL);
        mg_buf_append_char(out, '.');
        append_serial(out, X509_get0_serialNumber(leaf));
    }
    sk_X509_pop_free(all, X509_free);
    ERR_clear_error();
    return issuer != NULL ? MG_OK : MG_ESYNTAX;
}
