// What a TLS stream that is ready tells of itself and of its peer.

#include "base/codec.h"
#include "event/tls_inside.h"

#include <openssl/err.h>
#include <string.h>

static const X509 *client_of(const mg_stream *s) {
    const SSL *ssl = s->u.tls->ssl;
    return SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl) : NULL;
}

void mg_tls_facts_of(const mg_stream *s, mg_tls_facts *out) {
    const struct mg_tls_stream *t = s->u.tls;
    *out = (mg_tls_facts){
        .version = SSL_get_version(t->ssl),
        .cipher = SSL_get_cipher_name(t->ssl),
        .server_name = t->asked != NULL ? mg_str_of(t->asked) : (mg_str){0},
        .alpn = mg_tls_alpn(s),
        .resumed = mg_tls_resumed(s),
        .has_client = client_of(s) != NULL,
    };
}

// RFC 4514, as openssl x509 -subject -nameopt RFC2253 writes it.
static void append_subject(mg_buf *out, const X509 *certificate) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    if (X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                           XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long n = BIO_get_mem_data(bio, &p);
        mg_buf_append(out, p, n > 0 ? (size_t)n : 0);
    }
    BIO_free(bio);
}

bool mg_tls_client_facts(const mg_stream *s, mg_tls_client *out,
                         void (*each_name)(void *arg, mg_str name), void *arg) {
    const X509 *certificate = client_of(s);
    unsigned char print[MG_TLS_FINGERPRINT];
    if (certificate == NULL || !mg_tls_fingerprint(certificate, print)) {
        return false;
    }
    append_subject(&out->subject, certificate);
    mg_hex_encode(&out->fingerprint, (mg_str){(const char *)print, sizeof print});
    out->not_after = mg_tls_not_after(certificate);
    mg_tls_each_owner(certificate, each_name, arg);
    ERR_clear_error();
    return true;
}
