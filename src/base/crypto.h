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

// Whether both are equal. Its time depends on their lengths alone.
bool mg_secret_equal(mg_str a, mg_str b);
