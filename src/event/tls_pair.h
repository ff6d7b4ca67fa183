// event/tls_pair.h: a certificate, those of its issuers, and its private key. For event/tls* alone.
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "event/tls_settings.h"

#include <openssl/x509.h>

// Owned. Zeroed: none.
typedef struct mg_tls_pair {
    X509 *leaf;
    STACK_OF(X509) * issuers; // as they stand behind it in the file
    EVP_PKEY *key;
} mg_tls_pair;

// What reads keys: to make it takes OpenSSL longer than to use it. Zeroed: it is made when first
// needed; stays where it is.
typedef struct mg_tls_key_reader {
    struct ossl_decoder_ctx_st *decoder; // owned
    EVP_PKEY *key;                       // where it puts what it has read
} mg_tls_key_reader;

void mg_tls_key_reader_deinit(mg_tls_key_reader *r);

// Reads both from PEM and sees to it that they fit. `r` NULL: with a reader of its own; a kept one
// takes 160 KB. MG_ECONFIG and a text that names the file of `names`.
int mg_tls_pair_read(mg_tls_pair *out, mg_tls_key_reader *r, mg_str cert, mg_str key,
                     const mg_tls_files *names, mg_error *err);
void mg_tls_pair_free(mg_tls_pair *p); // what is in it

// For OpenSSL, which would ask for a key's password at the terminal: there is none.
int mg_tls_no_password(char *buf, int size, int writing, void *arg);

enum { MG_TLS_FINGERPRINT = 32, MG_TLS_NAME_MAX = 255 };

// What is to be known of a certificate without reading it again. Times in seconds since 1970.
typedef struct mg_tls_about {
    int64_t not_before, not_after;
    unsigned char fingerprint[MG_TLS_FINGERPRINT]; // SHA-256 of its DER form
    int32_t kind;                                  // of the key: EVP_PKEY_RSA, EVP_PKEY_EC, ...
    uint32_t broken; // n > 0: the n-th certificate of the file has not issued the one before it
    uint32_t issued; // whoever asks a directory for it sees to its renewal
} mg_tls_about;

void mg_tls_pair_about(const mg_tls_pair *p, mg_tls_about *out);
int64_t mg_tls_not_after(const X509 *certificate);
bool mg_tls_fingerprint(const X509 *certificate, unsigned char out[MG_TLS_FINGERPRINT]);

// Calls `each` for the names of the certificate that a host can have: DNS names in lower case
// ("*.x.test" too) and addresses as text.
void mg_tls_each_name(const X509 *certificate, void (*each)(void *arg, mg_str name), void *arg);

// The same for all names of whoever owns it: also of mail and URIs.
void mg_tls_each_owner(const X509 *certificate, void (*each)(void *arg, mg_str name), void *arg);

// Every certificate of a PEM text; NULL: there is none. The caller frees it.
STACK_OF(X509) * mg_tls_certificates(mg_str text);

// Puts the cause of what OpenSSL has just refused into words, behind the name of the file. Returns
// MG_ECONFIG.
int mg_tls_fault(mg_error *err, const char *expected, const char *file);
