// base/crypto.h: digests, HMAC, and a comparison whose time tells nothing. Besides event/tls* the
// only place that knows OpenSSL.
#pragma once

#include "base/str.h"

#include <stdbool.h>

enum { MG_DIGEST_MAX = 32 };

typedef enum mg_digest_kind {
    MG_SHA256,
    MG_SHA1,
    MG_MD5,
} mg_digest_kind;

// Writes the digest of `bytes`. Returns its length; 0 if OpenSSL refuses that kind, as a machine in
// FIPS mode does with the old ones.
size_t mg_digest(mg_digest_kind kind, mg_str bytes, unsigned char out[MG_DIGEST_MAX]);

// OpenSSL's name of it, as "SHA2-256". Static memory.
const char *mg_digest_name(mg_digest_kind kind);

// The same with a key (RFC 2104) and SHA-256. The key has at most INT_MAX bytes.
size_t mg_hmac_sha256(mg_str key, mg_str bytes, unsigned char out[MG_DIGEST_MAX]);

// What stretches a password (RFC 7914): 2^log_n rounds of memory, 128 * 2^log_n * r bytes of it, p
// times behind each other. `out` is MG_SCRYPT_BYTES. False: no such memory, or OpenSSL refuses. It
// takes long: for a thread.
enum { MG_SCRYPT_BYTES = 32 };
typedef struct mg_scrypt_cost {
    unsigned log_n, r, p;
} mg_scrypt_cost;
bool mg_scrypt(mg_str password, mg_str salt, mg_scrypt_cost cost, unsigned char *out);

// Overwrites a secret, whatever the compiler thinks of that.
void mg_secret_clear(void *p, size_t n);

// Whether both are equal. Its time depends on their lengths alone.
bool mg_secret_equal(mg_str a, mg_str b);
