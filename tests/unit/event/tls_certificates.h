// event/tls_certificates.h: certificates, good and bad, in a folder for one run of tests.
#pragma once

#include "wire.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
} identity;

static char *folder;

static inline const char *path_of(const char *name) {
    static char paths[4][160];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void add_extension(X509 *c, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, c, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(e);
    X509_add_ext(c, e, -1);
    X509_EXTENSION_free(e);
}

static inline identity new_identity(const char *name, const char *alt, const identity *issuer,
                                    long days) {
    identity id = {X509_new(), EVP_EC_gen("P-256")};
    static long serial = 1;
    X509_set_version(id.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.certificate), -30 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(id.certificate), days * 86400L);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(
        id.certificate,
        X509_get_subject_name(issuer == NULL ? id.certificate : issuer->certificate));
    X509_set_pubkey(id.certificate, id.key);
    add_extension(id.certificate, NID_basic_constraints,
                  issuer == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (alt != NULL) {
        add_extension(id.certificate, NID_subject_alt_name, alt);
    }
    assert_true(X509_sign(id.certificate, issuer == NULL ? id.key : issuer->key, EVP_sha256()) > 0);
    return id;
}

static inline void save(const identity *id, const char *chain_name, const char *key_name) {
    FILE *f = fopen(path_of(chain_name), "w");
    PEM_write_X509(f, id->certificate);
    fclose(f);
    if (key_name != NULL) {
        f = fopen(path_of(key_name), "w");
        PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL);
        fclose(f);
    }
}

static inline void drop_identity(identity *id) {
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

static inline void make(const char *name, const char *alt, const identity *issuer, long days) {
    char chain[80];
    char key[80];
    identity id = new_identity("someone", alt, issuer, days);
    snprintf(chain, sizeof chain, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    save(&id, chain, key);
    drop_identity(&id);
}

static inline int make_certificates(void **state) {
    (void)state;
    folder = new_folder();
    identity ca = new_identity("Test CA", NULL, NULL, 30);
    identity stranger = new_identity("Strange CA", NULL, NULL, 30);
    save(&ca, "ca.pem", NULL);
    make("good", "DNS:good.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1", &ca, 30);
    make("expired", "DNS:good.test", &ca, -1);
    make("strange", "DNS:good.test", &stranger, 30);
    make("many", "DNS:a,DNS:b,email:x@y.z,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g", &ca, 30);
    make("nameless", NULL, &ca, 30);
    char hashed[32];
    snprintf(hashed, sizeof hashed, "%08lx.0", X509_subject_name_hash(ca.certificate));
    save(&ca, hashed, NULL);
    FILE *f = fopen(path_of("locked.key"), "w");
    PEM_write_PrivateKey(f, ca.key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6, NULL,
                         NULL);
    fclose(f);
    drop_identity(&ca);
    drop_identity(&stranger);
    return 0;
}

static inline int remove_certificates(void **state) {
    (void)state;
    remove_folder(folder);
    return 0;
}
