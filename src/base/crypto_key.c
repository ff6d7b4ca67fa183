#include "base/crypto_key.h"

#include "base/mem.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdatomic.h>

enum {
    P256_BYTES = 32,
    RSA_EXPONENT_BITS = 32, // a longer one makes verifying slow and nothing safer
};

typedef enum mg_key_kind { MG_KEY_RSA, MG_KEY_EC, MG_KEY_ED25519 } mg_key_kind;

struct mg_key {
    atomic_uint refs;
    EVP_PKEY *pkey; // owned
    mg_key_kind kind;
    bool is_private;
};

static const char unknown_kind[] =
    "the key is of a kind that is not known (allowed: RSA, EC with P-256, Ed25519)";

// --- judging ---

static bool is_p256(const EVP_PKEY *pkey) {
    char group[32];
    size_t n;
    return EVP_PKEY_get_group_name((EVP_PKEY *)(uintptr_t)pkey, group, sizeof group, &n) == 1 &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

// NULL: it will do.
static const char *judge_rsa(const EVP_PKEY *pkey) {
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < MG_KEY_RSA_BITS_MIN || bits > MG_KEY_RSA_BITS_MAX) {
        return "an RSA key has 2048 to 8192 bits";
    }
    BIGNUM *e = NULL;
    bool small = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                 BN_num_bits(e) <= RSA_EXPONENT_BITS;
    BN_free(e);
    return small ? NULL : "the RSA key's public exponent is larger than 32 bits";
}

static const char *judge(const EVP_PKEY *pkey, mg_key_kind *kind) {
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        *kind = MG_KEY_RSA;
        return judge_rsa(pkey);
    case EVP_PKEY_EC:
        *kind = MG_KEY_EC;
        return is_p256(pkey) ? NULL : unknown_kind;
    case EVP_PKEY_ED25519:
        *kind = MG_KEY_ED25519;
        return NULL;
    default:
        return unknown_kind;
    }
}

// Takes `pkey`, which may be NULL; then, or if it will not do, `*wrong` is set.
static mg_key *key_of(EVP_PKEY *pkey, bool is_private, const char **wrong) {
    mg_key_kind kind = MG_KEY_RSA;
    const char *fault = pkey == NULL ? "the key is malformed" : judge(pkey, &kind);
    ERR_clear_error(); // it may quote what was read
    if (fault != NULL) {
        EVP_PKEY_free(pkey);
        *wrong = fault;
        return NULL;
    }
    mg_key *k = mg_calloc(1, sizeof *k);
    atomic_init(&k->refs, 1);
    k->pkey = pkey;
    k->kind = kind;
    k->is_private = is_private;
    return k;
}

mg_key *mg_key_ref(mg_key *k) {
    atomic_fetch_add(&k->refs, 1);
    return k;
}

void mg_key_unref(mg_key *k) {
    if (k != NULL && atomic_fetch_sub(&k->refs, 1) == 1) {
        EVP_PKEY_free(k->pkey);
        mg_free(k);
    }
}

bool mg_key_is_private(const mg_key *k) {
    return k->is_private;
}

bool mg_key_fits(const mg_key *k, mg_signature_algorithm a) {
    return k->kind == MG_KEY_RSA  ? a == MG_RS256 || a == MG_PS256
           : k->kind == MG_KEY_EC ? a == MG_ES256
                                  : a == MG_EDDSA;
}

// --- PEM ---

// Nobody is asked at a terminal.
static int no_passphrase(char *buf, int size, int writing, void *arg) {
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static EVP_PKEY *key_of_certificate(BIO *bio) {
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    EVP_PKEY *pkey = cert != NULL ? X509_get_pubkey(cert) : NULL;
    X509_free(cert);
    return pkey;
}

mg_key *mg_key_of_pem(mg_str pem, const char **wrong) {
    if (pem.n > INT_MAX || memmem(pem.p, pem.n, "-----BEGIN ", 11) == NULL) {
        *wrong = "PEM begins with -----BEGIN";
        return NULL;
    }
    bool is_private = memmem(pem.p, pem.n, "PRIVATE KEY-----", 16) != NULL;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = NULL;
    if (is_private) {
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    } else if (memmem(pem.p, pem.n, "BEGIN CERTIFICATE", 17) != NULL) {
        pkey = key_of_certificate(bio);
    } else {
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    }
    BIO_free(bio);
    if (pkey == NULL && memmem(pem.p, pem.n, "ENCRYPTED", 9) != NULL) {
        ERR_clear_error();
        *wrong = "the key is encrypted with a passphrase";
        return NULL;
    }
    return key_of(pkey, is_private, wrong);
}

// --- JWK ---

static EVP_PKEY *from_params(const char *type, bool is_private, OSSL_PARAM_BLD *build) {
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    int selection = is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, selection, params) != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

enum { JWK_NUMBERS = 8, JWK_NUMBER_BYTES = MG_KEY_RSA_BITS_MAX / 8 + 1 };

// What is missing is left out.
static EVP_PKEY *rsa_of_jwk(const mg_jwk *j) {
    const struct {
        const char *name;
        mg_str bytes;
    } parts[JWK_NUMBERS] = {
        {OSSL_PKEY_PARAM_RSA_N, j->n},          {OSSL_PKEY_PARAM_RSA_E, j->e},
        {OSSL_PKEY_PARAM_RSA_D, j->d},          {OSSL_PKEY_PARAM_RSA_FACTOR1, j->p},
        {OSSL_PKEY_PARAM_RSA_FACTOR2, j->q},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, j->dp},
        {OSSL_PKEY_PARAM_RSA_EXPONENT2, j->dq}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, j->qi},
    };
    BIGNUM *numbers[JWK_NUMBERS] = {NULL};
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool good = build != NULL;
    for (int i = 0; good && i < JWK_NUMBERS; i++) {
        if (parts[i].bytes.n == 0) {
            continue;
        }
        good = parts[i].bytes.n <= JWK_NUMBER_BYTES;
        numbers[i] =
            good ? BN_bin2bn((const unsigned char *)parts[i].bytes.p, (int)parts[i].bytes.n, NULL)
                 : NULL;
        good = numbers[i] != NULL && OSSL_PARAM_BLD_push_BN(build, parts[i].name, numbers[i]) == 1;
    }
    EVP_PKEY *pkey = good ? from_params("RSA", j->d.n > 0, build) : NULL;
    OSSL_PARAM_BLD_free(build);
    for (int i = 0; i < JWK_NUMBERS; i++) {
        BN_clear_free(numbers[i]);
    }
    return pkey;
}

