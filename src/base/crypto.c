#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *digest_of(mg_digest_kind kind) {
    switch (kind) {
    case MG_SHA1:
        return EVP_sha1();
    case MG_MD5:
        return EVP_md5();
    case MG_SHA256:
        break;
    }
    return EVP_sha256();
}

size_t mg_digest(mg_digest_kind kind, mg_str bytes, unsigned char out[MG_DIGEST_MAX]) {
    unsigned n = 0;
    return EVP_Digest(bytes.p, bytes.n, out, &n, digest_of(kind), NULL) == 1 ? n : 0;
}

const char *mg_digest_name(mg_digest_kind kind) {
    return EVP_MD_get0_name(digest_of(kind));
}

size_t mg_hmac_sha256(mg_str key, mg_str bytes, unsigned char out[MG_DIGEST_MAX]) {
    unsigned n = 0;
    const unsigned char *p = (const unsigned char *)bytes.p;
    return HMAC(EVP_sha256(), key.p, (int)key.n, p, bytes.n, out, &n) != NULL ? n : 0;
}

bool mg_secret_equal(mg_str a, mg_str b) {
    return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}

bool mg_scrypt(mg_str password, mg_str salt, mg_scrypt_cost cost, unsigned char *out) {
    uint64_t n = (uint64_t)1 << cost.log_n;
    uint64_t most = 128 * n * cost.r + 128 * (uint64_t)cost.r * cost.p + (1 << 16);
    bool good = EVP_PBE_scrypt(password.p, password.n, (const unsigned char *)salt.p, salt.n, n,
                               cost.r, cost.p, most, out, MG_SCRYPT_BYTES) == 1;
    ERR_clear_error();
    return good;
}

void mg_secret_clear(void *p, size_t n) {
    OPENSSL_cleanse(p, n);
}
