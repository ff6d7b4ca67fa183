// Certificates that nobody has issued: for an afternoon of development, until an issuer has
// answered, and to show an issuer whose a name is. In memory alone.

#include "event/tls.h"
#include "event/tls_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { DAYS = 30, DAY_S = 86400 };

// What one is made of.
typedef struct making {
    const char *names;          // as OpenSSL reads subjectAltName
    const unsigned char *proof; // MG_TLS_PROOF bytes; NULL: none
} making;

static bool add_extension(X509 *c, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, c, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = e != NULL && X509_add_ext(c, e, -1) == 1;
    X509_EXTENSION_free(e);
    return good;
}

// RFC 8737 section 3: an octet string in the extension's own.
static bool add_proof(X509 *c, const unsigned char *proof) {
    unsigned char der[2 + MG_TLS_PROOF] = {V_ASN1_OCTET_STRING, MG_TLS_PROOF};
    memcpy(der + 2, proof, MG_TLS_PROOF);
    ASN1_OBJECT *id = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *e = NULL;
    if (id != NULL && value != NULL && ASN1_OCTET_STRING_set(value, der, sizeof der) == 1) {
        e = X509_EXTENSION_create_by_OBJ(NULL, id, 1, value);
    }
    bool good = e != NULL && X509_add_ext(c, e, -1) == 1;
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(id);
    return good;
}

static bool set_serial(X509 *c) {
    uint64_t serial = 0;
    return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(c), serial >> 1 | 1) == 1;
}

static bool fill(X509 *c, EVP_PKEY *key, const making *m) {
    static const unsigned char name[] = "Moongate's throw-away certificate";
    X509_NAME *subject = X509_get_subject_name(c);
    return X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
           X509_gmtime_adj(X509_getm_notBefore(c), -DAY_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(c), (long)DAYS * DAY_S) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(c, subject) == 1 && X509_set_pubkey(c, key) == 1 &&
           add_extension(c, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(c, NID_ext_key_usage, "serverAuth") &&
           add_extension(c, NID_subject_alt_name, m->names) &&
           (m->proof == NULL || add_proof(c, m->proof)) && X509_sign(c, key, EVP_sha256()) > 0;
}

static bool append_pem(mg_buf *out, X509 *c, EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_secmem());
    char *p = NULL;
    bool good = PEM_write_bio_X509(bio, c) == 1 &&
                PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    long n = BIO_get_mem_data(bio, &p);
    mg_buf_append(out, p, good && n > 0 ? (size_t)n : 0);
    BIO_free(bio);
    return good;
}

static int make(mg_buf *out, const making *m, mg_error *err) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *c = X509_new();
    bool good = key != NULL && c != NULL && fill(c, key, m) && append_pem(out, c, key);
    X509_free(c);
    EVP_PKEY_free(key);
    return good ? MG_OK : mg_tls_fault(err, "to be able to make a certificate", "OpenSSL");
}

int mg_tls_throwaway(mg_buf *out, mg_error *err) {
    static const making own = {.names = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1"};
    return make(out, &own, err);
}

int mg_tls_self_signed(mg_buf *out, const char *domain, const unsigned char *proof, mg_error *err) {
    mg_buf names = {0};
    mg_buf_printf(&names, "DNS:%s", domain);
    mg_buf_append_char(&names, '\0');
    int rc = make(out, &(making){names.p, proof}, err);
    mg_buf_deinit(&names);
    return rc;
}