static EVP_PKEY *p256_of_jwk(const mg_jwk *j) {
    unsigned char point[1 + 2 * P256_BYTES] = {4}; // not compressed
    if (j->x.n != P256_BYTES || j->y.n != P256_BYTES || (j->d.n != 0 && j->d.n != P256_BYTES)) {
        return NULL;
    }
    memcpy(point + 1, j->x.p, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, j->y.p, P256_BYTES);
    BIGNUM *d = j->d.n > 0 ? BN_bin2bn((const unsigned char *)j->d.p, P256_BYTES, NULL) : NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) ==
            1 &&
        (d == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1)) {
        pkey = from_params("EC", d != NULL, build);
    }
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(d);
    return pkey;
}

static EVP_PKEY *ed25519_of_jwk(const mg_jwk *j) {
    mg_str bytes = j->d.n > 0 ? j->d : j->x;
    const unsigned char *p = (const unsigned char *)bytes.p;
    return j->d.n > 0 ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, p, bytes.n)
                      : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p, bytes.n);
}

// A public half that is not that of the private one would verify what it did not sign.
static bool halves_match(EVP_PKEY *pkey) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    bool good = ctx != NULL && EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good;
}

mg_key *mg_key_of_jwk(const mg_jwk *j, const char **wrong) {
    EVP_PKEY *pkey = NULL;
    if (mg_str_eq(j->kty, MG_STR("RSA"))) {
        pkey = rsa_of_jwk(j);
    } else if (mg_str_eq(j->kty, MG_STR("EC")) && mg_str_eq(j->crv, MG_STR("P-256"))) {
        pkey = p256_of_jwk(j);
    } else if (mg_str_eq(j->kty, MG_STR("OKP")) && mg_str_eq(j->crv, MG_STR("Ed25519"))) {
        pkey = ed25519_of_jwk(j);
    } else {
        *wrong = unknown_kind;
        return NULL;
    }
    bool is_private = j->d.n > 0;
    if (pkey != NULL && is_private && EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
        !halves_match(pkey)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return key_of(pkey, is_private, wrong);
}

// --- ES256: OpenSSL has both numbers in DER, JWS has them behind each other ---

static bool append_numbers(const unsigned char *der, size_t n, mg_buf *out) {
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    unsigned char raw[2 * P256_BYTES];
    bool good = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, P256_BYTES) == P256_BYTES &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + P256_BYTES, P256_BYTES) == P256_BYTES;
    ECDSA_SIG_free(sig);
    if (good) {
        mg_buf_append(out, (const char *)raw, sizeof raw);
    }
    return good;
}

// Returns the bytes written, 0 if it is none.
static size_t der_of_numbers(mg_str raw, unsigned char der[2 * P256_BYTES + 16]) {
    if (raw.n != 2 * P256_BYTES) {
        return 0;
    }
    const unsigned char *p = (const unsigned char *)raw.p;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(p + P256_BYTES, P256_BYTES, NULL);
    int n = 0;
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        n = i2d_ECDSA_SIG(sig, &der); // it owns r and s
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

// --- signatures ---

static bool pad(EVP_PKEY_CTX *ctx, mg_signature_algorithm a) {
    return a != MG_PS256 || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                             EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static const EVP_MD *digest_for(mg_signature_algorithm a) {
    return a == MG_EDDSA ? NULL : EVP_sha256();
}

bool mg_key_sign(const mg_key *k, mg_signature_algorithm a, mg_str bytes, mg_buf *out) {
    unsigned char sig[MG_KEY_RSA_BITS_MAX / 8];
    size_t n = sizeof sig;
    if (!k->is_private || !mg_key_fits(k, a)) {
        return false;
    }
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = NULL;
    bool good = EVP_DigestSignInit(md, &ctx, digest_for(a), NULL, k->pkey) == 1 && pad(ctx, a) &&
                EVP_DigestSign(md, sig, &n, (const unsigned char *)bytes.p, bytes.n) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    if (good && a == MG_ES256) {
        return append_numbers(sig, n, out);
    }
    if (good) {
        mg_buf_append(out, (const char *)sig, n);
    }
    return good;
}

bool mg_key_verify(const mg_key *k, mg_signature_algorithm a, mg_str bytes, mg_str signature) {
    unsigned char der[2 * P256_BYTES + 16];
    const unsigned char *sig = (const unsigned char *)signature.p;
    size_t n = signature.n;
    if (!mg_key_fits(k, a)) {
        return false;
    }
    if (a == MG_ES256) {
        n = der_of_numbers(signature, der);
        sig = der;
    }
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = NULL;
    bool good = n > 0 && EVP_DigestVerifyInit(md, &ctx, digest_for(a), NULL, k->pkey) == 1 &&
                pad(ctx, a) &&
                EVP_DigestVerify(md, sig, n, (const unsigned char *)bytes.p, bytes.n) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return good;
}
