// base/crypto_key.h: signatures with keys that a script was given: RS256, PS256, ES256 (RFC 7518)
// and EdDSA with Ed25519 (RFC 8037).
//
// A key never changes, so that threads may share it; it is counted. Which algorithms it can be used
// with follows from its kind, never from what is to be verified.
#pragma once

#include "base/buf.h"
#include "base/str.h"

typedef enum mg_signature_algorithm {
    MG_RS256,
    MG_PS256,
    MG_ES256,
    MG_EDDSA,
    MG_SIGNATURE_ALGORITHMS,
} mg_signature_algorithm;

enum { MG_KEY_RSA_BITS_MIN = 2048, MG_KEY_RSA_BITS_MAX = 8192 };

typedef struct mg_key mg_key;

// The members of a JWK (RFC 7517) as bytes, empty where there are none. Of curves P-256 and Ed25519
// are known, of RSA keys those with both primes or none.
typedef struct mg_jwk {
    mg_str kty, crv;               // text
    mg_str x, y, d;                // of curves; d of RSA too
    mg_str n, e, p, q, dp, dq, qi; // of RSA
} mg_jwk;

// A key, or NULL and why, as static text that tells nothing of the key. Of PEM a private key
// (without a passphrase), a public key or a certificate.
mg_key *mg_key_of_pem(mg_str pem, const char **wrong);
mg_key *mg_key_of_jwk(const mg_jwk *jwk, const char **wrong);

mg_key *mg_key_ref(mg_key *k);
void mg_key_unref(mg_key *k); // accepts NULL

bool mg_key_is_private(const mg_key *k);
bool mg_key_fits(const mg_key *k, mg_signature_algorithm a);

// Appends the signature as JWS has it (of ES256 both numbers, 64 bytes). False: the key is no
// private one, does not fit, or OpenSSL refuses.
bool mg_key_sign(const mg_key *k, mg_signature_algorithm a, mg_str bytes, mg_buf *out);

// Whether `signature` is that of `bytes`. What does not fit is false too.
bool mg_key_verify(const mg_key *k, mg_signature_algorithm a, mg_str bytes, mg_str signature);
