#include "event/tls_pair.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

// --- reading ---

int mg_tls_no_password(char *buf, int size, int writing, void *arg) {
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static BIO *bio_of(mg_str text) {
    return text.n <= INT_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
}

// The first entry of OpenSSL's queue is the cause.
int mg_tls_fault(mg_error *err, const char *expected, const char *file) {
    unsigned long code = ERR_peek_error();
    const char *reason =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    mg_error_set(err, MG_ECONFIG, "%s: %s; expected: %s", file,
                 reason == NULL ? "not readable" : reason, expected);
    ERR_clear_error();
    return MG_ECONFIG;
}

// What is no certificate may stand between them: many files begin with a text, or end with a key.
STACK_OF(X509) * mg_tls_certificates(mg_str text) {
    BIO *bio = bio_of(text);
    STACK_OF(X509) *all = sk_X509_new_null();
    X509 *one;
    while (bio != NULL && (one = PEM_read_bio_X509(bio, NULL, mg_tls_no_password, NULL)) != NULL) {
        sk_X509_push(all, one);
    }
    BIO_free(bio);
    unsigned long code = ERR_peek_last_error();
    bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (ended && sk_X509_num(all) > 0) {
        ERR_clear_error();
        return all;
    }
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

static OSSL_DECODER_CTX *decoder_of(mg_tls_key_reader *r) {
    if (r->decoder == NULL) {
        r->decoder =
            OSSL_DECODER_CTX_new_for_pkey(&r->key, "PEM", NULL, NULL, EVP_PKEY_KEYPAIR, NULL, NULL);
        if (r->decoder != NULL) {
            OSSL_DECODER_CTX_set_pem_password_cb(r->decoder, mg_tls_no_password, NULL);
        }
    }
    return r->decoder;
}

// What is no key may stand before it: the parameters of its curve, a certificate. Unlike
// PEM_read_bio_PrivateKey it does not ask each time what is able to read which kind of key.
static EVP_PKEY *key_in(mg_tls_key_reader *r, BIO *bio) {
    OSSL_DECODER_CTX *decoder = decoder_of(r);
    int left = INT_MAX; // it always takes some, or fails for good
    while (decoder != NULL && OSSL_DECODER_from_bio(decoder, bio) != 1 && r->key == NULL &&
           ERR_GET_REASON(ERR_peek_error()) == ERR_R_UNSUPPORTED && BIO_pending(bio) > 0 &&
           BIO_pending(bio) < left) {
        left = BIO_pending(bio);
        ERR_clear_error();
    }
    EVP_PKEY *key = r->key;
    r->key = NULL;
    return key;
}

void mg_tls_key_reader_deinit(mg_tls_key_reader *r) {
    OSSL_DECODER_CTX_free(r->decoder);
    *r = (mg_tls_key_reader){0};
}

static int read_key(mg_tls_pair *out, mg_tls_key_reader *r, mg_str key, const mg_tls_files *names,
                    mg_error *err) {
    BIO *bio = bio_of(key);
    out->key = bio != NULL ? key_in(r, bio) : NULL;
    BIO_free(bio);
    if (out->key == NULL) {
        return mg_tls_fault(err, "the certificate's private key in PEM form, without a password",
                            names->key);
    }
    if (X509_check_private_key(out->leaf, out->key) != 1) {
        ERR_clear_error();
        return mg_error_set(err, MG_ECONFIG, "%s: this key does not fit the certificate in %s",
                            names->key, names->cert);
    }
    return MG_OK;
}

int mg_tls_pair_read(mg_tls_pair *out, mg_tls_key_reader *r, mg_str cert, mg_str key,
                     const mg_tls_files *names, mg_error *err) {
    ERR_clear_error();
    *out = (mg_tls_pair){.issuers = mg_tls_certificates(cert)};
    if (out->issuers == NULL) {
        return mg_tls_fault(err, "a certificate chain in PEM form", names->cert);
    }
    out->leaf = sk_X509_shift(out->issuers);
    mg_tls_key_reader own = {0};
    int rc = read_key(out, r != NULL ? r : &own, key, names, err);
    mg_tls_key_reader_deinit(&own);
    if (rc != MG_OK) {
        mg_tls_pair_free(out);
    }
    return rc;
}

void mg_tls_pair_free(mg_tls_pair *p) {
    X509_free(p->leaf);
    sk_X509_pop_free(p->issuers, X509_free);
    EVP_PKEY_free(p->key);
    *p = (mg_tls_pair){0};
}

// --- what is to be known of it ---

static int64_t seconds_of(const ASN1_TIME *t) {
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t mg_tls_not_after(const X509 *certificate) {
    return seconds_of(X509_get0_notAfter(certificate));
}

bool mg_tls_fingerprint(const X509 *certificate, unsigned char out[MG_TLS_FINGERPRINT]) {
    unsigned n = 0;
    return X509_digest(certificate, EVP_sha256(), out, &n) == 1 && n == MG_TLS_FINGERPRINT;
}

// 0: each has issued the one before it.
static uint32_t first_break(const mg_tls_pair *p) {
    X509 *before = p->leaf;
    for (int i = 0; i < sk_X509_num(p->issuers); i++) {
        X509 *issuer = sk_X509_value(p->issuers, i);
        if (X509_check_issued(issuer, before) != X509_V_OK) {
            return (uint32_t)i + 2;
        }
        before = issuer;
    }
    return 0;
}

void mg_tls_pair_about(const mg_tls_pair *p, mg_tls_about *out) {
    *out = (mg_tls_about){
        .not_before = seconds_of(X509_get0_notBefore(p->leaf)),
        .not_after = mg_tls_not_after(p->leaf),
        .kind = EVP_PKEY_get_base_id(p->key),
        .broken = first_break(p),
    };
    mg_tls_fingerprint(p->leaf, out->fingerprint);
    ERR_clear_error();
}

// --- names ---

// What no host is called, and what reaches logs and scripts as it is. False: none.
static bool take_text(const ASN1_STRING *value, char out[MG_TLS_NAME_MAX], size_t *n, bool lower) {
    const unsigned char *p = ASN1_STRING_get0_data(value);
    int length = ASN1_STRING_length(value);
    if (length <= 0 || length > MG_TLS_NAME_MAX) {
        return false;
    }
    for (int i = 0; i < length; i++) {
        if (p[i] <= 0x20 || p[i] >= 0x7f) {
            return false;
        }
        out[i] = lower ? mg_lower((char)p[i]) : (char)p[i];
    }
    *n = (size_t)length;
    return true;
}

static bool take_ip(const ASN1_STRING *value, char out[MG_TLS_NAME_MAX], size_t *n) {
    int length = ASN1_STRING_length(value);
    int family = length == 4 ? AF_INET : AF_INET6;
    if ((length != 4 && length != 16) ||
        inet_ntop(family, ASN1_STRING_get0_data(value), out, MG_TLS_NAME_MAX) == NULL) {
        return false;
    }
    *n = strlen(out);
    return true;
}

static bool take_name(const GENERAL_NAME *name, bool owners, char out[MG_TLS_NAME_MAX], size_t *n) {
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    switch (type) {
    case GEN_DNS:
        return take_text(value, out, n, true);
    case GEN_IPADD:
        return take_ip(value, out, n);
    case GEN_EMAIL:
    case GEN_URI:
        return owners && take_text(value, out, n, false);
    default:
        return false;
    }
}

static void each_of(const X509 *certificate, bool owners, void (*each)(void *arg, mg_str name),
                    void *arg) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char text[MG_TLS_NAME_MAX];
    size_t n;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { // of NULL: -1
        if (take_name(sk_GENERAL_NAME_value(names, i), owners, text, &n)) {
            each(arg, (mg_str){text, n});
        }
    }
    GENERAL_NAMES_free(names);
}

void mg_tls_each_name(const X509 *certificate, void (*each)(void *arg, mg_str name), void *arg) {
    each_of(certificate, false, each, arg);
}

void mg_tls_each_owner(const X509 *certificate, void (*each)(void *arg, mg_str name), void *arg) {
    each_of(certificate, true, each, arg);
}
