// event/tls_acme.h: what ACME (RFC 8555) wants of keys and certificates: signatures, requests, the
// names by which both are known. Pure but for the making of keys.
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

// A private key, ECDSA on P-256. Owned by whoever made it.
typedef struct mg_acme_key mg_acme_key;

mg_acme_key *mg_acme_key_new(void);        // NULL: there is no randomness
mg_acme_key *mg_acme_key_read(mg_str pem); // NULL: it is no such key
void mg_acme_key_free(mg_acme_key *k);     // accepts NULL

// All that follow append to `out`, and nothing if they fail.

void mg_acme_key_write(const mg_acme_key *k, mg_buf *out); // PEM

// The public half as a JSON Web Key, its members in the order of RFC 7638; and the SHA-256 of that,
// in base64url.
void mg_acme_jwk(const mg_acme_key *k, mg_buf *out);
void mg_acme_thumbprint(const mg_acme_key *k, mg_buf *out);

// A JWS as JSON (RFC 7515 section 7.2.2) of a protected header and a payload, ES256 or, with a
// shared secret, HS256 (RFC 8555 section 7.3.4). -EIO: OpenSSL refuses.
int mg_acme_sign(const mg_acme_key *k, mg_str head, mg_str payload, mg_buf *out);
void mg_acme_sign_shared(mg_str secret, mg_str head, mg_str payload, mg_buf *out);

// A certificate request (PKCS #10) for one name, in base64url of its DER form. -EIO likewise.
int mg_acme_request(const mg_acme_key *k, const char *domain, mg_buf *out);

// A certificate as it is kept: with its key, which comes first. MG_ECONFIG and a text: it does not
// fit the key, or is not for `domain`.
int mg_acme_bundle(const mg_acme_key *k, mg_str chain, const char *domain, mg_buf *out,
                   mg_error *err);

// What is kept so: seconds since 1970. False: it cannot be served.
bool mg_acme_dates(mg_str bundle, int64_t *not_before, int64_t *not_after);

// By what the certificate that a PEM text begins with is known to its issuer (RFC 9773
// section 4.1). MG_ESYNTAX: it tells no issuer's key.
int mg_acme_renewal_id(mg_str pem, mg_buf *out);
